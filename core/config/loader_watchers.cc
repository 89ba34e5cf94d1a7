// The part of Loader that reads [env] and [watcher.NAME].
#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/text.hpp"
#include "config/dependencies.hpp"
#include "config/loader.hpp"

namespace circus::config {
namespace {

// What is substituted for each worker at its spawn, and only looked over at load.
bool is_late(std::string_view option) {
    return option == "cmd" || option == "args" || option == "shell_args" || option == "env" ||
           option == "stop_command" || option == "ready";
}

// `table`'s order for variables that a JSON object has sorted.
void order_as_in(const Entry& table, EnvList& variables) {
    const auto rank = [&table](const std::string& name) { return table.find(name); };
    std::sort(variables.begin(), variables.end(),
              [&](const auto& a, const auto& b) { return rank(a.first) < rank(b.first); });
}

void put(EnvList& into, const EnvList& from) {
    for (const auto& variable : from) {
        const auto same = std::find_if(into.begin(), into.end(),
                                       [&](const auto& other) { return other.first == variable.first; });
        if (same == into.end())
            into.push_back(variable);
        else
            same->second = variable.second;
    }
}

// Calls visit(text) for each string of a value.
template <class Value, class Visit>
void each_text(Value& value, const Visit& visit) {
    if (value.is_string())
        visit(value);
    else if (value.is_structured())
        for (auto& element : value) each_text(element, visit);
}

// A text that a substitution has filled in, as the kind of value the option wants; itself if it is none.
Json converted(const Json& text, ValueType type) {
    const auto& word = text.get_ref<const std::string&>();
    if (type == ValueType::Integer || type == ValueType::Number || type == ValueType::Rlimit) {
        if (const auto integer = parse_int(word)) return *integer;
        if (const auto number = parse_number(word)) return *number;
    }
    if (type == ValueType::Boolean && (word == "true" || word == "false")) return word == "true";
    return text;
}

ValueType member_type(ValueType option, std::string_view member) {
    if (option == ValueType::Stream)
        for (const auto& row : stream_rows())
            if (row.info.name == member) return row.info.type;
    return ValueType::Text;
}

bool matches(const std::vector<std::string>& patterns, const std::string& name) {
    return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [&name](const auto& pattern) {
               return glob_match(pattern, name);
           });
}

}  // namespace

void Loader::read_env() {
    const Entry* const section = sources_.document.find("env");
    if (!section || !section->is_table) return;
    Entry plain{section->key, section->at, true, {}, {}};
    for (const auto& entry : section->entries)
        if (!entry.is_table) plain.entries.push_back(entry);
    env_groups_.push_back({{}, read_variables(plain, "env")});
    env_group_entries_.push_back(nullptr);
    for (const auto& entry : section->entries) {
        if (!entry.is_table) continue;
        EnvGroup group;
        for (const auto& pattern : split(entry.key, ',')) group.patterns.emplace_back(trim(pattern));
        group.variables = read_variables(entry, cat("env.", toml_name(entry.key)));
        env_groups_.push_back(std::move(group));
        env_group_entries_.push_back(&entry);
    }
}

EnvList Loader::read_variables(const Entry& table, const std::string& section) {
    WatcherConfig scratch;
    const Lookup known = worker_lookup(scratch, 1, socket_numbers(), environment_);
    for (const auto& entry : table.entries) check_late_names(entry, known, section);
    for (auto& fault : find_watcher_row("env")->parse(scratch, table.to_json(), "env")) {
        fault.key = std::exchange(fault.sub_key, {});
        report_in(fault, table, section, {});
    }
    order_as_in(table, scratch.env);
    return scratch.env;
}

void Loader::warn_of_idle_groups() {
    for (size_t i = 0; i < env_groups_.size(); ++i) {
        const auto& patterns = env_groups_[i].patterns;
        const auto& watchers = out_.config.watchers;
        if (patterns.empty() || watchers.empty()) continue;
        if (std::any_of(watchers.begin(), watchers.end(),
                        [&](const auto& watcher) { return matches(patterns, watcher.name); }))
            continue;
        std::vector<std::string> names;
        names.reserve(watchers.size());
        for (const auto& watcher : watchers) names.push_back(watcher.name);
        const Entry& entry = *env_group_entries_[i];
        const auto near = did_you_mean(entry.key, names);
        warning(entry.at, cat("[env.", toml_name(entry.key), "] matches no watcher",
                              near ? cat("; did you mean \"", *near, "\"?") : ""));
    }
}

