#include "control/command_line.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <optional>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/convert.hpp"

namespace circus::control {

namespace {

using Kind = Argument::Kind;

constexpr double kMaxTimeout = 1e9;

Error fail(Exit code, std::string text) {
    return {std::move(text), static_cast<int>(code)};
}

Error wrong_number(const Command& command) {
    return fail(Exit::Failed, cat("wrong number of arguments; usage: circusctl ", usage(command)));
}

bool is_option(const std::string& word) {
    if (word.size() < 2 || word[0] != '-') return false;
    return !parse_number(word);  // -1 is a value
}

class Parser {
  public:
    Parser(const std::vector<std::string>& words, const Invocation& own) : words_(words), out_(own) {}

    Result<Invocation> run() {
        while (at_ < words_.size()) {
            const std::size_t first = at_;
            const std::string& word = words_[at_++];
            for_ssh_ = false;
            Status taken = Ok{};
            if (word == "--" && !ended_)
                ended_ = true;
            else if (!ended_ && is_option(word) && !is_plain(word))
                taken = option(word);
            else
                taken = plain(word);
            if (!taken) return taken.error();
            if (!for_ssh_) out_.forwarded.insert(out_.forwarded.end(), at(first), at(at_));
        }
        if (out_.what == Invocation::What::Nothing && !out_.offered.empty())
            out_.what = Invocation::What::Offered;
        if (out_.what == Invocation::What::Nothing && out_.command) out_.what = Invocation::What::Call;
        return out_;
    }

  private:
    std::vector<std::string>::const_iterator at(std::size_t index) const {
        return words_.begin() + static_cast<std::ptrdiff_t>(index);
    }

    Status plain(const std::string& word) {
        if (out_.command || !out_.offered.empty()) {
            out_.words.push_back(word);
            return Ok{};
        }
        if (word == "help" && out_.what == Invocation::What::Nothing) {
            out_.what = Invocation::What::Help;
            return Ok{};
        }
        if (at_ < words_.size()) out_.command = find_own_command(cat(word, " ", words_[at_]));
        if (out_.command) {
            ++at_;
            return Ok{};
        }
        out_.command = find_command(word);
        if (!out_.command) out_.command = find_own_command(word);
        if (!out_.command) out_.offered = word;
        return Ok{};
    }

    // Behind the first word of a command to run, an option is that command's, unless it is one of `add`'s or
    // only says how the answer is shown.
    bool is_plain(const std::string& word) const {
        if (!out_.command || out_.command->arguments.empty()) return false;
        const auto& arguments = out_.command->arguments;
        const std::string name = name_of(word);
        return arguments.back().kind == Kind::RestAsText && out_.words.size() >= arguments.size() &&
               !find_switch(name) && name != "json" && name != "prettify";
    }

    static std::string name_of(const std::string& word) {
        const std::size_t dashes = word.starts_with("--") ? 2 : 1;
        return word.substr(dashes, word.find('=') - dashes);
    }

    std::optional<Switch> find_switch(const std::string& name) const {
        if (!out_.command) return std::nullopt;
        for (const Switch& known : switches_of(*out_.command))
            if (known.name == name) return known;
        return std::nullopt;
    }

    // The switch of a -o; nothing that a letter could stand for: an empty text.
    std::string name_of_letter(const std::string& word) const {
        if (!out_.command || word.size() != 2 || word[0] != '-') return {};
        for (const Switch& known : switches_of(*out_.command))
            if (known.letter == word[1]) return std::string(known.name);
        return {};
    }

    Status option(const std::string& word) {
        if (const std::string long_name = name_of_letter(word); !long_name.empty()) return named(long_name);
        const std::string name = name_of(word);
        const std::size_t equals = word.find('=');
        if (equals != std::string::npos) given_ = word.substr(equals + 1);
        const Status taken = word == "-h"             ? own("help")
                             : word.starts_with("--") ? named(name)
                                                      : unknown(word);
        if (taken && given_) return fail(Exit::Usage, cat("option --", name, " takes no value"));
        given_.reset();
        return taken;
    }

