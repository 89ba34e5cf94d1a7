#include "router.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include "assets.hpp"
#include "openapi.hpp"
#include "rights.hpp"

namespace console {

namespace {

constexpr std::size_t kMostPast = 200;

Response not_allowed(const char* method) {
    Response response = refusal(405, std::string("only ") + method);
    response.headers.emplace_back("Allow", method);
    return response;
}

std::optional<long long> integer(std::string_view text) {
    long long number = 0;
    const auto [rest, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
    return wrong == std::errc() && rest == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

bool flag(std::string_view text) {
    return text != "0" && text != "false" && text != "no";
}

std::vector<std::string> words(std::string_view text, char separator) {
    std::vector<std::string> found(1);
    for (const char c : text)
        if (c == separator)
            found.emplace_back();
        else
            found.back() += c;
    return found;
}

// What of the query belongs into the command's properties; a text: what is wrong with it.
std::optional<std::string> add_query(const ReadRoute& route, const Request& request, Json& properties) {
    for (std::string word : words(route.query, ' ')) {
        if (word.empty()) continue;
        const char kind = word.back();
        if (kind == '#' || kind == '?') word.pop_back();
        for (const auto& [name, value] : request.query()) {
            if (name != word) continue;
            const auto number = integer(value);
            if (kind == '#' && !number) return name + " must be a number";
            properties[name] = kind == '#' ? Json(*number) : kind == '?' ? Json(flag(value)) : Json(value);
        }
    }
    return std::nullopt;
}

// Whether the path is the route's; `name` is what stands for {name}.
bool matches(const ReadRoute& route, const std::vector<std::string>& path, std::string& name) {
    const auto parts = words(route.path, '/');
    if (path.size() != parts.size() + 2) return false;
    for (std::size_t at = 0; at < parts.size(); ++at)
        if (parts[at] == "{name}")
            name = path[at + 2];
        else if (parts[at] != path[at + 2])
            return false;
    return true;
}

Response unknown(const Request& request) {
    return refusal(404, "there is no " + request.target.substr(0, request.target.find('?')));
}

bool is_word(const std::string& name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-';
    });
}

Json query_of(const Request& request) {
    Json query = Json::object();
    for (const auto& [name, value] : request.query()) query[name] = value;
    return query;
}

bool is_api(const std::vector<std::string>& path) {
    return path.size() > 2 && path[0] == "api" && path[1] == "v1";
}

}  // namespace

Response response_to(const Answer& answer) {
    if (answer.ok()) return json_response(200, answer.fields);
    const std::string reason = answer.fields.value("reason", std::string());
    int status = 500;
    if (answer.status == CIRCUS_E_NOT_FOUND || reason.ends_with(" not found"))
        status = 404;
    else if (answer.status == CIRCUS_E_INVALID)
        status = 400;
    else if (answer.status == CIRCUS_E_CONFLICT)
        status = 409;
    else if (answer.status == CIRCUS_E_TIMEOUT)
        status = 504;
    if (reason.empty()) return refusal(status, circus::status_text(answer.status));
    return json_response(status, answer.fields);
}

Router::Router(const Settings& settings, Gate& gate, Login& login, Backend& backend, Overview& overview)
    : settings_(settings), gate_(gate), login_(login), backend_(backend), overview_(overview) {}

void Router::handle(const Request& request, Time now, const Respond& respond) {
    if (auto refused = gate_.refuse(request)) return respond(std::move(*refused));
    const auto path = request.path();
    if (!path) return respond(refusal(400, "the path is not written as one"));
    if (is_api(*path)) {
        Visitor visitor;
        if (auto refused = gate_.recognise(request, now, visitor)) return respond(std::move(*refused));
        return api(*path, request, visitor, now, respond);
    }
    if (!request.reads()) return respond(not_allowed("GET"));
    if (path->size() == 1 && path->front() == "healthz")
        return respond(json_response(200, {{"status", "ok"}}));
    if (path->size() == 1 && path->front() == "readyz") return ready(respond);
    const std::string file = path->size() == 1 ? path->front() : std::string("/");
    const Asset* const asset = find_asset(file.empty() ? "index.html" : file);
    if (!asset) return is_word(file) ? forward(file, request, now, respond) : respond(unknown(request));
    const std::string tag = '"' + std::string(asset->tag) + '"';
    const Pairs headers{{"ETag", tag}, {"Cache-Control", "no-cache"}};
    if (request.header("if-none-match") == tag) return respond({304, {}, {}, headers});
    respond({200, std::string(asset->type), std::string(asset->body), headers});
}

// Pages of other plugins: NAME is the command NAME.http, for who may look.
void Router::forward(const std::string& name, const Request& request, Time now, const Respond& respond) {
    Visitor visitor;
    if (auto refused = gate_.recognise(request, now, visitor)) return respond(std::move(*refused));
    if (visitor.role == Role::None)
        return respond(refusal(401, "log in, or send Authorization: Bearer TOKEN"));
    const Json asked{{"method", "GET"},
                     {"path", "/" + name},
                     {"query", query_of(request)},
                     {"accept", request.header("accept")}};
    backend_.command(name + ".http", asked, [request, respond](const Answer& answer) {
        if (!answer.ok() && response_to(answer).status != 404) return respond(response_to(answer));
        if (!answer.fields.contains("body")) return respond(unknown(request));
        respond({answer.fields.value("code", 200),
                 answer.fields.value("type", std::string("text/plain")),
                 answer.fields.value("body", std::string()),
                 {}});
    });
}

void Router::ready(const Respond& respond) {
    backend_.command("status", Json::object(), [respond](const Answer& answer) {
        if (!answer.ok()) return respond(json_response(503, {{"status", "unavailable"}}));
        for (const auto& state : answer.fields.value("statuses", Json::object()))
            if (state == "starting") return respond(json_response(503, {{"status", "starting"}}));
        respond(json_response(200, {{"status", "ok"}}));
    });
}

void Router::api(const Path& path, const Request& request, const Visitor& visitor, Time now,
                 const Respond& respond) {
    const bool is_session = path.size() == 3 && path[2] == "session";
    const bool is_login = path.size() == 3 && path[2] == "login";
    if (visitor.role == Role::None && !is_session && !is_login)
        return respond(refusal(401, "log in, or send Authorization: Bearer TOKEN"));
    if (is_session) return respond(request.reads() ? login_.session(visitor) : not_allowed("GET"));
    if (request.method == "POST") return write(path, request, visitor, now, respond);
    if (!request.reads()) return respond(not_allowed("GET, POST"));
    if (is_login || (path.size() == 3 && path[2] == "logout") || (path.size() == 4 && path[2] == "commands"))
        return respond(not_allowed("POST"));
    if (path.size() == 3 && path[2] == "events") return respond(refusal(426, "this is a WebSocket"));
    if (path.size() == 3 && path[2] == "openapi.json")
        return backend_.command("commands", Json::object(), [respond](const Answer& answer) {
            respond(answer.ok() ? json_response(200, openapi(answer.fields.at("commands")))
                                : response_to(answer));
        });
    if (!read(path, request, visitor, now, respond)) respond(unknown(request));
}

bool Router::read(const Path& path, const Request& request, const Visitor& visitor, Time now,
                  const Respond& respond) {
    for (const ReadRoute& route : read_routes()) {
        std::string name;
        if (!matches(route, path, name)) continue;
        if (route.command.empty()) {
            const bool only_watchers = route.path == "watchers";
            overview_.ask(now, [respond, only_watchers](const Answer& answer) {
                if (!answer.ok() || !only_watchers) return respond(response_to(answer));
                respond(json_response(200, {{"status", "ok"},
                                            {"time", answer.fields.at("time")},
                                            {"watchers", answer.fields.at("watchers")}}));
            });
            return true;
        }
        Json properties = route.always.empty() ? Json::object() : Json::parse(route.always);
        if (!name.empty()) properties["name"] = name;
        if (const auto wrong = add_query(route, request, properties))
            respond(refusal(400, *wrong));
        else
            send(std::string(route.command), properties, visitor.role, respond);
        return true;
    }
    return false;
}

void Router::write(const Path& path, const Request& request, const Visitor& visitor, Time now,
                   const Respond& respond) {
    if (auto refused = gate_.refuse_write(request, visitor)) return respond(std::move(*refused));
    if (path.size() == 3 && path[2] == "login") return login_.log_in(request, now, respond);
    if (path.size() == 3 && path[2] == "logout") return respond(login_.log_out(visitor));
    if (path.size() != 4 || path[2] != "commands" || path[3].empty()) return respond(unknown(request));
    const Json body = request.body.empty() ? Json::object() : Json::parse(request.body, nullptr, false);
    if (!body.is_object())
        return respond(refusal(400, "the body must be a JSON object, the command's properties"));
    run(to_lower(path[3]), body, visitor, respond);
}

void Router::run(const std::string& command, const Json& properties, const Visitor& visitor,
                 const Respond& respond) {
    const auto decide = [this, command, properties, role = visitor.role, respond](const Json& commands) {
        if (const auto why = refusal_of(role, settings_.allow_add, command, properties, commands))
            return respond(refusal(403, *why));
        send(command, properties, role, respond);
    };
    if (visitor.role == Role::Operate) return decide(Json::object());
    // Only who may not change anything depends on what circusd says of its commands.
    backend_.command("commands", Json::object(), [decide, respond](const Answer& answer) {
        if (!answer.ok()) return respond(response_to(answer));
        decide(answer.fields.at("commands"));
    });
}

void Router::send(const std::string& command, const Json& properties, Role role, const Respond& respond) {
    backend_.command(command, properties, [role, respond](const Answer& answer) {
        if (role == Role::Operate) return respond(response_to(answer));
        Answer shown = answer;
        hide_secrets(shown.fields);
        respond(response_to(shown));
    });
}

std::optional<Response> Router::open_events(const Request& request, Time now, Visitor& visitor, Wish& wish) {
    if (auto refused = gate_.refuse(request)) return refused;
    const auto path = request.path();
    if (!path || !is_api(*path) || path->size() != 3 || (*path)[2] != "events") return unknown(request);
    if (auto refused = gate_.recognise(request, now, visitor)) return refused;
    if (visitor.role == Role::None) return refusal(401, "log in, or send Authorization: Bearer TOKEN");
    for (const auto& [name, value] : request.query()) {
        if (name == "topic") wish.topic = value;
        if (name == "overview") wish.overview = flag(value);
        if (name == "watcher") wish.watcher = value;
        if (name != "past") continue;
        const auto number = integer(value);
        if (!number || *number < 0) return refusal(400, "past must be a number");
        wish.past = std::min(static_cast<std::size_t>(*number), kMostPast);
    }
    return std::nullopt;
}

}  // namespace console
