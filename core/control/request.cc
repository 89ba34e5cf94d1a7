#include "control/request.hpp"

#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "base/text.hpp"

namespace circus::control {

namespace {

std::size_t end_of_string(std::string_view text, std::size_t at) {
    for (++at; text[at] != '"'; ++at)
        if (text[at] == '\\') ++at;
    return at + 1;
}

// Where the value ends that begins at `at`. The text is known to be valid JSON.
std::size_t end_of_value(std::string_view text, std::size_t at) {
    if (text[at] == '"') return end_of_string(text, at);
    if (text[at] != '[' && text[at] != '{') return text.find_first_of(",} \t\r\n", at);
    int depth = 0;
    do {
        if (text[at] == '"') {
            at = end_of_string(text, at);
            continue;
        }
        if (text[at] == '[' || text[at] == '{') ++depth;
        if (text[at] == ']' || text[at] == '}') --depth;
        ++at;
    } while (depth > 0);
    return at;
}

// The text of the member `id` of an object that is known to be valid JSON; the last one, as the parser does.
std::string raw_id(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    std::string id = "null";
    std::size_t at = text.find('{') + 1;
    while (true) {
        at = text.find_first_not_of(kBlanks, at);
        if (text[at] == '}') return id;
        const std::size_t key_end = end_of_string(text, at);
        const std::string_view key = text.substr(at, key_end - at);
        // "id" may be written with escapes; anything longer than six \u00xx cannot be it.
        const bool is_id = key.size() <= 14 && Json::parse(key, nullptr, false) == "id";
        at = text.find_first_not_of(kBlanks, text.find(':', key_end) + 1);
        const std::size_t value_end = end_of_value(text, at);
        if (is_id) id = text.substr(at, value_end - at);
        at = text.find_first_not_of(kBlanks, value_end);
        if (text[at] == ',') ++at;
    }
}

// An object's text with members put in front of its own: an answer may be long, and is neither copied nor
// taken apart for them. `members`: JSON, not empty.
std::string framed(std::string_view members, std::string_view own, std::string_view end) {
    return cat("{", members, own.size() > 2 ? "," : "", own.substr(1, own.size() - 2), end, "}");
}

std::string id_member(std::string_view id) {
    return cat(",\"id\":", id);
}

std::string dumped(const Json& object) {
    return object.is_object() ? object.dump(-1, ' ', false, Json::error_handler_t::replace) : "{}";
}

std::string time_member(double now) {
    return cat("\"time\":", Json(now).dump());
}

}  // namespace

Request::Request() : properties(std::make_unique<Json>(Json::object())) {}
Request::Request(Request&&) noexcept = default;
Request& Request::operator=(Request&&) noexcept = default;
Request::~Request() = default;

Parsed parse_request(std::string_view bytes, double now) {
    const std::string_view text = trim(bytes);
    if (text.empty()) return {};
    const auto refuse = [&](Errno number, const std::string& reason, std::string_view id) {
        return Parsed{std::nullopt, error_answer(number, reason, now, id)};
    };
    Json message = parse_json(text);
    if (message.is_discarded()) return refuse(Errno::InvalidJson, "json invalid", "null");
    if (!message.is_object()) return refuse(Errno::Message, "message invalid: not an object", "null");

    Request request;
    if (message.contains("id")) request.id = raw_id(text);
    request.cast = message.contains("msg_type") && message["msg_type"] == "cast";
    const auto refuse_request = [&](const std::string& reason) {
        return request.cast ? Parsed{} : refuse(Errno::Message, reason, request.id);
    };
    const auto command = message.find("command");
    if (command == message.end()) return refuse_request("message invalid 'command' is missing");
    if (!command->is_string()) return refuse_request("'command' isn't a string");
    request.command = command->get<std::string>();
    const auto properties = message.find("properties");
    if (properties != message.end() && !properties->is_null()) {
        if (!properties->is_object()) return refuse_request("'properties' property should be an object");
        *request.properties = std::move(*properties);
    }
    return {std::move(request), {}};
}

Json ok_body(const Json& fields, double now) {
    Json answer = {{"status", "ok"}, {"time", now}};
    if (fields.is_object()) answer.update(fields);
    return answer;
}

Json error_body(Errno number, std::string_view reason, double now) {
    return {{"status", "error"},
            {"reason", reason},
            {"tb", nullptr},
            {"time", now},
            {"errno", static_cast<int>(number)}};
}

std::string ok_answer(const Json& fields, double now, std::string_view id) {
    const bool has_status = fields.is_object() && fields.contains("status");
    return framed(cat(has_status ? "" : "\"status\":\"ok\",", time_member(now)), dumped(fields),
                  id_member(id));
}

std::string ok_answer_of(std::string_view fields, double now, std::string_view id) {
    return framed(cat("\"status\":\"ok\",", time_member(now)), fields, id_member(id));
}

std::string ok_body_of(std::string_view fields, double now) {
    return framed(cat("\"status\":\"ok\",", time_member(now)), fields, {});
}

std::string error_answer(Errno number, std::string_view reason, double now, std::string_view id) {
    const Json fields = {
        {"reason", reason}, {"tb", nullptr}, {"time", now}, {"errno", static_cast<int>(number)}};
    return framed(R"("status":"error")", dumped(fields), id_member(id));
}

}  // namespace circus::control
