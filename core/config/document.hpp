// Document: a TOML file as plain data, with the position of every key and everything in the order of the file
// (toml++ sorts its tables). document.cc is the only file that sees toml++. Internal to this folder.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json.hpp"

namespace circus::config {

struct Position {
    int file = 0;  // index of the file, by whoever reads several
    int line = 0;  // from 1
    int column = 0;
};

struct Entry {
    std::string key;
    Position at;  // of the key
    bool is_table = false;
    Json value;                  // not a table: a date or a time is a binary value
    std::vector<Entry> entries;  // a table

    const Entry* find(std::string_view name) const;
    Json to_json() const;
};

struct SyntaxError {
    Position at;
    std::string text;
};

// The whole text as one nameless table.
std::variant<Entry, SyntaxError> parse_document(std::string_view text, int file);

}  // namespace circus::config
