#include "control/offer.hpp"

#include <algorithm>
#include <cctype>
#include <cstddef>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/answer_fields.hpp"
#include "control/python_text.hpp"

namespace circus::control {

namespace {

std::string text_in(const Json& object, const char* name) {
    const Json& value = field(object, name);
    return value.is_string() ? value.get<std::string>() : std::string();
}

OfferedArgument argument_in(const Json& value) {
    if (value.is_string()) return {.name = value.get<std::string>()};
    return {.name = text_in(value, "name"),
            .type = text_in(value, "type"),
            .doc = text_in(value, "doc"),
            .required = is_true(field(value, "required"))};
}

std::string usage_of(const Offer& offer) {
    std::string text = offer.name;
    for (const auto& argument : offer.arguments)
        text += argument.required ? cat(" ", argument.name) : cat(" [", argument.name, "]");
    return text;
}

bool is_placeholder(const std::string& word) {
    return !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
        return std::isupper(c) != 0 || std::isdigit(c) != 0 || c == '_';
    });
}

// "scale WATCHER [BY] [--force]": watcher, by. Empty where it is written in another way.
std::vector<OfferedArgument> arguments_in(const std::string& usage) {
    std::vector<OfferedArgument> found;
    const auto words = split(usage, ' ');
    bool in_switch = false;
    for (std::size_t at = 1; at < words.size(); ++at) {
        std::string word = words[at];
        in_switch = in_switch || word.starts_with("[--");
        if (in_switch) {
            in_switch = !word.ends_with(']');
            continue;
        }
        const bool optional = word.size() > 2 && word.front() == '[' && word.back() == ']';
        if (optional) word = word.substr(1, word.size() - 2);
        if (!is_placeholder(word)) return {};
        const std::string name = to_lower(word);
        const bool names = name == "name" || name == "watcher";
        found.push_back({.name = name, .type = names ? "text" : "", .required = !optional});
    }
    return found;
}

Offer offer_in(const std::string& name, const Json& value) {
    Offer offer{.name = name, .summary = text_in(value, "summary"), .help = text_in(value, "help")};
    const Json& arguments = field(value, "arguments");
    if (arguments.is_array())
        for (const auto& each : arguments)
            if (auto argument = argument_in(each); !argument.name.empty())
                offer.arguments.push_back(std::move(argument));
    offer.usage = text_in(value, "usage");
    if (offer.usage.empty())
        offer.usage = usage_of(offer);
    else if (!arguments.is_array())
        offer.arguments = arguments_in(offer.usage);
    return offer;
}

Error wrong(const Offer& offer, const std::string& what) {
    return {cat(what, "; usage: circusctl ", offer.usage), static_cast<int>(Exit::Failed)};
}

Result<Json> value_of(const Offer& offer, const OfferedArgument& argument, const std::string& word) {
    if (argument.type == "integer") {
        if (const auto number = parse_int(word)) return Json(*number);
        return wrong(offer, cat(py_repr(argument.name), " isn't an integer: ", py_repr(word)));
    }
    if (argument.type == "number") {
        if (const auto number = parse_number(word)) return Json(*number);
        return wrong(offer, cat(py_repr(argument.name), " isn't a number: ", py_repr(word)));
    }
    if (argument.type == "boolean") {
        if (word == "true" || word == "yes") return Json(true);
        if (word == "false" || word == "no") return Json(false);
        return wrong(offer, cat(py_repr(argument.name), " isn't a boolean (yes or no): ", py_repr(word)));
    }
    if (argument.type.empty()) {
        if (const auto number = parse_int(word)) return Json(*number);
        if (const auto number = parse_number(word)) return Json(*number);
    }
    return Json(word);
}

OfferedArgument argument_called(const Offer& offer, const std::string& name) {
    for (const auto& argument : offer.arguments)
        if (argument.name == name) return argument;
    return {.name = name};
}

}  // namespace

std::vector<Offer> offers_in(const Json& answer) {
    std::vector<Offer> offers;
    const Json& commands = field(answer, "commands");
    if (commands.is_object())
        for (const auto& [name, value] : commands.items()) offers.push_back(offer_in(name, value));
    if (commands.is_array())
        for (const auto& value : commands)
            if (const auto name = argument_in(value).name; !name.empty())
                offers.push_back(offer_in(name, value));
    return offers;
}

Result<Json> properties_of(const Offer& offer, const Invocation& invocation) {
    Json properties = Json::object();
    const auto& words = invocation.words;
    for (std::size_t at = 0; at < words.size(); ++at) {
        if (at >= offer.arguments.size()) {
            properties["args"].push_back(words[at]);
            continue;
        }
        auto value = value_of(offer, offer.arguments[at], words[at]);
        if (!value) return value.error();
        properties[offer.arguments[at].name] = std::move(*value);
    }
    for (const auto& written : invocation.offered_switches) {
        const std::size_t equals = written.find('=');
        const std::string name = written.substr(2, equals == std::string::npos ? equals : equals - 2);
        if (equals == std::string::npos) {
            properties[name] = true;
            continue;
        }
        auto value = value_of(offer, argument_called(offer, name), written.substr(equals + 1));
        if (!value) return value.error();
        properties[name] = std::move(*value);
    }
    for (const auto& argument : offer.arguments)
        if (argument.required && !properties.contains(argument.name))
            return wrong(offer, cat("argument ", argument.name, " is missing"));
    return properties;
}

std::string help_text(const Offer& offer) {
    std::string text =
        cat("Usage: circusctl ", offer.usage, "\n\n", offer.help.empty() ? offer.summary : offer.help, "\n");
    std::vector<std::pair<std::string, std::string_view>> rows;
    for (const auto& argument : offer.arguments)
        if (!argument.doc.empty()) rows.emplace_back(argument.name, argument.doc);
    return rows.empty() ? text : cat(text, "\n", columns(rows));
}

std::string render_offered(const Json& answer) {
    std::vector<std::string> lines;
    std::string only;
    if (answer.is_object())
        for (const auto& [key, value] : answer.items()) {
            if (key == "status" || key == "time" || key == "id") continue;
            only = str(value);
            lines.push_back(cat(key, ": ", only));
        }
    return lines.empty() ? "ok" : lines.size() == 1 ? only : join(lines, "\n");
}

}  // namespace circus::control
