#include "http.hpp"

#include <algorithm>
#include <cctype>

namespace console {

namespace {

int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = static_cast<char>(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

template <class Part>
void each_part(std::string_view text, char separator, const Part& part) {
    while (true) {
        const auto end = text.find(separator);
        part(text.substr(0, end));
        if (end == std::string_view::npos) return;
        text.remove_prefix(end + 1);
    }
}

}  // namespace

std::string to_lower(std::string_view text) {
    std::string lower(text);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return lower;
}

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<std::string> decoded(std::string_view text, bool plus_is_blank) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        char c = text[at];
        if (c == '%') {
            if (at + 2 >= text.size() || hex(text[at + 1]) < 0 || hex(text[at + 2]) < 0) return std::nullopt;
            c = static_cast<char>(hex(text[at + 1]) * 16 + hex(text[at + 2]));
            at += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
        out += c;
    }
    return out;
}

std::string_view Request::header(std::string_view name) const {
    const auto at =
        std::find_if(headers.begin(), headers.end(), [name](const auto& each) { return each.first == name; });
    return at == headers.end() ? std::string_view() : std::string_view(at->second);
}

std::string_view Request::cookie(std::string_view name) const {
    std::string_view found;
    for (const auto& [key, value] : headers) {
        if (key != "cookie") continue;
        each_part(value, ';', [&](std::string_view part) {
            part = trimmed(part);
            const auto equals = part.find('=');
            if (equals != std::string_view::npos && part.substr(0, equals) == name && found.empty())
                found = part.substr(equals + 1);
        });
    }
    return found;
}

std::optional<std::vector<std::string>> Request::path() const {
    const std::string_view written = std::string_view(target).substr(0, target.find('?'));
    if (!written.starts_with('/')) return std::nullopt;
    std::vector<std::string> parts;
    bool sound = true;
    each_part(written.substr(1), '/', [&](std::string_view part) {
        auto plain = decoded(part, false);
        sound = sound && plain;
        parts.push_back(std::move(plain).value_or(""));
    });
    if (!sound) return std::nullopt;
    return parts;
}

Pairs Request::query() const {
    Pairs found;
    const auto mark = target.find('?');
    if (mark == std::string::npos) return found;
    each_part(std::string_view(target).substr(mark + 1), '&', [&](std::string_view part) {
        const auto equals = part.find('=');
        auto name = decoded(part.substr(0, equals), true);
        auto value = decoded(equals == std::string_view::npos ? "" : part.substr(equals + 1), true);
        if (name && value && !name->empty()) found.emplace_back(std::move(*name), std::move(*value));
    });
    return found;
}

Response json_response(int status, const Json& body) {
    return {status, "application/json", circus::detail::dump(body) + "\n", {}};
}

Response refusal(int status, std::string_view reason) {
    return json_response(status, {{"status", "error"}, {"reason", reason}});
}

}  // namespace console
