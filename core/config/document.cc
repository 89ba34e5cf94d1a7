#include "config/document.hpp"

#include <algorithm>
#include <tuple>

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace circus::config {
namespace {

Position position(const toml::source_region& region, int file) {
    return {file, static_cast<int>(region.begin.line), static_cast<int>(region.begin.column)};
}

Json to_value(const toml::node& node) {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* integer = node.as_integer()) return integer->get();
    if (const auto* number = node.as_floating_point()) return number->get();
    if (const auto* boolean = node.as_boolean()) return boolean->get();
    if (const auto* array = node.as_array()) {
        Json list = Json::array();
        for (const auto& element : *array) list.push_back(to_value(element));
        return list;
    }
    if (const auto* table = node.as_table()) {
        Json object = Json::object();
        for (const auto& [key, member] : *table) object[std::string(key.str())] = to_value(member);
        return object;
    }
    return Json::binary({});
}

Entry to_entry(const toml::node& node, std::string_view key, Position at) {
    Entry entry;
    entry.key = key;
    entry.at = at;
    const auto* table = node.as_table();
    if (!table) {
        entry.value = to_value(node);
        return entry;
    }
    entry.is_table = true;
    for (const auto& [name, member] : *table)
        entry.entries.push_back(to_entry(member, name.str(), position(name.source(), at.file)));
    std::stable_sort(entry.entries.begin(), entry.entries.end(), [](const Entry& a, const Entry& b) {
        return std::tie(a.at.line, a.at.column) < std::tie(b.at.line, b.at.column);
    });
    return entry;
}

}  // namespace

const Entry* Entry::find(std::string_view name) const {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [name](const Entry& entry) { return entry.key == name; });
    return found == entries.end() ? nullptr : &*found;
}

Json Entry::to_json() const {
    if (!is_table) return value;
    Json object = Json::object();
    for (const auto& entry : entries) object[entry.key] = entry.to_json();
    return object;
}

std::variant<Entry, SyntaxError> parse_document(std::string_view text, int file) {
    try {
        const toml::table table = toml::parse(text);
        return to_entry(table, "", {file, 0, 0});
    } catch (const toml::parse_error& error) {
        return SyntaxError{position(error.source(), file), std::string(error.description())};
    }
}

}  // namespace circus::config
