#include "router.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include "assets.hpp"
#include "foreign_json.hpp"
#include "openapi.hpp"
#include "rights.hpp"

namespace console {

namespace {

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
    if (path.size() != parts.size()) return false;
    for (std::size_t at = 0; at < parts.size(); ++at)
        if (parts[at] == "{name}")
            name = path[at];
        else if (parts[at] != path[at])
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

// What goes wrong with an answer fails the request that it is for; whoever brought it hears of it as well,
// and writes it down.
template <class Function>
Answered guarded(const Respond& respond, Function function) {
    return [respond, function = std::move(function)](const Answer& answer) {
        try {
            function(answer);
        } catch (const std::exception&) {
            respond(refusal(500, "the answer of circusd is not what it should be; the log says more"));
            throw;
        }
    };
}

void command_to(Stack& stack, const std::string& command, const Json& properties, Role role,
                const Respond& respond) {
    stack.backend.command(command, properties, guarded(respond, [role, respond](const Answer& answer) {
                              if (role == Role::Operate) return respond(response_to(answer));
                              Answer shown = answer;
                              hide_secrets(shown.fields);
                              respond(response_to(shown));
                          }));
}

// A page of another plugin; nothing: it is none that could be sent.
std::optional<Response> page_of(const Json& answer) {
    const double code = answer.contains("code") ? number_in(answer, "code") : 200;
    const std::string type = text_in(answer, "type", "text/plain");
    const bool is_line = std::none_of(type.begin(), type.end(), [](unsigned char c) { return c < ' '; });
    const auto body = answer.find("body");
    if (!(code >= 200 && code < 600) || !is_line || body == answer.end() || !body->is_string())
        return std::nullopt;
    return Response{static_cast<int>(code), type, body->get<std::string>(), {}};
}

std::string shortened(const std::string& text) {
    constexpr std::size_t kMost = 200;
    return text.size() <= kMost ? text : text.substr(0, kMost) + "...";
}

bool is_api(const std::vector<std::string>& path) {
    return path.size() > 2 && path[0] == "api" && path[1] == "v1";
}

}  // namespace

Response response_to(const Answer& answer) {
    if (answer.ok()) return json_response(200, answer.fields);
    const std::string reason = text_in(answer.fields, "reason");
    int status = 500;
    if (answer.status == CIRCUS_E_NOT_FOUND || reason.ends_with(" not found"))
        status = 404;
    else if (answer.status == CIRCUS_E_INVALID)
        status = 400;
    else if (answer.status == CIRCUS_E_CONFLICT)
        status = 409;
    else if (answer.status == CIRCUS_DENY)
        status = 403;
    else if (answer.status == CIRCUS_E_TIMEOUT)
        status = 504;
    else if (answer.status == CIRCUS_E_AGAIN)
        status = 503;
    if (reason.empty()) return refusal(status, circus::status_text(answer.status));
    return json_response(status, answer.fields);
}

Router::Router(const Settings& settings, Gate& gate, Login& login, Stacks& stacks, Note tell)
    : settings_(settings), gate_(gate), login_(login), stacks_(stacks), tell_(std::move(tell)) {}

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
    const auto answered = [name, request, respond](const Answer& answer) {
        if (!answer.ok() && response_to(answer).status != 404) return respond(response_to(answer));
        if (!answer.fields.contains("body")) return respond(unknown(request));
        auto page = page_of(answer.fields);
        respond(page ? std::move(*page) : refusal(500, name + ".http has answered with no page"));
    };
    stacks_.own().backend.command(name + ".http", asked, guarded(respond, answered));
}

void Router::ready(const Respond& respond) {
    const auto answered = [respond](const Answer& answer) {
        if (!answer.ok()) return respond(json_response(503, {{"status", "unavailable"}}));
        for (const auto& state : object_in(answer.fields, "statuses"))
            if (state == "starting") return respond(json_response(503, {{"status", "starting"}}));
        respond(json_response(200, {{"status", "ok"}}));
    };
    stacks_.own().backend.command("status", Json::object(), guarded(respond, answered));
}

