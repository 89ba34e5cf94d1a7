#include "config/substitute.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/option_row.hpp"

namespace circus::config {
namespace {

bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_name(char c) {
    return is_name_start(c) || (c >= '0' && c <= '9');
}

struct Reference {
    std::string name;   // in lower case, without "circus."
    size_t length = 0;  // in the text
};

// The $(circus.x), ((circus.x)), $(wid) or $WID that begins at `at`.
std::optional<Reference> reference_at(std::string_view text, size_t at) {
    constexpr std::string_view kOld = "$WID";
    const std::string_view rest = text.substr(at);
    if (rest.starts_with(kOld) && (rest.size() == kOld.size() || !is_name(rest[kOld.size()])))
        return Reference{"wid", kOld.size()};
    const bool dollar = rest.starts_with("$(");
    if (!dollar && !rest.starts_with("((")) return std::nullopt;
    const size_t end = rest.find_first_of("()\n", 2);
    if (end == std::string_view::npos || rest[end] != ')') return std::nullopt;
    if (!dollar && rest.substr(end, 2) != "))") return std::nullopt;
    const std::string inner = to_lower(rest.substr(2, end - 2));
    const size_t length = end + (dollar ? 1 : 2);
    constexpr std::string_view kPrefix = "circus.";
    if (inner == "wid") return Reference{inner, length};
    if (!inner.starts_with(kPrefix) || inner.size() == kPrefix.size()) return std::nullopt;
    return Reference{inner.substr(kPrefix.size()), length};
}

// The NAME of a $NAME or ${NAME} that begins at `at`, in the case it was written.
std::optional<Reference> variable_at(std::string_view text, size_t at) {
    const std::string_view rest = text.substr(at);
    if (rest.size() < 2 || rest[0] != '$') return std::nullopt;
    const bool braces = rest[1] == '{';
    const size_t from = braces ? 2 : 1;
    size_t to = from;
    while (to < rest.size() && is_name(rest[to])) ++to;
    if (to == from || !is_name_start(rest[from])) return std::nullopt;
    if (braces && (to == rest.size() || rest[to] != '}')) return std::nullopt;
    return Reference{std::string(rest.substr(from, to - from)), to + (braces ? 1 : 0)};
}

using Variables = std::function<std::string(std::string_view name)>;

// One pass: what was put in is never looked at again. `variables` null: $NAME is plain text.
std::string rewrite(std::string_view text, const Lookup& lookup, std::vector<std::string>* unknown,
                    const Variables& variables) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const bool candidate = text[at] == '$' || text[at] == '(';
        const auto reference = candidate ? reference_at(text, at) : std::nullopt;
        const auto variable = candidate && !reference && variables ? variable_at(text, at) : std::nullopt;
        if (reference) {
            const auto value = lookup(reference->name);
            if (!value && unknown) unknown->push_back(reference->name);
            out += value ? *value : text.substr(at, reference->length);
            at += reference->length;
        } else if (variable) {
            out += variables(variable->name);
            at += variable->length;
        } else {
            out += text[at++];
        }
    }
    return out;
}

std::optional<std::string_view> value_in(const std::vector<std::string>& environment, std::string_view name,
                                         bool any_case) {
    for (const auto& entry : environment) {
        const size_t equals = entry.find('=');
        if (equals == std::string::npos) continue;
        const std::string_view key = std::string_view(entry).substr(0, equals);
        if (any_case ? equals_ignoring_case(key, name) : key == name)
            return std::string_view(entry).substr(equals + 1);
    }
    return std::nullopt;
}

Variables daemon_variables(const std::vector<std::string>& environment) {
    return [&environment](std::string_view name) {
        return std::string(value_in(environment, name, false).value_or(""));
    };
}

// Texts in which a socket may be named.
std::vector<std::string_view> spawn_texts(const WatcherConfig& config) {
    std::vector<std::string_view> texts{config.cmd};
    texts.insert(texts.end(), config.args.begin(), config.args.end());
    texts.insert(texts.end(), config.shell_args.begin(), config.shell_args.end());
    for (const auto& [name, value] : config.env) texts.emplace_back(value);
    return texts;
}

constexpr std::string_view kSockets = "sockets.";
constexpr std::string_view kEnv = "env.";

// `word` as one word of a shell.
std::string shell_quoted(const std::string& word) {
    const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
        return is_name(c) || std::string_view("@%+=:,./-").find(c) != std::string_view::npos;
    });
    if (plain) return word;
    std::string out = "'";
    for (const char c : word) {
        if (c == '\'')
            out += "'\"'\"'";
        else
            out += c;
    }
    return out + "'";
}

}  // namespace

std::string substitute(std::string_view text, const Lookup& lookup, std::vector<std::string>* unknown) {
    return rewrite(text, lookup, unknown, nullptr);
}

Lookup environment_lookup(const std::vector<std::string>& environment) {
    return [&environment](std::string_view name) -> std::optional<std::string> {
        if (!name.starts_with(kEnv)) return std::nullopt;
        const auto value = value_in(environment, name.substr(kEnv.size()), true);
        if (!value) return std::nullopt;
        return std::string(*value);
    };
}