EnvList Loader::merged_env(const WatcherConfig& watcher, const Entry* own) const {
    EnvList env;
    for (const auto& group : env_groups_)
        if (matches(group.patterns, watcher.name)) put(env, group.variables);
    EnvList last = watcher.env;
    if (own) order_as_in(*own, last);
    put(env, last);
    return env;
}

void Loader::read_watcher(const Entry& section, const std::string& name) {
    static const Vocabulary<WatcherConfig> kVocabulary{find_watcher_row, watcher_option_names(),
                                                       unavailable_watcher_options()};
    WatcherConfig watcher;
    watcher.name = section.key;
    watcher.from_file = true;
    if (to_lower(watcher.name).starts_with(kHiddenPrefix))
        error(section.at,
              cat("[", name, "]: names that begin with \"", kHiddenPrefix, "\" are circusd's own"));
    watcher.args_given_as_text = true;  // Circus shows args that a file leaves out as an empty text
    Entry own = section;
    std::erase_if(own.entries, [&](const Entry& option) {
        return option.is_table && !find_watcher_row(option.key) && read_overrides(watcher, option, name);
    });
    const Failed failed = read_options(watcher, own, name, kVocabulary);
    watcher.env = merged_env(watcher, section.find("env"));
    if (const Entry* const hooks = section.find("hooks"))
        for (auto& [point, hook] : watcher.hooks)
            if (const Entry* const entry = hooks->find(to_string(point)))
                hook.place = cat(sources_.files[static_cast<size_t>(entry->at.file)], ":", entry->at.line,
                                 ":", entry->at.column);
    check_watcher_section(watcher, section, name, failed);
    out_.config.watchers.push_back(std::move(watcher));
}

void Loader::check_watcher_section(const WatcherConfig& watcher, const Entry& section,
                                   const std::string& name, const Failed& failed) {
    const auto complain = [&](std::string_view option, std::string reason) {
        report_in(bad_value(option, std::move(reason)), section, name, failed);
    };
    if (!section.find("cmd")) {
        const Fault missing{Fault::Kind::Missing, "cmd", {}, ValueType::Text, {}, {}, 3};
        error(section.at, file_text(missing, name, {}));
    }
    for (const auto& fault : check_options(watcher))
        if (fault.key != "cmd" || section.find("cmd")) report_in(fault, section, name, failed);

    std::error_code reason;
    const auto kind = std::filesystem::status(watcher.working_dir, reason).type();
    // A directory that only the worker's user may look into is not our business.
    if (!watcher.working_dir.empty() && kind != std::filesystem::file_type::directory &&
        reason != std::errc::permission_denied)
        complain("working_dir",
                 kind == std::filesystem::file_type::not_found ? "no such directory" : "not a directory");
    if (!watcher.stdin_socket.empty() && !find_socket(watcher.stdin_socket)) {
        const auto near = did_you_mean(watcher.stdin_socket, socket_names(""));
        complain("stdin_socket", cat("no such socket", near ? cat("; did you mean \"", *near, "\"?") : ""));
    }

    const Entry* const use_sockets = section.find("use_sockets");
    if (watcher.use_sockets && use_sockets && out_.config.sockets.empty())
        warning(use_sockets->at,
                cat("\"use_sockets\" in [", name, "] has no effect: there is no [socket.NAME]"));
    if (watcher.on_demand && watcher.use_sockets && out_.config.sockets.empty())
        complain("on_demand", "there is no [socket.NAME] to wait on");
    warn_of_idle_options(watcher, section, name, failed);
    const Lookup known = worker_lookup(watcher, 1, socket_numbers(), environment_);
    const Lookup known_to_stop = [&known](std::string_view word) {
        return word == "pid" ? std::optional<std::string>("1") : known(word);
    };
    for (const auto& option : section.entries) {
        if (is_late(option.key))
            check_late_names(
                option, option.key == "stop_command" || option.key == "ready" ? known_to_stop : known, name);
        if (option.key != "hooks") continue;
        for (const auto& hook : option.entries)
            if (hook.is_table) check_late_names(hook, known_to_stop, cat(name, ".hooks"));
    }
    if (watcher.use_sockets) return;
    for (const auto& socket : named_sockets(watcher))
        if (find_socket(socket))
            warning(section.at, cat("[", name, "] names $(circus.sockets.", socket,
                                    ") but does not inherit it; write use_sockets = true"));
}

