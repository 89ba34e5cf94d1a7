#include <algorithm>
#include <cstdio>

#include "base/text.hpp"
#include "convert/stack.hpp"

namespace circus::convert {
namespace {

constexpr size_t kColumns = 100;

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (byte < 0x20 || byte == 0x7f) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04X", byte);
            out += escaped;
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string toml_value(const Json& value) {
    if (value.is_string()) return quoted(value.get<std::string>());
    if (!value.is_array()) return value.dump();
    std::vector<std::string> items;
    for (const auto& item : value) items.push_back(toml_value(item));
    return cat("[", join(items, ", "), "]");
}

// "env.HOME" is two keys, of which the second may hold anything; a variable of [env] is one.
std::string toml_keys(const Section& section, const std::string& key) {
    const size_t dot = section.kind() == "env" ? std::string::npos : key.find('.');
    if (dot == std::string::npos) return toml_key(key);
    return cat(key.substr(0, dot), ".", toml_key(key.substr(dot + 1)));
}

// In lines of kColumns; a line after the first is indented.
std::string comment(const std::string& text) {
    std::string out = "#";
    size_t column = 1;
    for (const auto& line : split(text, '\n')) {
        if (column > 1) {
            out += "\n#  ";
            column = 3;
        }
        for (const auto& word : split(line, ' ')) {
            if (column > 3 && column + 1 + word.size() > kColumns) {
                out += "\n#  ";
                column = 3;
            }
            out += " " + word;
            column += 1 + word.size();
        }
    }
    return out + "\n";
}

std::string written(const Section& section, const Line& line) {
    if (line.kind == Line::Kind::Comment) return comment(line.text);
    const bool off = section.disabled() || line.kind == Line::Kind::Disabled;
    return cat(off ? "# " : "", toml_keys(section, line.key), " = ", toml_value(line.value), "\n");
}

std::string written(const Section& section) {
    std::string text;
    if (!section.origin().empty()) text += comment(cat(section.at().to_string(), ": ", section.origin()));
    text += cat(section.disabled() ? "# " : "", "[", section.title(), "]\n");
    for (const auto& line : section.lines()) text += written(section, line);
    return text;
}

}  // namespace

std::string toml_key(std::string_view name) {
    const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-';
    });
    return bare ? std::string(name) : quoted(std::string(name));
}

std::string write_toml(const Stack& stack) {
    std::string text;
    for (const auto& note : stack.notes) text += comment(note.text);
    for (const auto& section : stack.sections) {
        if (!text.empty()) text += "\n";
        text += written(section);
    }
    return text;
}

}  // namespace circus::convert
