#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fnmatch.h>

namespace circus {

void detail::append_number(std::string& out, double number) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", number);
    out += text;
}

Error sys_error(std::string text, int errno_value) {
    char buffer[256];
    text += ": ";
    text += strerror_r(errno_value, buffer, sizeof buffer);  // the GNU one: returns the text
    return {std::move(text), errno_value};
}

std::string to_lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && to_lower(a) == to_lower(b);
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r\n\v\f";
    const auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string join(const std::vector<std::string>& parts, std::string_view between) {
    std::string out;
    for (const auto& part : parts) {
        if (&part != &parts.front()) out += between;
        out += part;
    }
    return out;
}

std::vector<std::string> split(std::string_view text, char at) {
    std::vector<std::string> parts;
    size_t from = 0;
    for (size_t to; (to = text.find(at, from)) != std::string_view::npos; from = to + 1)
        parts.emplace_back(text.substr(from, to - from));
    parts.emplace_back(text.substr(from));
    return parts;
}

Result<std::vector<std::string>> split_words(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    bool in_word = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            if (in_word) words.push_back(std::exchange(word, {}));
            in_word = false;
            continue;
        }
        in_word = true;
        if (c == '\\') {
            if (++i == text.size()) return Error{"no character behind the last backslash"};
            word += text[i];
        } else if (c == '\'') {
            const size_t end = text.find('\'', i + 1);
            if (end == std::string_view::npos) return Error{"no closing quotation (')"};
            word += text.substr(i + 1, end - i - 1);
            i = end;
        } else if (c == '"') {
            for (++i; i < text.size() && text[i] != '"'; ++i) {
                // Inside double quotes a backslash quotes only what is special there (POSIX 2.2.3).
                if (text[i] == '\\' && i + 1 < text.size() && std::strchr("\"\\$`\n", text[i + 1])) ++i;
                word += text[i];
            }
            if (i == text.size()) return Error{"no closing quotation (\")"};
        } else {
            word += c;
        }
    }
    if (in_word) words.push_back(std::move(word));
    return words;
}

bool glob_match(std::string_view pattern, std::string_view text) {
    return fnmatch(to_lower(pattern).c_str(), to_lower(text).c_str(), 0) == 0;
}

std::string py_repr(std::string_view text) {
    const bool doubled =
        text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
    const char quote = doubled ? '"' : '\'';
    std::string out(1, quote);
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == quote || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c == '\t') {
            out += "\\t";
        } else if (byte < 0x20 || byte == 0x7f) {
            char buffer[8];
            std::snprintf(buffer, sizeof buffer, "\\x%02x", byte);
            out += buffer;
        } else {
            out += c;
        }
    }
    return out += quote;
}

namespace {
size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}
}  // namespace

std::optional<std::string> did_you_mean(std::string_view text, const std::vector<std::string>& candidates) {
    const std::string wanted = to_lower(text);
    const std::string* best = nullptr;
    size_t best_distance = std::max<size_t>(2, wanted.size() / 3) + 1;
    for (const auto& candidate : candidates) {
        const size_t distance = edit_distance(wanted, to_lower(candidate));
        if (distance < best_distance && distance < std::max(wanted.size(), candidate.size())) {
            best_distance = distance;
            best = &candidate;
        }
    }
    if (!best) return std::nullopt;
    return *best;
}

std::optional<long long> parse_int(std::string_view text) {
    if (!text.empty() && text.front() == '+') text.remove_prefix(1);
    long long value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

std::optional<double> parse_number(std::string_view text) {
    if (!text.empty() && text.front() == '+') text.remove_prefix(1);
    double value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
        return std::nullopt;
    return value;
}

std::string human_bytes(double bytes) {
    constexpr std::string_view kUnits = "KMGTPE";
    if (!(bytes >= 1024)) return cat(static_cast<long long>(bytes), "B");
    std::size_t unit = 0;
    for (bytes /= 1024; bytes >= 1024 && unit + 1 < kUnits.size(); bytes /= 1024) ++unit;
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.2f", bytes);
    return cat(buffer, kUnits[unit]);
}

}  // namespace circus
