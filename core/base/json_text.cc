#include "base/json_text.hpp"

#include <nlohmann/json.hpp>

namespace circus {

bool is_too_deep(std::string_view text, int deepest) {
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > deepest) return true;
        } else if (c == ']' || c == '}') {
            --depth;
        }
    }
    return false;
}

Json parse_json(std::string_view text, int deepest) {
    if (is_too_deep(text, deepest)) return Json(Json::value_t::discarded);
    return Json::parse(text, nullptr, false);
}

}  // namespace circus
