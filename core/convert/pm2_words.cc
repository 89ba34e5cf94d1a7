#include "convert/pm2_words.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace circus::convert {

std::string shell_word(const std::string& word) {
    const bool plain = !word.empty() && word.find_first_of(" \t\n\"'\\$`") == std::string::npos;
    if (plain) return word;
    std::string out = "'";
    for (const char c : word) {
        if (c == '\'')
            out += "'\\''";
        else
            out += c;
    }
    return out + "'";
}

std::optional<std::string> strftime_of(std::string_view format) {
    static const std::pair<std::string_view, std::string_view> kTokens[] = {
        {"YYYY", "%Y"}, {"YY", "%y"},  {"MMMM", "%B"}, {"MMM", "%b"}, {"MM", "%m"}, {"DD", "%d"},
        {"dddd", "%A"}, {"ddd", "%a"}, {"HH", "%H"},   {"hh", "%I"},  {"mm", "%M"}, {"ss", "%S"},
        {"ZZ", "%z"},   {"Z", "%z"},   {"A", "%p"},    {"X", "%s"},
    };
    std::string out;
    for (size_t at = 0; at < format.size();) {
        const size_t close = format.find(']', at);
        if (format[at] == '[' && close != std::string_view::npos) {
            out += format.substr(at + 1, close - at - 1);
            at = close + 1;
            continue;
        }
        const auto token = std::find_if(std::begin(kTokens), std::end(kTokens), [&](const auto& known) {
            return format.substr(at).starts_with(known.first);
        });
        if (token != std::end(kTokens)) {
            out += token->second;
            at += token->first.size();
        } else if (format[at] == 'T' || !std::isalpha(static_cast<unsigned char>(format[at]))) {
            out += format[at] == '%' ? std::string("%%") : std::string(1, format[at]);
            ++at;
        } else {
            return std::nullopt;
        }
    }
    return out;
}

std::optional<double> seconds_of(const Json& value) {
    if (value.is_number()) return value.get<double>() / 1000;
    if (!value.is_string()) return std::nullopt;
    std::string word = to_lower(trim(value.get_ref<const std::string&>()));
    double unit = 0.001;
    if (word.ends_with("s")) unit = 1;
    if (word.ends_with("m")) unit = 60;
    if (word.ends_with("h")) unit = 3600;
    if (word.ends_with("ms")) unit = 0.001;
    while (!word.empty() && std::isalpha(static_cast<unsigned char>(word.back()))) word.pop_back();
    const auto number = parse_number(word);
    if (!number) return std::nullopt;
    return *number * unit;
}

}  // namespace circus::convert
