#include "control/completion.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <optional>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/option_table.hpp"
#include "control/answer_fields.hpp"
#include "control/command_line.hpp"
#include "control/offer.hpp"
#include "control/python_text.hpp"
#include "sys/signals.hpp"

namespace circus::control {

namespace {

using Kind = Argument::Kind;

// What a property of a command names.
enum class Names {
    Nothing,
    Watcher,
    Pid,
    Signal,
    Option,
    Setting,
    DaemonOption,
    Topic,
    Command,
    File,
    Choice
};

struct Meaning {
    std::string_view property;  // or COMMAND.PROPERTY, where it means something else than elsewhere
    Names names;
    std::string_view choices = {};  // with blanks between them
};
constexpr std::array kMeanings{
    Meaning{"add.name", Names::Nothing},
    Meaning{"add.cmd", Names::File},
    Meaning{"plugin new.name", Names::Nothing},
    Meaning{"name", Names::Watcher},
    Meaning{"pid", Names::Pid},
    Meaning{"process", Names::Pid},
    Meaning{"signum", Names::Signal},
    Meaning{"keys", Names::Option},
    Meaning{"options", Names::Setting},
    Meaning{"option", Names::DaemonOption},
    Meaning{"topics", Names::Topic},
    Meaning{"command", Names::Command},
    Meaning{"file", Names::File},
    Meaning{"output", Names::File},
    Meaning{"ssh_keyfile", Names::File},
    Meaning{"curve", Names::File},
    Meaning{"shell", Names::Choice, "bash zsh fish"},
    Meaning{"match", Names::Choice, "glob regex simple"},
    Meaning{"lang", Names::Choice, "c cpp rust"},
    Meaning{"from", Names::Choice, "circus supervisor procfile pm2"},
    Meaning{"color", Names::Choice, "auto always never"},
};

Meaning meaning_of(std::string_view command, std::string_view property) {
    const auto find = [](std::string_view name) {
        return std::find_if(kMeanings.begin(), kMeanings.end(),
                            [name](const Meaning& row) { return row.property == name; });
    };
    auto row = find(cat(command, ".", property));
    if (row == kMeanings.end()) row = find(property);
    return row == kMeanings.end() ? Meaning{property, Names::Nothing} : *row;
}

bool is_rest(const Argument& argument) {
    return argument.kind != Kind::Text && argument.kind != Kind::Integer;
}

class Walk {
  public:
    Walk(const Ask& ask, const std::vector<Candidate>& more) : ask_(ask), more_(more) {}

    Completion run(const LineStart& line) {
        for (const auto& word : line.words) pass(word);
        out_.word = line.last;
        end(line.last);
        return std::move(out_);
    }

  private:
    // ---- what the words before the cursor are ----

    void pass(const std::string& word) {
        if (wanting_) {
            take_value(word);
        } else if (word == "--" && !ended_) {
            ended_ = true;
        } else if (is_switch(word)) {
            const std::size_t equals = word.find('=');
            wanting_ = switch_of(word.substr(0, equals));
            if (wanting_ && wanting_->value.empty()) wanting_.reset();
            if (wanting_ && equals != std::string::npos) take_value(word.substr(equals + 1));
        } else if (command_ || !offered_.empty()) {
            const Command* const longer = words_.empty() ? find_own_command(cat(name_, " ", word)) : nullptr;
            if (!longer) return words_.push_back(word);
            command_ = longer;
            name_ = longer->name;
        } else {
            name_ = word;
            if (!(command_ = find_command(word)) && !(command_ = find_own_command(word))) offered_ = word;
        }
    }

    void take_value(const std::string& value) {
        if (wanting_->name == "endpoint") endpoint_ = value;
        if (wanting_->name == "ssh") elsewhere_ = true;
        wanting_.reset();
    }

    bool is_switch(const std::string& word) const {
        return !ended_ && word.size() > 1 && word[0] == '-' && !parse_number(word);
    }

