// The table of [watcher.NAME]: what the options of a watcher are called, mean and accept.
#include <algorithm>
#include <array>
#include <sys/resource.h>
#include <utility>

#include <climits>

#include "base/text.hpp"
#include "config/option_row_impl.hpp"

namespace circus::config {
namespace {

struct Limit {
    std::string_view name;
    int resource;
};
constexpr std::array kLimits{
    Limit{"as", RLIMIT_AS},           Limit{"core", RLIMIT_CORE},     Limit{"cpu", RLIMIT_CPU},
    Limit{"data", RLIMIT_DATA},       Limit{"fsize", RLIMIT_FSIZE},   Limit{"locks", RLIMIT_LOCKS},
    Limit{"memlock", RLIMIT_MEMLOCK}, Limit{"nice", RLIMIT_NICE},     Limit{"msgqueue", RLIMIT_MSGQUEUE},
    Limit{"nofile", RLIMIT_NOFILE},   Limit{"nproc", RLIMIT_NPROC},   Limit{"rss", RLIMIT_RSS},
    Limit{"rtprio", RLIMIT_RTPRIO},   Limit{"rttime", RLIMIT_RTTIME}, Limit{"sigpending", RLIMIT_SIGPENDING},
    Limit{"stack", RLIMIT_STACK},
};
constexpr std::string_view kRlimitPrefix = "rlimit_";

// The words of `args` or `shell_args`, given as a text or as an array of words.
std::optional<Fault> read_words(const Json& value, std::string_view key, std::vector<std::string>* words) {
    words->clear();
    if (value.is_null()) return std::nullopt;
    if (value.is_string()) {
        std::string text;
        if (auto fault = read_text(value, key, &text)) return fault;
        auto split = split_words(text);
        if (!split) return bad_value(key, split.error().text);
        *words = std::move(*split);
        return std::nullopt;
    }
    if (!value.is_array()) return wrong_type(key, ValueType::TextOrList);
    for (const auto& element : value) {
        std::string word;
        if (!element.is_string()) return wrong_type(key, ValueType::TextOrList);
        if (auto fault = read_text(element, key, &word)) return fault;
        words->push_back(std::move(word));
    }
    return std::nullopt;
}

Row<WatcherConfig> cmd_row() {
    auto row = text_row(
        "cmd", &WatcherConfig::cmd, Effect::Respawn,
        "the program and its arguments, split into words as a POSIX shell does; substituted per worker");
    row.parse = [](WatcherConfig& config, const Json& value, std::string_view key) -> Faults {
        if (!value.is_string()) return {wrong_type(key, ValueType::Text)};
        return faults(read_text(value, key, &config.cmd));
    };
    return row;
}

Row<WatcherConfig> args_row() {
    return {{"args", ValueType::TextOrList, Effect::Respawn, true,
             "arguments behind those of cmd: a string, split like cmd, or an array of words", "[]"},
            [](WatcherConfig& config, const Json& value, std::string_view key) -> Faults {
                std::vector<std::string> words;
                if (auto fault = read_words(value, key, &words)) return {*fault};
                config.args = std::move(words);
                config.args_given_as_text = value.is_string();
                config.args_text = value.is_string() ? value.get<std::string>() : std::string();
                return {};
            },
            [](const WatcherConfig& config) -> Json {
                if (config.args_given_as_text) return config.args_text;
                if (config.args.empty()) return {};
                return config.args;
            }};
}

Row<WatcherConfig> shell_args_row() {
    return make_row(
        "shell_args", ValueType::TextOrList, &WatcherConfig::shell_args, Effect::Respawn,
        "with shell: what the script finds as $0, $1, …", read_words,
        [](const std::vector<std::string>& words) { return words.empty() ? Json() : Json(words); });
}

Row<WatcherConfig> env_row() {
    return {{"env", ValueType::Env, Effect::Respawn, true,
             "environment; $NAME and ${NAME} are taken from the daemon's, unset ones are empty", "{}"},
            [](WatcherConfig& config, const Json& value, std::string_view key) -> Faults {
                if (!value.is_object()) return {wrong_type(key, ValueType::Env)};
                Faults found;
                EnvList env;
                for (const auto& [name, text] : value.items()) {
                    std::string content;
                    auto fault =
                        text.is_string() ? read_text(text, key, &content) : wrong_type(key, ValueType::Text);
                    if (!fault &&
                        (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != std::string::npos))
                        fault = bad_value(key, "no variable can have this name");
                    if (fault) {
                        fault->sub_key = name;
                        found.push_back(std::move(*fault));
                    }
                    env.emplace_back(name, std::move(content));
                }
                if (found.empty()) config.env = std::move(env);
                return found;
            },
            [](const WatcherConfig& config) -> Json {
                if (config.env.empty()) return {};
                Json env = Json::object();
                for (const auto& [name, content] : config.env) env[name] = content;
                return env;
            }};
}

// One side of a limit: a number, or none for "unlimited", "" and -1.
bool read_limit(const Json& value, std::optional<unsigned long long>* out) {
    out->reset();
    if (value.is_string()) {
        const std::string word = to_lower(trim(value.get_ref<const std::string&>()));
        return word.empty() || word == "unlimited" || word == "-1";
    }
    if (!value.is_number_integer()) return false;
    if (value.is_number_unsigned()) {
        *out = value.get<unsigned long long>();
        return true;
    }
    const auto number = value.get<long long>();
    if (number >= 0) *out = static_cast<unsigned long long>(number);
    return number >= -1;
}

Row<WatcherConfig> rlimit_row() {
    return {{"rlimit_LIMIT", ValueType::Rlimit, Effect::Respawn, true,
             "a limit of setrlimit(2), e.g. rlimit_nofile = 500; \"unlimited\", \"\" or -1 for none; [soft, "
             "hard]",
             "–"},
            [](WatcherConfig& config, const Json& value, std::string_view key) -> Faults {
                const std::string suffix = to_lower(key.substr(kRlimitPrefix.size()));
                RlimitSetting setting;
                setting.resource = find_rlimit(suffix).value_or(-1);
                const bool pair = value.is_array() && value.size() == 2;
                if (!read_limit(pair ? value[0] : value, &setting.soft) ||
                    !read_limit(pair ? value[1] : value, &setting.hard)) {
                    const bool negative = value.is_number_integer();
                    Fault fault = negative
                                      ? bad_value(key, "must not be negative; -1 stands for \"unlimited\"")
                                      : wrong_type(key, ValueType::Rlimit);
                    fault.wire = cat(py_repr(value), " rlimit value isn't a valid int");
                    return {fault};
                }
                if (setting.hard && (!setting.soft || *setting.soft > *setting.hard))
                    return {bad_value(key, "the soft limit is above the hard one")};
                config.rlimits[suffix] = setting;
                return {};
            },
            [](const WatcherConfig&) { return Json(); }};
}

Row<WatcherConfig> stop_signal_row() {
    return make_row("stop_signal", ValueType::Signal, &WatcherConfig::stop_signal, Effect::Live,
                    "ends a process: a name, with or without SIG, or a number", read_signal,
                    [](int signo) { return Json(signo); });
}

Row<WatcherConfig> stream_option_row(std::string_view name,
                                     std::optional<StreamConfig> WatcherConfig::*field) {
    return {{name, ValueType::Stream, Effect::Respawn, true,
             "where this output goes: a table with `class` and the options of the class", "–"},
            [field](WatcherConfig& config, const Json& value, std::string_view key) {
                return parse_stream(config.*field, value, key);
            },
            [field](const WatcherConfig& config) { return stream_to_json(config.*field); },
            [field](const WatcherConfig& a, const WatcherConfig& b) { return a.*field == b.*field; }};
}

Row<WatcherConfig> hooks_row() {
    return {{"hooks", ValueType::Hooks, Effect::Live, true,
             "what is asked or told at points of the watcher's life, e.g. hooks.before_start = "
             "\"library.so:function\" or {exec = \"command\", timeout = 5}",
             "–"},
            [](WatcherConfig& config, const Json& value, std::string_view key) {
                return parse_hooks(config.hooks, value, key);
            },
            [](const WatcherConfig&) { return Json(); },
            [](const WatcherConfig& a, const WatcherConfig& b) { return a.hooks == b.hooks; }};
}

Row<WatcherConfig> optional_int_row(std::string_view name, std::optional<int> WatcherConfig::*field,
                                    Range range, std::string_view doc, Effect effect = Effect::Respawn) {
    return make_row(
        name, ValueType::Integer, field, effect, doc,
        [range](const Json& value, std::string_view key, std::optional<int>* out) {
            long long number = 0;
            auto fault = read_int(value, key, range, &number);
            if (!fault) *out = static_cast<int>(number);
            return fault;
        },
        [](const std::optional<int>& value) { return value ? Json(*value) : Json(); });
}

Row<WatcherConfig> max_backoff_row() {
    return make_row(
        "max_backoff", ValueType::Number, &WatcherConfig::max_backoff, Effect::Live,
        "seconds; the longest pause before a short-lived process is replaced; without it: check_delay",
        [](const Json& value, std::string_view key, std::optional<double>* out) {
            double number = 0;
            auto fault = read_number(value, key, 0, &number);
            if (!fault) *out = number;
            return fault;
        },
        [](const std::optional<double>& value) { return value ? Json(*value) : Json(); });
}

using W = WatcherConfig;
constexpr Range kCount{0, INT_MAX};
constexpr Range kSeconds{0, static_cast<long long>(kLongestSeconds)};

std::vector<Row<W>> make_watcher_rows() {
    using enum Effect;
    return {
        cmd_row(),
        args_row(),
        boolean_row("shell", &W::shell, Respawn, "run cmd through /bin/sh -c"),
        shell_args_row(),
        text_row("executable", &W::executable, Respawn, "exec this file under the argv[0] of cmd"),
        integer_row("numprocesses", &W::numprocesses, {0, kMaxProcesses}, Count,
                    "how many processes are kept running"),
        boolean_row("singleton", &W::singleton, Live, "never more than one process"),
        text_row("working_dir", &W::working_dir, Respawn,
                 "directory of the processes; without it: the daemon's"),
        user_row("uid", &W::uid, Respawn, "user of the processes: a name or a number"),
        group_row("gid", &W::gid, Respawn,
                  "group of the processes: a name or a number; without it that of uid, which for a number "
                  "that no database knows has the same number"),
        octal_row("umask", &W::umask, Respawn, "umask of the processes, as an octal string"),
        optional_int_row("nice", &W::nice, {-20, 19}, "niceness of the processes"),
        optional_int_row("oom_score_adj", &W::oom_score_adj, {-1000, 1000},
                         "how willingly the kernel kills the processes when memory runs out"),
        boolean_row("no_new_privs", &W::no_new_privs, Respawn,
                    "the processes can gain no privileges by execve(2)"),
        rlimit_row(),
        boolean_row("copy_env", &W::copy_env, Respawn, "the daemon's environment below env"),
        boolean_row("copy_path", &W::copy_path, Respawn, "the daemon's PYTHONPATH below env"),
        text_row("virtualenv", &W::virtualenv, Respawn,
                 "a Python virtual environment: its bin is first in PATH, VIRTUAL_ENV is set, and PYTHONPATH "
                 "names its "
                 "site-packages"),
        text_row("virtualenv_py_ver", &W::virtualenv_py_ver, Respawn,
                 "Python version of the virtualenv, \"3.11\"; without it: the one it has"),
        env_row(),
        number_row("warmup_delay", &W::warmup_delay, 0, Live, "seconds between two spawns"),
        boolean_row("autostart", &W::autostart, Live, "start together with the daemon"),
        boolean_row("respawn", &W::respawn, Live, "replace a process that ended by itself"),
        integer_row(
            "max_retry", &W::max_retry, {-1, INT_MAX}, Live,
            "failed spawns in a row before the watcher stops, of which many at once are one, and so is "
            "a process that is never ready; as long as another of its processes is ready it does not "
            "stop, and goes on trying; -1: for ever"),
        number_row("min_uptime", &W::min_uptime, 0, Live,
                   "seconds; a process that lived shorter is replaced after a growing pause"),
        max_backoff_row(),
        integer_row("max_age", &W::max_age, kSeconds, Respawn,
                    "seconds after which a process is replaced; 0: never"),
        integer_row("max_age_variance", &W::max_age_variance, kSeconds, Respawn,
                    "max_age grows by a random part of these seconds, drawn once per process"),
        stop_signal_row(),
        text_row("stop_command", &W::stop_command, Live,
                 "run in the place of the stop signal, with CIRCUS_PID in its environment; written, "
                 "substituted and "
                 "run like cmd, $(circus.pid) is the process"),
        boolean_row("stop_children", &W::stop_children, Live, "the stop signal goes to the children too"),
        number_row("graceful_timeout", &W::graceful_timeout, 0, Live,
                   "seconds between the stop signal and SIGKILL"),
        boolean_row("kill_tree", &W::kill_tree, Live, "a stopped process leaves no descendants"),
        boolean_row("send_hup", &W::send_hup, Live, "reload is a SIGHUP to each process"),
        ready_row(),
        number_row("ready_timeout", &W::ready_timeout, 0, Live,
                   "seconds; a process that is not ready by then is stopped and replaced after a pause"),
        choice_row<W, ReloadMode>(
            "reload_mode", &W::reload_mode,
            {{"graceful", ReloadMode::Graceful},
             {"sequential", ReloadMode::Sequential},
             {"terminate", ReloadMode::Terminate},
             {"hup", ReloadMode::Hup}},
            "what reload does with no option: graceful (new processes first), sequential "
            "(one stopped, one started), terminate (all stopped, then started), hup (a "
            "SIGHUP to each)",
            Live),
        optional_int_row("max_surge", &W::max_surge, kCount,
                         "how many processes more than numprocesses a graceful reload may run at a time; "
                         "without it: all new ones beside all old ones",
                         Live),
        integer_row("max_unavailable", &W::max_unavailable, kCount, Live,
                    "with max_surge: how many processes a graceful reload may stop before their replacement "
                    "is ready"),
        depends_row(),
        boolean_row("critical", &W::critical, Live,
                    "when it has ended for good by itself, circusd stops everything and exits with its code, "
                    "128 + the number of a signal"),
        size_row("memory_soft", &W::memory_soft,
                 "a process that uses more resident memory, descendants included, is replaced gracefully: a "
                 "size like \"200M\""),
        size_row("memory_max", &W::memory_max,
                 "a process that uses more resident memory, descendants included, is killed: a size like "
                 "\"300M\""),
        integer_row("priority", &W::priority, {INT_MIN, INT_MAX}, Live,
                    "higher starts earlier and stops later"),
        boolean_row("use_sockets", &W::use_sockets, Respawn, "the processes inherit the sockets"),
        boolean_row("on_demand", &W::on_demand, Live,
                    "the processes are started by the first connection to a socket they use"),
        text_row("stdin_socket", &W::stdin_socket, Respawn, "the socket that becomes descriptor 0"),
        boolean_row("close_child_stdin", &W::close_child_stdin, Respawn, "standard input from /dev/null"),
        boolean_row("close_child_stdout", &W::close_child_stdout, Respawn, "standard output to /dev/null"),
        boolean_row("close_child_stderr", &W::close_child_stderr, Respawn, "standard error to /dev/null"),
        stream_option_row("stdout_stream", &W::stdout_stream),
        stream_option_row("stderr_stream", &W::stderr_stream),
        hooks_row(),
    };
}

}  // namespace

const std::vector<Row<WatcherConfig>>& watcher_rows() {
    static const auto rows = make_watcher_rows();
    return rows;
}

const std::vector<std::string_view>& unavailable_watcher_options() {
    static const std::vector<std::string_view> names;
    return names;
}

std::optional<int> find_rlimit(std::string_view suffix) {
    for (const auto& limit : kLimits)
        if (equals_ignoring_case(limit.name, suffix)) return limit.resource;
    return std::nullopt;
}

const Row<WatcherConfig>* find_watcher_row(std::string_view name) {
    const bool rlimit =
        name.starts_with(kRlimitPrefix) && find_rlimit(name.substr(kRlimitPrefix.size())).has_value();
    for (const auto& row : watcher_rows())
        if (row.info.type == ValueType::Rlimit ? rlimit : row.info.name == name) return &row;
    return nullptr;
}

std::vector<std::string> watcher_option_names() {
    std::vector<std::string> names;
    for (const auto& row : watcher_rows())
        if (row.info.type != ValueType::Rlimit) names.emplace_back(row.info.name);
    for (auto& name : rlimit_options()) names.push_back(std::move(name));
    return names;
}

std::vector<std::string> rlimit_options() {
    std::vector<std::string> names;
    for (const auto& limit : kLimits) names.push_back(cat(kRlimitPrefix, limit.name));
    return names;
}

}  // namespace circus::config
