#include "gate.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <utility>

namespace console {

namespace {

// "[::1]:8080" is ::1, "localhost:8080" is localhost.
std::string host_name(std::string_view host) {
    if (host.starts_with('[')) return std::string(host.substr(1, host.find(']') - 1));
    return to_lower(host.substr(0, host.find(':')));
}

bool is_address(const std::string& host) {
    in_addr v4{};
    in6_addr v6{};
    return inet_pton(AF_INET, host.c_str(), &v4) == 1 || inet_pton(AF_INET6, host.c_str(), &v6) == 1;
}

bool is_json(std::string_view type) {
    return to_lower(trimmed(type.substr(0, type.find(';')))) == "application/json";
}

}  // namespace

Response too_many_attempts(std::chrono::seconds wait) {
    const std::string seconds = std::to_string(wait.count());
    Response response = refusal(429, "too many attempts; wait " + seconds + " s");
    response.headers.emplace_back("Retry-After", seconds);
    return response;
}

Gate::Gate(const Settings& settings, Sessions& sessions, Note warn)
    : settings_(settings), sessions_(sessions), warn_(std::move(warn)), open_csrf_(random_word()) {
    set_port(settings.port);
}

void Gate::set_port(std::uint16_t port) {
    cookie_ = "circus_console_" + std::to_string(port);
}

bool Gate::is_own_host(std::string_view host) const {
    const std::string name = host_name(host);
    return name == "localhost" || is_address(name) ||
           std::find(settings_.hosts.begin(), settings_.hosts.end(), name) != settings_.hosts.end();
}

std::optional<Response> Gate::refuse(const Request& request) const {
    const std::string_view host = request.header("host");
    if (!is_own_host(host))
        return refusal(403, "this console has no such name; `hosts` in its section is the list of its names");
    if (const auto origin = request.header("origin"); !origin.empty()) {
        const auto scheme_end = origin.find("://");
        const auto scheme = to_lower(origin.substr(0, scheme_end));
        if (scheme_end == std::string_view::npos || (scheme != "http" && scheme != "https") ||
            to_lower(origin.substr(scheme_end + 3)) != to_lower(host))
            return refusal(403, "asked for by a page of another origin");
    }
    const auto site = request.header("sec-fetch-site");
    // A link on somebody's page may lead to the console's page, and to nothing else.
    const bool is_link = request.reads() && request.header("sec-fetch-mode") == "navigate" &&
                         !request.target.starts_with("/api/");
    if (!site.empty() && site != "same-origin" && site != "none" && !is_link)
        return refusal(403, "asked for by a page of another site");
    return std::nullopt;
}

Role Gate::role_of_token(std::string_view token) const {
    // Both are compared, whatever the first says.
    const bool full = !settings_.token.empty() && same_text(token, settings_.token);
    const bool reads = !settings_.read_token.empty() && same_text(token, settings_.read_token);
    return settings_.capped(full ? Role::Operate : reads ? Role::Read : Role::None);
}

std::optional<Response> Gate::refuse_token(const std::string& peer, Time now) {
    if (const auto wait = throttle_.wrong_token(peer, now)) return too_many_attempts(*wait);
    warn_("console: a token from " + peer + " was refused");
    return std::nullopt;
}

std::optional<Response> Gate::recognise(const Request& request, Time now, Visitor& visitor) {
    visitor = {};
    if (const auto given = request.header("authorization"); !given.empty()) {
        constexpr std::string_view kBearer = "bearer ";
        if (to_lower(given.substr(0, kBearer.size())) == kBearer) {
            visitor.role = role_of_token(trimmed(given.substr(kBearer.size())));
            if (visitor.role != Role::None) return std::nullopt;
            if (auto refused = refuse_token(request.peer, now)) return refused;
        }
        Response response = refusal(401, "the token in Authorization is not one of this console's");
        response.headers.emplace_back("WWW-Authenticate", "Bearer");
        return response;
    }
    const auto id = request.cookie(cookie_);
    if (const Session* const session = id.empty() ? nullptr : sessions_.find(id, now)) {
        visitor = {settings_.capped(session->role), session->user, std::string(id), session->csrf};
    } else if (!settings_.asks_who()) {
        visitor.role = settings_.capped(Role::Operate);
        visitor.csrf = open_csrf_;
    }
    return std::nullopt;
}

std::optional<Response> Gate::refuse_write(const Request& request, const Visitor& visitor) const {
    if (!is_json(request.header("content-type"))) return refusal(415, "write Content-Type: application/json");
    if (!visitor.csrf.empty() && !same_text(request.header("x-circus-csrf"), visitor.csrf))
        return refusal(403, "X-Circus-Csrf is missing or old; GET /api/v1/session tells it");
    return std::nullopt;
}

}  // namespace console