Stack* Router::find_stack(Path& path) {
    path.erase(path.begin(), path.begin() + 2);  // api, v1
    if (path.size() < 2 || path[0] != "endpoints") return &stacks_.own();
    Stack* const stack = stacks_.find(path[1]);
    path.erase(path.begin(), path.begin() + 2);
    return stack;
}

void Router::api(const Path& path, const Request& request, const Visitor& visitor, Time now,
                 const Respond& respond) {
    const std::string word = path.size() == 3 ? path[2] : std::string();
    if (visitor.role == Role::None && word != "session" && word != "login")
        return respond(refusal(401, "log in, or send Authorization: Bearer TOKEN"));
    Path rest = path;
    Stack* const stack = find_stack(rest);
    if (!stack || rest.empty()) return respond(unknown(request));
    const Asked asked{std::move(rest), *stack, request, visitor, now, respond};
    if (own(asked)) return;
    if (request.method == "POST") return write(asked);
    if (!request.reads()) return respond(not_allowed("GET, POST"));
    get(asked);
}

bool Router::own(const Asked& asked) {
    if (&asked.stack != &stacks_.own() || asked.path.size() != 1) return false;
    const std::string& word = asked.path.front();
    const bool reads = asked.request.reads();
    if (word == "session" || word == "endpoints") {
        if (!reads)
            asked.respond(not_allowed("GET"));
        else if (word == "session")
            asked.respond(login_.session(asked.visitor));
        else
            asked.respond(json_response(200, {{"status", "ok"}, {"endpoints", stacks_.list()}}));
        return true;
    }
    if (word != "login" && word != "logout") return false;
    if (asked.request.method != "POST")
        asked.respond(not_allowed("POST"));
    else if (auto refused = gate_.refuse_write(asked.request, asked.visitor))
        asked.respond(std::move(*refused));
    else if (word == "login")
        login_.log_in(asked.request, asked.now, asked.respond);
    else
        asked.respond(login_.log_out(asked.visitor));
    return true;
}

void Router::get(const Asked& asked) {
    const Path& path = asked.path;
    if (path.size() == 2 && path[0] == "commands") return asked.respond(not_allowed("POST"));
    if (path.size() == 1 && path[0] == "events") return asked.respond(refusal(426, "this is a WebSocket"));
    if (path.size() != 1 || path[0] != "openapi.json") {
        if (!read(asked)) asked.respond(unknown(asked.request));
        return;
    }
    const auto answered = [respond = asked.respond, endpoint = asked.stack.name](const Answer& answer) {
        if (!answer.ok() || !answer.fields.contains("commands")) return respond(response_to(answer));
        respond(json_response(200, openapi(answer.fields.at("commands"), endpoint)));
    };
    asked.stack.backend.command("commands", Json::object(), guarded(asked.respond, answered));
}

bool Router::read(const Asked& asked) {
    for (const ReadRoute& route : read_routes()) {
        std::string name;
        if (!matches(route, asked.path, name)) continue;
        if (route.command.empty()) {
            const bool only_watchers = route.path == "watchers";
            const auto ready = [respond = asked.respond, only_watchers](const Answer& answer) {
                if (!answer.ok() || !only_watchers) return respond(response_to(answer));
                respond(json_response(200, {{"status", "ok"},
                                            {"time", answer.fields.at("time")},
                                            {"watchers", answer.fields.at("watchers")}}));
            };
            asked.stack.overview.ask(asked.now, guarded(asked.respond, ready));
            return true;
        }
        Json properties = route.always.empty() ? Json::object() : Json::parse(route.always);
        if (!name.empty()) properties[std::string(route.names)] = name;
        if (const auto wrong = add_query(route, asked.request, properties))
            asked.respond(refusal(400, *wrong));
        else if (route.command == "options")
            show_options(asked, properties);
        else
            send(asked, std::string(route.command), properties);
        return true;
    }
    return false;
}

void Router::write(const Asked& asked) {
    if (auto refused = gate_.refuse_write(asked.request, asked.visitor))
        return asked.respond(std::move(*refused));
    const Path& path = asked.path;
    if (path.size() != 2 || path[0] != "commands" || path[1].empty())
        return asked.respond(unknown(asked.request));
    const std::string& text = asked.request.body;
    const Json body = text.empty() ? Json::object() : parse_foreign(text);
    if (!body.is_object())
        return asked.respond(refusal(400, "the body must be a JSON object, the command's properties"));
    run(asked, to_lower(path[1]), body);
}

