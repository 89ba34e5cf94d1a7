#include "foreign_json.hpp"

#include <utility>

namespace console {

using circus::Json;

namespace {

// What circusd takes has a level more around it, and no more than 256.
constexpr int kDeepest = 128;

bool is_too_deep(std::string_view text) {
    int depth = 0;
    bool in_string = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (in_string && c == '\\')
            ++at;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '[' || c == '{') && ++depth > kDeepest)
            return true;
        else if (!in_string && (c == ']' || c == '}'))
            --depth;
    }
    return false;
}

}  // namespace

Json parse_foreign(std::string_view text) {
    if (is_too_deep(text)) return Json(Json::value_t::discarded);
    return Json::parse(text, nullptr, false);
}

std::string text_in(const Json& object, const char* key, std::string otherwise) {
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::move(otherwise);
}

const Json& object_in(const Json& object, const char* key) {
    static const Json kNothing = Json::object();
    const auto at = object.find(key);
    return at != object.end() && at->is_object() ? *at : kNothing;
}

const Json& array_in(const Json& object, const char* key) {
    static const Json kNothing = Json::array();
    const auto at = object.find(key);
    return at != object.end() && at->is_array() ? *at : kNothing;
}

double number_in(const Json& object, const char* key, double otherwise) {
    const auto at = object.find(key);
    return at != object.end() && at->is_number() ? at->get<double>() : otherwise;
}

}  // namespace console