    std::vector<Switch> switches() const {
        const auto own = own_switches();
        std::vector<Switch> all(own.begin(), own.end());
        if (!command_) return all;
        const auto of_command = switches_of(*command_);
        all.insert(all.begin(), of_command.begin(), of_command.end());
        return all;
    }

    std::optional<Switch> switch_of(const std::string& written) const {
        for (const Switch& option : switches())
            if (written == cat("--", option.name) ||
                (option.letter != 0 && written == std::string{'-', option.letter}))
                return option;
        return std::nullopt;
    }

    // ---- what may stand at the cursor ----

    void end(const std::string& last) {
        if (wanting_) return value_of_switch(*wanting_, "");
        const std::size_t equals = last.find('=');
        if (is_switch(last) && equals != std::string::npos) {
            const auto option = switch_of(last.substr(0, equals));
            if (option && !option->value.empty()) value_of_switch(*option, last.substr(0, equals + 1));
            return;
        }
        if (!ended_ && last.starts_with("-")) {
            for (const Switch& option : switches()) add(cat("--", option.name), option.doc);
            return;
        }
        if (words_.empty()) second_words();
        if (command_)
            argument(words_.size());
        else if (offered_.empty())
            commands(true);
    }

    void second_words() {
        const std::string first = name_ + " ";
        for (const Command& command : own_commands())
            if (command.name.starts_with(first))
                add(std::string(command.name.substr(first.size())), command.summary);
    }

    void value_of_switch(const Switch& option, const std::string& before) {
        const auto property = option.property.empty() ? option.name : option.property;
        prefix_ = before;
        offer(meaning_of(command_ ? command_->name : "", property));
    }

    // As properties_of() gives the words to the arguments: an optional one has its own place, a required one
    // may have moved to the left of it.
    void argument(std::size_t place) {
        std::size_t required_before = 0;
        for (std::size_t at = 0; at < command_->arguments.size(); ++at) {
            const Argument& argument = command_->arguments[at];
            rest_ = place > at ? place - at : 0;
            const bool here = argument.required ? required_before <= place && place <= at : place == at;
            if (here || (rest_ > 0 && is_rest(argument)))
                offer(meaning_of(command_->name, argument.property));
            if (argument.required) ++required_before;
        }
    }

    void offer(const Meaning& meaning) {
        switch (meaning.names) {
            case Names::Nothing:
                return;
            case Names::File:
                out_.files = true;
                return;
            case Names::Choice:
                for (const auto& word : split(meaning.choices, ' ')) add(word, "");
                return;
            case Names::Watcher:
                return watchers("");
            case Names::Topic:
                return topics();
            case Names::Pid:
                return pids();
            case Names::Signal:
                return signals();
            case Names::Option:
                return options_of_watcher();
            case Names::Setting:
                return rest_ % 2 == 0 ? settings() : value_of(words_.back());
            case Names::DaemonOption:
                return daemon_options();
            case Names::Command:
                return commands(false);
        }
    }

    void commands(bool with_help) {
        for (const Command& command : circus::control::commands())
            add(std::string(command.name), command.summary);
        for (const Command& command : own_commands())
            if (with_help || command.name != "help")
                add(std::string(command.name.substr(0, command.name.find(' '))), command.summary);
        for (const auto& [word, doc] : more_) add(word, doc);
        if (!elsewhere_)
            for (const Offer& offered : offers_in(ask(kOffersCommand))) add(offered.name, offered.summary);
    }

    void watchers(const std::string& before) {
        const Json answer = ask("status");
        const Json& statuses = field(answer, "statuses");
        if (!statuses.is_object()) return;
        for (const auto& [name, state] : statuses.items()) add(before + name, str(state));
    }

    void topics() {
        const Json answer = ask("list");
        for (const auto& name : field(answer, "watchers")) {
            std::string topic = cat("watcher.", str(name), ".");
            std::replace(topic.begin(), topic.end(), ' ', '_');
            add(topic, "");
        }
    }