void Router::run(const Asked& asked, const std::string& command, const Json& properties) {
    const auto refuse = [this, command, properties, role = asked.visitor.role](const Json& commands) {
        return refusal_of(role, settings_.allow_add, command, properties, commands);
    };
    if (asked.visitor.role == Role::Operate) {
        if (const auto why = refuse(Json::object())) return asked.respond(refusal(403, *why));
        return carry_out(asked, command, properties);
    }
    // Only who may not change anything depends on what circusd says of its commands.
    const auto answered = [refuse, command, properties, &stack = asked.stack,
                           respond = asked.respond](const Answer& answer) {
        if (!answer.ok()) return respond(response_to(answer));
        if (const auto why = refuse(object_in(answer.fields, "commands"))) return respond(refusal(403, *why));
        command_to(stack, command, properties, Role::Read, respond);
    };
    asked.stack.backend.command("commands", Json::object(), guarded(asked.respond, answered));
}

void Router::carry_out(const Asked& asked, const std::string& command, const Json& properties) {
    if (is_query(command, properties)) return send(asked, command, properties);
    const auto answered = [tell = tell_, what = audit_text(asked, command, properties),
                           respond = asked.respond](const Answer& answer) {
        const auto why = [&] { return text_in(answer.fields, "reason", circus::status_text(answer.status)); };
        tell(what + (answer.ok() ? "ok" : "error: " + shortened(why())));
        respond(response_to(answer));
    };
    asked.stack.backend.command(command, properties, guarded(asked.respond, answered));
}

// "console: ann from 10.0.0.1: incr web: ". circusd's own line says the same of the plugin, with what was
// given besides.
std::string Router::audit_text(const Asked& asked, const std::string& command, const Json& properties) const {
    const std::string& user = asked.visitor.user;
    const std::string nobody = settings_.asks_who() ? "(token)" : "(not asked)";
    std::string what = "console: " + (user.empty() ? nobody : user) + " from " + asked.request.peer + ": " +
                       shortened(command);
    if (const auto name = text_in(properties, "name"); !name.empty()) what += ' ' + shortened(name);
    if (!asked.stack.name.empty()) what += " at " + asked.stack.name;
    return what + ": ";
}

void Router::send(const Asked& asked, const std::string& command, const Json& properties) {
    command_to(asked.stack, command, properties, asked.visitor.role, asked.respond);
}

// With what of them the visitor may change, which is for circusd to know and for the console to allow.
void Router::show_options(const Asked& asked, const Json& properties) {
    const auto answered = [role = asked.visitor.role, allow_add = settings_.allow_add,
                           respond = asked.respond](const Answer& answer) {
        Answer shown = answer;
        if (answer.ok()) {
            shown.fields["editable"] = editable(role, allow_add, answer.fields);
            shown.fields.erase("settable");
            if (role != Role::Operate) hide_secrets(shown.fields);
        }
        respond(response_to(shown));
    };
    asked.stack.backend.command("options", properties, guarded(asked.respond, answered));
}

std::optional<Response> Router::open_events(const Request& request, Time now, Visitor& visitor, Wish& wish) {
    if (auto refused = gate_.refuse(request)) return refused;
    auto path = request.path();
    if (!path || !is_api(*path)) return unknown(request);
    if (auto refused = gate_.recognise(request, now, visitor)) return refused;
    if (visitor.role == Role::None) return refusal(401, "log in, or send Authorization: Bearer TOKEN");
    wish.stack = find_stack(*path);
    if (!wish.stack || path->size() != 1 || path->front() != "events") return unknown(request);
    for (const auto& [name, value] : request.query()) {
        if (name == "topic") wish.topic = value;
        if (name == "overview") wish.overview = flag(value);
        if (name == "watcher") wish.watcher = value;
        if (name != "past") continue;
        const auto number = integer(value);
        if (!number || *number < 0) return refusal(400, "past must be a number");
        wish.past = std::min(static_cast<std::size_t>(*number), Stack::kKeptEvents);
    }
    return std::nullopt;
}

}  // namespace console
