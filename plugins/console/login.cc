#include "login.hpp"

#include <utility>

#include "foreign_json.hpp"

namespace console {

Login::Login(const Settings& settings, Sessions& sessions, Gate& gate, Passwords& passwords, Note warn)
    : settings_(settings), sessions_(sessions), gate_(gate), passwords_(passwords), warn_(std::move(warn)) {}

std::string Login::cookie(const Request& request, const std::string& value, long long seconds) const {
    // Behind a proxy that speaks TLS the browser is to send it by TLS alone.
    const bool is_secure = to_lower(request.header("origin")).starts_with("https://");
    return gate_.cookie_name() + "=" + value +
           "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(seconds) +
           (is_secure ? "; Secure" : "");
}

void Login::finish(const Request& request, const std::string& user, Role role, Time now,
                   const Respond& respond) {
    if (role == Role::None) return respond(refusal(401, "wrong name, password or token"));
    const std::string id = sessions_.open(user, role, now);
    const Session& opened = *sessions_.find(id, now);
    Response response = session({settings_.capped(role), user, id, opened.csrf});
    response.headers.emplace_back("Set-Cookie", cookie(request, id, settings_.session_time.count()));
    respond(std::move(response));
}

void Login::log_in(const Request& request, Time now, const Respond& respond) {
    const Json body = parse_foreign(request.body);
    if (!body.is_object()) return respond(refusal(400, "write {\"user\", \"password\"} or {\"token\"}"));
    if (!settings_.asks_who()) return respond(refusal(409, "nobody has to log in here"));
    if (const std::string token = text_in(body, "token"); !token.empty()) {
        const Role role = gate_.role_of_token(token);
        if (role == Role::None)
            if (auto refused = gate_.refuse_token(request.peer, now)) return respond(std::move(*refused));
        return finish(request, {}, role, now, respond);
    }
    const std::string name = text_in(body, "user");
    if (const auto wait = gate_.throttle().login(request.peer, name, now))
        return respond(too_many_attempts(*wait));
    const auto user = settings_.users.find(name);
    const bool known = user != settings_.users.end();
    const Role role = known ? user->second.role : Role::None;
    const bool begun =
        passwords_.check_password(known ? user->second.hash : nobody_, text_in(body, "password"),
                                  [this, request, name, role, now, respond](bool right) {
                                      checked(request, name, right ? role : Role::None, now, respond);
                                  });
    if (!begun) respond(refusal(503, "too many logins at once"));
}

void Login::checked(const Request& request, const std::string& user, Role role, Time now,
                    const Respond& respond) {
    if (role == Role::None)
        warn_("console: a login from " + request.peer + " was refused");
    else
        gate_.throttle().succeeded(request.peer, user);
    finish(request, user, role, now, respond);
}

Response Login::log_out(const Visitor& visitor) {
    sessions_.close(visitor.session);
    Response response = json_response(200, {{"status", "ok"}});
    response.headers.emplace_back("Set-Cookie", cookie({}, "", 0));
    return response;
}

Response Login::session(const Visitor& visitor) const {
    return json_response(200, {{"status", "ok"},
                               {"role", role_name(visitor.role)},
                               {"user", visitor.user},
                               {"csrf", visitor.csrf},
                               {"login", settings_.asks_who()},
                               {"names", !settings_.users.empty()},
                               {"allow_add", settings_.allow_add && visitor.role == Role::Operate}});
}

}  // namespace console