Lookup worker_lookup(const WatcherConfig& config, int wid, const SocketFd& socket_fd,
                     const std::vector<std::string>& environment) {
    return [&config, wid, socket_fd, &environment](std::string_view name) -> std::optional<std::string> {
        if (name == "wid") return std::to_string(wid);
        if (name == "name") return config.name;
        if (name.starts_with(kSockets)) {
            const auto fd = socket_fd ? socket_fd(name.substr(kSockets.size())) : std::nullopt;
            if (!fd) return std::nullopt;
            return std::to_string(*fd);
        }
        if (name.starts_with(kEnv)) {
            if (auto value = environment_lookup(environment)(name)) return value;
            for (const auto& [key, value] : config.env)
                if (equals_ignoring_case(key, name.substr(kEnv.size())))
                    return rewrite(
                        value, [](std::string_view) { return std::nullopt; }, nullptr,
                        daemon_variables(environment));
            return std::nullopt;
        }
        const auto* row = find_watcher_row(name);
        if (!row || row->info.type == ValueType::Env || row->info.type == ValueType::Stream ||
            row->info.type == ValueType::Rlimit || row->info.type == ValueType::Hooks ||
            row->info.type == ValueType::Ready || row->info.type == ValueType::Depends)
            return std::nullopt;
        return py_str(row->get(config));
    };
}

namespace {

// A command text as argv: its words, each substituted, or with shell the substituted text behind sh -c.
Result<std::vector<std::string>> expand_command(const WatcherConfig& config, std::string_view option,
                                                const std::string& text, const Lookup& lookup) {
    if (config.shell) return std::vector<std::string>{"/bin/sh", "-c", substitute(text, lookup)};
    auto argv = split_words(text);
    if (!argv) return Error{cat(option, " of watcher ", config.name, ": ", argv.error().text)};
    for (auto& word : *argv) word = substitute(word, lookup);
    if (argv->empty() || argv->front().empty())
        return Error{cat(option, " of watcher ", config.name, " names no program")};
    return argv;
}

}  // namespace

Result<std::vector<std::string>> expand_argv(const WatcherConfig& config, int wid, const SocketFd& socket_fd,
                                             const std::vector<std::string>& environment) {
    const Lookup lookup = worker_lookup(config, wid, socket_fd, environment);
    std::vector<std::string> args;
    for (const auto& word : config.args) args.push_back(substitute(word, lookup));
    auto argv = expand_command(config, "cmd", config.cmd, lookup);
    if (!argv) return argv;
    if (!config.shell) {
        argv->insert(argv->end(), args.begin(), args.end());
        return argv;
    }
    for (const auto& word : args) argv->back() += cat(" ", shell_quoted(word));
    for (const auto& word : config.shell_args) argv->push_back(substitute(word, lookup));
    return argv;
}

Result<std::vector<std::string>> expand_side_command(const WatcherConfig& config, std::string_view option,
                                                     const std::string& text, int wid, pid_t pid,
                                                     const SocketFd& socket_fd,
                                                     const std::vector<std::string>& environment) {
    const Lookup of_worker = worker_lookup(config, wid, socket_fd, environment);
    const Lookup lookup = [&of_worker, pid](std::string_view name) {
        return name == "pid" && pid != 0 ? std::optional(std::to_string(pid)) : of_worker(name);
    };
    return expand_command(config, option, text, lookup);
}

std::vector<std::string> named_sockets(const WatcherConfig& config) {
    std::vector<std::string> names;
    const Lookup record = [&names](std::string_view name) -> std::optional<std::string> {
        if (name.starts_with(kSockets)) {
            const std::string socket(name.substr(kSockets.size()));
            if (std::find(names.begin(), names.end(), socket) == names.end()) names.push_back(socket);
        }
        return std::nullopt;
    };
    for (const auto text : spawn_texts(config)) substitute(text, record);
    return names;
}

std::vector<std::string> named_variables(const WatcherConfig& config) {
    std::vector<std::string> names;
    const auto add = [&names](std::string_view name) {
        std::string lower = to_lower(name);
        if (std::find(names.begin(), names.end(), lower) == names.end()) names.push_back(std::move(lower));
    };
    const Lookup record = [&add](std::string_view name) -> std::optional<std::string> {
        if (name.starts_with(kEnv)) add(name.substr(kEnv.size()));
        return std::nullopt;
    };
    const Variables variables = [&add](std::string_view name) {
        add(name);
        return std::string();
    };
    for (const auto text : spawn_texts(config)) substitute(text, record);
    // As a shell's text, and word by word: a quote within a reference hides it until the words are split.
    for (const std::string& command : {config.cmd, config.stop_command}) {
        substitute(command, record);
        if (const auto words = split_words(command))
            for (const auto& word : *words) substitute(word, record);
    }
    for (const auto& [name, value] : config.env) rewrite(value, record, nullptr, variables);
    return names;
}

std::vector<std::string> expand_env(const WatcherConfig& config, int wid, const SocketFd& socket_fd,
                                    const std::vector<std::string>& environment) {
    std::vector<std::string> result;
    if (config.copy_env)
        result = environment;
    else if (const auto path = value_in(environment, "PYTHONPATH", false); path && config.copy_path)
        result.push_back(cat("PYTHONPATH=", *path));
    const Lookup lookup = worker_lookup(config, wid, socket_fd, environment);
    const Variables variables = daemon_variables(environment);
    for (const auto& [name, value] : config.env) {
        std::string entry = cat(name, "=", rewrite(value, lookup, nullptr, variables));
        const auto same = std::find_if(result.begin(), result.end(), [&name = name](const std::string& e) {
            return e.size() > name.size() && e[name.size()] == '=' && e.starts_with(name);
        });
        if (same == result.end())
            result.push_back(std::move(entry));
        else
            *same = std::move(entry);
    }
    return result;
}

}  // namespace circus::config
