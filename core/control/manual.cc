#include "control/manual.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <optional>

#include "base/text.hpp"
#include "config/option_table.hpp"
#include "control/command_line.hpp"
#include "control/command_table.hpp"

namespace circus::control {

namespace {

using config::Effect;
using config::OptionInfo;
using config::ValueType;

constexpr std::string_view kOpen = "<!-- table: ";
constexpr std::string_view kOpenEnd = " -->";
constexpr std::string_view kClose = "<!-- end of table -->";

// The docs of the tables are phrases: "how many", "seconds between two spawns".
std::string sentence(std::string_view phrase) {
    std::string text(phrase);
    if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    if (!text.empty() && std::string_view(".!?").find(text.back()) == std::string_view::npos) text += '.';
    return text;
}

std::string code(std::string_view text) {
    return cat("`", text, "`");
}

std::string_view type_name(ValueType type) {
    switch (type) {
        case ValueType::Boolean:
            return "boolean";
        case ValueType::Integer:
            return "integer";
        case ValueType::Number:
            return "number";
        case ValueType::Text:
            return "string";
        case ValueType::TextOrList:
            return "string or array of strings";
        case ValueType::Signal:
            return "signal: a name, with or without SIG, or a number";
        case ValueType::UserName:
            return "user: a name or a number";
        case ValueType::GroupName:
            return "group: a name or a number";
        case ValueType::Octal:
            return "string of octal digits";
        case ValueType::Env:
            return "table of strings";
        case ValueType::Stream:
        case ValueType::Hooks:
        case ValueType::Table:
            return "table";
        case ValueType::Ready:
            return "string or table";
        case ValueType::Depends:
            return "array of strings or table";
        case ValueType::Size:
            return "size: an integer of bytes or a string like `\"200M\"`";
        case ValueType::Strings:
            return "array of strings";
        case ValueType::Rlimit:
            return "integer, `\"unlimited\"` or an array of both limits";
    }
    return {};
}

std::string_view change(Effect effect) {
    switch (effect) {
        case Effect::Live:
            return "a change takes effect at once";
        case Effect::Count:
            return "a change starts or stops the difference";
        case Effect::Respawn:
            return "a change replaces the processes";
        case Effect::Restart:
            return "a change needs a restart";
    }
    return {};
}

std::string type_of(const OptionInfo& row) {
    if (row.choices.empty()) return std::string(type_name(row.type));
    std::vector<std::string> words;
    for (const auto& word : row.choices) words.push_back(code(word));
    return cat("one of ", join(words, ", "));
}

std::string options(const std::vector<OptionInfo>& rows) {
    std::string text;
    for (const auto& row : rows) {
        const std::string given =
            row.default_text == "–" ? "no default" : "default " + code(row.default_text);
        text += cat("### ", row.name, "\n\n*", type_of(row), " · ", given, " · ", change(row.effect), "*\n\n",
                    sentence(row.doc), "\n\n");
    }
    return text;
}

std::string circus_part() {
    return options(config::circus_options());
}
std::string watcher_part() {
    return options(config::watcher_options());
}
std::string plugin_part() {
    return options(config::plugin_options());
}

std::string socket_part() {
    return options(config::socket_options());
}

std::string stream_part() {
    std::string text = options(config::stream_options());
    text += "### Classes\n\n";
    for (const auto& each : config::stream_classes()) {
        std::vector<std::string> names;
        for (const auto name : each.options)
            if (name != "class") names.push_back(code(name));
        text += cat("- ", code(each.name), " ", each.doc, ". Options: ", join(names, ", "), ".\n");
    }
    return text + "\n";
}

std::string_view type_name(PropertyType type) {
    switch (type) {
        case PropertyType::Any:
            return {};
        case PropertyType::Flag:
            return "boolean";
        case PropertyType::Text:
            return "string";
        case PropertyType::Integer:
            return "integer";
        case PropertyType::Seconds:
            return "seconds";
        case PropertyType::Signal:
            return "signal, name or number";
        case PropertyType::List:
            return "list";
        case PropertyType::Object:
            return "object";
    }
    return {};
}

std::string property_text(const Property& property) {
    std::vector<std::string> facts;
    if (const auto type = type_name(property.type); !type.empty()) facts.emplace_back(type);
    if (property.required) facts.emplace_back("required");
    std::string text = code(property.name);
    if (!facts.empty()) text += cat(" (", join(facts, ", "), ")");
    if (property.role != model::Role::None) text += cat(" for the role ", model::name_of(property.role));
    return text;
}

std::string message_text(const Command& command) {
    std::vector<std::string> properties;
    for (const auto& property : command.properties) properties.push_back(property_text(property));
    if (command.waitable) properties.push_back(property_text({"waiting", PropertyType::Flag, false}));
    return properties.empty() ? "no properties" : join(properties, ", ");
}

std::string section(const Command& command) {
    std::string text = cat("### ", command.name, "\n\n", sentence(command.summary), "\n\n```\ncircusctl ",
                           usage(command), "\n```\n\n", command.help, "\n\n");
    std::string items;
    for (const auto& [left, right] : details(command)) items += cat("- ", code(left), ": ", right, "\n");
    return items.empty() ? text : text + items + "\n";
}

std::string commands_part() {
    std::string text;
    for (const Command& command : commands()) {
        text += section(command);
        if (command.name == "listen") continue;  // no message of its own
        text += cat("Message: ", message_text(command), ".");
        if (!command.answer.empty()) text += cat("\\\nAnswer: ", command.answer, ".");
        text += cat("\\\nRole: ", model::name_of(command.role), ".");
        if (!command.while_stopping) text += "\\\nRefused while circusd stops.";
        text += "\n\n";
    }
    return text;
}

std::string own_commands_part() {
    std::string text;
    for (const Command& command : own_commands()) text += section(command);
    return text;
}

std::string own_switches_part() {
    std::string text = "| option | meaning |\n| --- | --- |\n";
    for (const Switch& option : own_switches())
        text += cat("| ", code(written(option)), " | ", option.doc, " |\n");
    return text + "\n";
}

struct Part {
    std::string_view name;
    std::string (*write)();
};
constexpr std::array kParts{
    Part{"circus options", circus_part},
    Part{"watcher options", watcher_part},
    Part{"stream options", stream_part},
    Part{"socket options", socket_part},
    Part{"plugin options", plugin_part},
    Part{"commands", commands_part},
    Part{"commands of circusctl itself", own_commands_part},
    Part{"options of circusctl", own_switches_part},
};

// The name in a line that opens a part.
std::optional<std::string_view> opened(std::string_view line) {
    if (!line.starts_with(kOpen) || !line.ends_with(kOpenEnd)) return std::nullopt;
    return line.substr(kOpen.size(), line.size() - kOpen.size() - kOpenEnd.size());
}

}  // namespace

std::vector<std::string_view> manual_parts() {
    std::vector<std::string_view> names;
    for (const Part& part : kParts) names.push_back(part.name);
    return names;
}

std::vector<std::string> parts_of(const std::string& page) {
    std::vector<std::string> names;
    for (const auto& line : split(page, '\n'))
        if (const auto name = opened(line)) names.emplace_back(*name);
    return names;
}

Result<std::string> fill_manual(const std::string& page) {
    std::vector<std::string> lines = split(page, '\n');
    std::string out;
    for (std::size_t at = 0; at < lines.size(); ++at) {
        out += lines[at];
        if (at + 1 < lines.size()) out += '\n';
        const auto name = opened(lines[at]);
        if (!name) continue;
        const auto part =
            std::find_if(kParts.begin(), kParts.end(), [&name](const Part& p) { return p.name == *name; });
        if (part == kParts.end()) return Error{cat("line ", at + 1, ": no table is called \"", *name, "\"")};
        const auto end = std::find(lines.begin() + static_cast<std::ptrdiff_t>(at), lines.end(), kClose);
        if (end == lines.end())
            return Error{cat("line ", at + 1, ": no \"", kClose, "\" behind \"", lines[at], "\"")};
        out += cat("\n", part->write(), kClose, "\n");
        at = static_cast<std::size_t>(end - lines.begin());
    }
    return out;
}

}  // namespace circus::control