    Status named(const std::string& name) {
        const auto known = find_switch(name);
        if (!known) return own(name);
        std::string value;
        if (!known->value.empty()) {
            auto given = take_value(name);
            if (!given) return given.error();
            value = std::move(*given);
        }
        out_.switches.emplace_back(*known, std::move(value));
        if (known->second.empty()) return Ok{};
        auto second = take_value(name);
        if (!second) return fail(Exit::Usage, cat("option --", name, " needs two values: ", known->value));
        out_.switches.emplace_back(Switch{.name = known->second, .doc = {}, .value = known->value},
                                   std::move(*second));
        return Ok{};
    }

    Status own(const std::string& name) {
        const auto switches = own_switches();
        const auto known = std::find_if(switches.begin(), switches.end(),
                                        [&name](const Switch& option) { return option.name == name; });
        if (known == switches.end()) return not_ours(name);
        std::string value;
        if (!known->value.empty()) {
            auto given = take_value(name);
            if (!given) return given.error();
            value = std::move(*given);
        }
        return set_own(name, std::move(value));
    }

    Status set_own(const std::string& name, std::string value) {
        if (name == "json") out_.json = true;
        if (name == "prettify") out_.prettify = true;
        if (name == "help") out_.what = Invocation::What::Help;
        if (name == "version") out_.what = Invocation::What::Version;
        if (name == "timeout") {
            const auto seconds = parse_number(value);
            if (!seconds || !(*seconds > 0 && *seconds <= kMaxTimeout))
                return fail(Exit::Usage, cat("option --timeout: not a number of seconds: ", py_repr(value)));
            out_.timeout = *seconds;
        }
        if (name == "color") {
            const auto when = parse_colour_when(value);
            if (!when)
                return fail(Exit::Usage, cat("option --color: not auto, always or never: ", py_repr(value)));
            out_.colour = *when;
        }
        // An empty one is a variable that was not set: nothing may be done here in the place of there.
        if (name == "ssh" && value.empty()) return fail(Exit::Usage, "option --ssh: no host");
        for_ssh_ = name == "ssh" || name == "ssh_keyfile";
        if (name == "endpoint")
            out_.endpoint = std::move(value);
        else if (name == "curve")
            out_.curve = std::move(value);
        else if (name == "ssh")
            out_.ssh = std::move(value);
        else if (name == "ssh_keyfile")
            out_.ssh_keyfile = std::move(value);
        return Ok{};
    }

    // Of a command that is not in the table it is not known which switches it has.
    Status not_ours(const std::string& name) {
        if (out_.offered.empty()) return unknown("--" + name);
        out_.offered_switches.push_back(given_ ? cat("--", name, "=", *given_) : "--" + name);
        given_.reset();
        return Ok{};
    }

    Status unknown(const std::string& word) const {
        std::string text = cat("unknown option: ", word);
        if (out_.command) text += cat("; usage: circusctl ", usage(*out_.command));
        return fail(Exit::Usage, std::move(text));
    }

    Result<std::string> take_value(const std::string& name) {
        if (given_) {
            std::string value = std::move(*given_);
            given_.reset();
            return value;
        }
        if (at_ == words_.size()) return fail(Exit::Usage, cat("option --", name, " needs a value"));
        return words_[at_++];
    }

    const std::vector<std::string>& words_;
    std::size_t at_ = 0;
    bool ended_ = false;
    bool for_ssh_ = false;              // the option at hand is ssh's
    std::optional<std::string> given_;  // what stands behind "=" of the option at hand
    Invocation out_;
};

Result<Json> options_of(const std::vector<std::string>& words) {
    Json options = Json::object();
    for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
        const std::string key = to_lower(words[i]);
        auto value = convert_option(key, words[i + 1]);
        if (!value) return value.error();
        options[key] = std::move(*value);
    }
    return options;
}

bool takes_rest(const Argument& argument) {
    return argument.kind != Kind::Text && argument.kind != Kind::Integer;
}

Result<Json> rest_of(const Command& command, Kind kind, const std::vector<std::string>& words) {
    if (kind == Kind::RestAsText) return Json(join(words, " "));
    if (kind == Kind::RestAsList) return Json(words);
    if (words.size() % 2 != 0) return wrong_number(command);
    return options_of(words);
}

Result<Json> value_of(const Argument& argument, const std::string& word) {
    if (argument.kind != Kind::Integer) return Json(word);
    if (const auto number = parse_int(word)) return Json(*number);
    return fail(Exit::Failed, cat(py_repr(argument.property), " isn't an integer: ", py_repr(word)));
}

}  // namespace

