// What people read of the command table's rows: usage lines and help texts.
#include <algorithm>
#include <cstddef>

#include "base/text.hpp"
#include "control/command_table.hpp"

namespace circus::control {

namespace {

using Kind = Argument::Kind;

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

std::string shown(const Argument& argument) {
    switch (argument.kind) {
        case Kind::RestAsOptions:
            return "KEY VALUE [KEY VALUE ...]";
        case Kind::RestAsList: {
            const std::string one = upper(argument.property.substr(0, argument.property.size() - 1));
            return argument.required ? cat(one, " [", one, " ...]") : cat("[", one, " ...]");
        }
        case Kind::RestAsText:
            return upper(argument.property) + " ...";
        default:
            return argument.required ? upper(argument.property) : cat("[", upper(argument.property), "]");
    }
}

constexpr Switch kWaiting = {.name = "waiting", .doc = "answer when it is done, not when it has begun"};

// Words in lines of at most 78 columns.
std::string wrap(std::string_view text) {
    constexpr std::size_t kColumns = 78;
    std::string out;
    std::size_t column = 0;
    for (const auto& word : split(text, ' ')) {
        if (column > 0 && column + 1 + word.size() > kColumns) {
            out += '\n';
            column = 0;
        } else if (column > 0) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
    }
    return out;
}

}  // namespace

std::vector<Switch> switches_of(const Command& command) {
    std::vector<Switch> all = command.switches;
    if (command.waitable) all.push_back(kWaiting);
    return all;
}

std::string usage(const Command& command) {
    std::string text(command.name);
    for (const Argument& argument : command.arguments) text += " " + shown(argument);
    for (const Switch& option : switches_of(command)) text += cat(" [", written(option), "]");
    return text;
}

std::string written(const Switch& option) {
    const std::string letter = option.letter ? cat("-", option.letter, "|") : "";
    return cat(letter, "--", option.name, option.value.empty() ? "" : " ", option.value);
}

std::string columns(const std::vector<std::pair<std::string, std::string_view>>& rows) {
    std::size_t width = 0;
    for (const auto& [left, right] : rows) width = std::max(width, left.size());
    std::string text;
    for (const auto& [left, right] : rows)
        text += cat("  ", left, std::string(width - left.size() + 2, ' '), right, "\n");
    return text;
}

std::vector<std::pair<std::string, std::string_view>> details(const Command& command) {
    std::vector<std::pair<std::string, std::string_view>> rows;
    for (const Argument& argument : command.arguments)
        if (!argument.doc.empty()) rows.emplace_back(shown(argument), argument.doc);
    for (const Switch& option : switches_of(command)) rows.emplace_back(written(option), option.doc);
    return rows;
}

std::string help_text(const Command& command) {
    std::string text = cat("Usage: circusctl ", usage(command), "\n\n", wrap(command.help), "\n");
    const auto rows = details(command);
    if (!rows.empty()) text += "\n" + columns(rows);
    return text;
}

}  // namespace circus::control
