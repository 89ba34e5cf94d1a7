#include "plugin/frames.hpp"

#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace circus::plugin {

std::string dump(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string frame(const Json& fields, std::string_view raw_name, std::string_view raw_json) {
    std::string text = dump(fields);
    if (raw_name.empty()) return text;
    text.pop_back();
    text += cat(",\"", raw_name, "\":", raw_json.empty() ? std::string_view("{}") : raw_json, "}");
    return text;
}

Json parse_frame(const std::string& text) {
    Json message = Json::parse(text, nullptr, false);
    const bool is_frame = message.is_object() && message.contains("m") && message["m"].is_string();
    return is_frame ? message : Json();
}

}  // namespace circus::plugin