    void pids() {
        if (words_.empty()) return;
        const Json answer = ask("list", {{"name", words_[0]}});
        for (const auto& pid : field(answer, "pids")) add(str(pid), "");
    }

    void daemon_options() {
        const Json answer = ask("globaloptions");
        for (const auto& [key, value] : field(answer, "options").items()) add(key, str(value));
    }

    void signals() {
        for (int signo = 1; signo < SIGRTMIN; ++signo) {
            const std::string name = sys::signal_name(signo);
            constexpr std::string_view kSig = "SIG";
            if (name.starts_with(kSig)) add(name.substr(kSig.size()), std::to_string(signo));
        }
    }

    void options_of_watcher() {
        const Json answer = words_.empty() ? Json() : ask("options", {{"name", words_[0]}});
        const Json& options = field(answer, "options");
        if (!options.is_object()) return settings();
        for (const auto& [key, value] : options.items()) add(key, doc_of(key));
    }

    static std::string doc_of(const std::string& key) {
        for (const auto& row : config::watcher_options())
            if (row.name == key) return std::string(row.doc);
        return {};
    }

    void settings() {
        for (const auto& row : config::watcher_options()) {
            if (!row.settable) continue;
            if (row.type == config::ValueType::Rlimit)
                for (const auto& name : config::rlimit_options()) add(name, row.doc);
            else
                add(cat(row.name, row.type == config::ValueType::Stream ? "." : ""), row.doc);
        }
    }

    void value_of(const std::string& key) {
        for (const auto& row : config::watcher_options()) {
            if (row.name != to_lower(key)) continue;
            if (row.type == config::ValueType::Signal) signals();
            if (row.type != config::ValueType::Boolean) return;
            add("true", "");
            add("false", "");
        }
    }

    Json ask(const std::string& command, const Json& properties = Json::object()) const {
        return elsewhere_ ? Json() : ask_(endpoint_, command, properties);
    }

    void add(const std::string& word, std::string_view doc) {
        const std::string whole = prefix_ + word;
        if (!whole.starts_with(out_.word)) return;
        for (const auto& known : out_.candidates)
            if (known.word == whole) return;
        out_.candidates.push_back({whole, std::string(doc)});
    }

    const Ask& ask_;
    const std::vector<Candidate>& more_;
    Completion out_;
    std::string prefix_;             // "--match=" where that stands in the same word
    std::optional<Switch> wanting_;  // its value comes next
    bool ended_ = false;             // by "--"
    bool elsewhere_ = false;         // by --ssh: nobody is asked
    std::string endpoint_;
    const Command* command_ = nullptr;
    std::string name_;  // of the command, as it was written
    std::string offered_;
    std::vector<std::string> words_;  // behind the command
    std::size_t rest_ = 0;            // which of the words of an argument that takes all the rest
};

constexpr std::string_view kBlanks = " \t\n";

}  // namespace

LineStart split_line(const std::string& line) {
    LineStart out;
    char quote = 0;
    bool in_word = false;
    for (std::size_t at = 0; at < line.size(); ++at) {
        const char c = line[at];
        const bool blank = quote == 0 && kBlanks.find(c) != std::string_view::npos;
        if (blank && in_word) {
            out.words.push_back(std::move(out.last));
            out.last.clear();
        }
        in_word = !blank;
        if (blank) continue;
        if (c == '\\' && quote != '\'' && at + 1 < line.size())
            out.last += line[++at];
        else if (quote == 0 && (c == '\'' || c == '"'))
            quote = c;
        else if (quote != 0 && c == quote)
            quote = 0;
        else
            out.last += c;
    }
    return out;
}

Completion complete(const LineStart& line, const Ask& ask, const std::vector<Candidate>& more) {
    return Walk(ask, more).run(line);
}

}  // namespace circus::control