Result<Invocation> parse_command_line(const std::vector<std::string>& arguments, const Invocation& own) {
    return Parser(arguments, own).run();
}

Error unknown_command(const std::string& name, std::string_view why) {
    std::string text = cat("unknown command: ", py_repr(name));
    std::vector<std::string> names = command_names();
    for (const Command& own : own_commands()) names.emplace_back(own.name);
    if (const auto near = did_you_mean(name, names)) text += cat("; did you mean ", *near, "?");
    if (!why.empty()) text += cat(" (", why, ")");
    return fail(Exit::Usage, std::move(text));
}

Result<Json> properties_of(const Invocation& invocation) {
    const Command& command = *invocation.command;
    const auto& words = invocation.words;
    const auto required = static_cast<std::size_t>(std::count_if(
        command.arguments.begin(), command.arguments.end(), [](const Argument& a) { return a.required; }));
    if (words.size() < required) return wrong_number(command);
    // Words that are more than the required ones go to the optional arguments, from the left.
    std::size_t spare = words.size() - required;
    std::size_t at = 0;
    Json properties = Json::object();
    for (const Argument& argument : command.arguments) {
        if (at == words.size()) break;
        if (!argument.required && spare == 0) continue;
        if (!argument.required) --spare;
        const std::string property(argument.property);
        if (takes_rest(argument)) {
            auto rest = rest_of(command, argument.kind,
                                {words.begin() + static_cast<std::ptrdiff_t>(at), words.end()});
            if (!rest) return rest.error();
            properties[property] = std::move(*rest);
            at = words.size();
        } else {
            auto value = value_of(argument, words[at++]);
            if (!value) return value.error();
            properties[property] = std::move(*value);
        }
    }
    if (at < words.size()) return wrong_number(command);
    for (const auto& [option, value] : invocation.switches) {
        const std::string property(option.property.empty() ? option.name : option.property);
        properties[property] = option.value.empty() ? Json(option.sets) : Json(value);
    }
    if (command.explains) properties["explain"] = true;
    return properties;
}

std::span<const Switch> own_switches() {
    static constexpr std::array kOwn{
        Switch{.name = "endpoint",
               .doc = "where circusd listens; without it: $CIRCUSCTL_ENDPOINT, or the default",
               .value = "ENDPOINT"},
        Switch{.name = "curve",
               .doc = "the key file for a tcp endpoint that wants CURVE; without it: $CIRCUSCTL_CURVE",
               .value = "FILE"},
        Switch{.name = "timeout", .doc = "seconds to wait for the answer; without it: 5", .value = "SECONDS"},
        Switch{.name = "json", .doc = "print the answer as it came, on one line"},
        Switch{.name = "prettify", .doc = "print the answer as it came, indented"},
        Switch{.name = "color",
               .doc = "tables in colour: auto (on a terminal), always or never",
               .value = "WHEN"},
        Switch{.name = "ssh",
               .doc = "run circusctl on that host, by your ssh; [USER@]HOST[:PORT]",
               .value = "HOST"},
        Switch{.name = "ssh_keyfile", .doc = "the private key for it, as ssh -i", .value = "FILE"},
        Switch{.name = "version", .doc = "print the version"},
        Switch{.name = "help", .doc = "print this; with a command: what it does"},
    };
    return kOwn;
}

std::string overview() {
    std::vector<std::pair<std::string, std::string_view>> options;
    for (const Switch& option : own_switches()) options.emplace_back(written(option), option.doc);
    std::vector<std::pair<std::string, std::string_view>> rows;
    for (const Command& command : commands()) rows.emplace_back(command.name, command.summary);
    std::vector<std::pair<std::string, std::string_view>> own;
    for (const Command& command : own_commands()) own.emplace_back(command.name, command.summary);
    std::string text = cat(
        "Usage: circusctl [OPTION]... [COMMAND [ARGUMENT]...]\n"
        "Asks a running circusd, or tells it what to do. Without a command: a prompt that takes commands.\n"
        "\nOptions:\n",
        columns(options), "\nCommands:\n", columns(rows), "\nWithout a daemon:\n", columns(own));
    text +=
        "\nExit codes: 0 done; 1 wrong arguments or no answer; 2 no such command or option;\n"
        "3 circusd answered with an error.\n";
    return text;
}

}  // namespace circus::control