// What is written and does nothing, because of what stands beside it or does not.
void Loader::warn_of_idle_options(const WatcherConfig& watcher, const Entry& section, const std::string& name,
                                  const Failed& failed) {
    const auto warn = [&](bool is_idle, std::string_view option, std::string_view because_of,
                          std::string_view why) {
        const bool is_known = !failed.contains(option) && !failed.contains(because_of);
        const Entry* const given = is_idle && is_known ? section.find(option) : nullptr;
        if (given) warning(given->at, cat("\"", option, "\" in [", name, "] has no effect ", why));
    };
    warn(watcher.virtualenv.empty(), "virtualenv_py_ver", "virtualenv", "without virtualenv");
    warn(!watcher.shell, "shell_args", "shell", "without shell = true");
    warn(watcher.max_age == 0, "max_age_variance", "max_age", "without max_age");
    warn(watcher.close_child_stdout && watcher.stdout_stream, "close_child_stdout", "stdout_stream",
         "beside stdout_stream, which takes what the processes write");
    warn(watcher.close_child_stderr && watcher.stderr_stream, "close_child_stderr", "stderr_stream",
         "beside stderr_stream, which takes what the processes write");
}

// Once all of them are known.
void Loader::check_depends() {
    const Entry* const sections = sources_.document.find("watcher");
    for (const auto& fault : check_dependencies(out_.config.watchers)) {
        const WatcherConfig& watcher = out_.config.watchers[fault.watcher];
        const Entry* const section = sections ? sections->find(watcher.name) : nullptr;
        if (!section) continue;
        Fault wrong = bad_value("depends_on", fault.text);
        if (const Entry* const option = section->find("depends_on"); option && option->is_table)
            wrong.sub_key = fault.on;
        report_in(wrong, *section, cat("watcher.", toml_name(watcher.name)), {});
    }
}

Entry Loader::substituted(const Entry& option, ValueType type, const std::string& section) {
    Entry filled = option;
    if (section.starts_with("watcher.") && is_late(option.key)) return filled;
    if (!option.is_table) {
        substitute_value(filled.value, option, false, section);
        if (filled.value.is_string() && filled.value != option.value)
            filled.value = converted(filled.value, type);
        return filled;
    }
    const std::string table = cat(section, ".", option.key);
    for (auto& member : filled.entries) {
        if (member.is_table) continue;  // a hook that is a command: filled in when it is run
        const Json before = member.value;
        substitute_value(member.value, member, type == ValueType::Stream && member.key == "filename", table);
        if (member.value.is_string() && member.value != before)
            member.value = converted(member.value, member_type(type, member.key));
    }
    return filled;
}

void Loader::substitute_value(Json& value, const Entry& option, bool late_wid, const std::string& section) {
    std::vector<std::string> unknown;
    each_text(value, [&](Json& text) {
        text = substitute(text.get_ref<const std::string&>(), environment_lookup_, &unknown);
    });
    if (late_wid) std::erase(unknown, "wid");
    warn_of_unknown(option, unknown, environment_names(), section);
}

void Loader::check_late_names(const Entry& option, const Lookup& known, const std::string& section) {
    std::vector<std::string> unknown;
    const Json value = option.to_json();
    each_text(value,
              [&](const Json& text) { substitute(text.get_ref<const std::string&>(), known, &unknown); });
    std::vector<std::string> candidates = watcher_option_names();
    candidates.insert(candidates.end(), {"wid", "name"});
    for (auto& name : environment_names()) candidates.push_back(std::move(name));
    for (auto& name : socket_names("sockets.")) candidates.push_back(std::move(name));
    warn_of_unknown(option, unknown, candidates, section);
}

void Loader::warn_of_unknown(const Entry& option, const std::vector<std::string>& unknown,
                             const std::vector<std::string>& candidates, const std::string& section) {
    for (const auto& name : unknown) {
        const auto near = did_you_mean(name, candidates);
        warning(option.at, cat("\"", option.key, "\" in [", section, "]: $(circus.", name,
                               ") is unknown and stays as it is",
                               near ? cat("; did you mean $(circus.", *near, ")?") : ""));
    }
}

std::vector<std::string> Loader::environment_names() const {
    std::vector<std::string> names;
    for (const auto& entry : environment_) names.push_back(cat("env.", entry.substr(0, entry.find('='))));
    return names;
}

const SocketConfig* Loader::find_socket(std::string_view name) const {
    for (const auto& socket : out_.config.sockets)
        if (equals_ignoring_case(socket.name, name)) return &socket;
    return nullptr;
}

std::vector<std::string> Loader::socket_names(std::string_view prefix) const {
    std::vector<std::string> names;
    for (const auto& socket : out_.config.sockets) names.push_back(cat(prefix, socket.name));
    return names;
}

SocketFd Loader::socket_numbers() const {
    return [this](std::string_view name) -> std::optional<int> {
        const SocketConfig* const socket = find_socket(name);
        if (!socket) return std::nullopt;
        return 3 + static_cast<int>(socket - out_.config.sockets.data());
    };
}

}  // namespace circus::config
