#include "convert/circus_options.hpp"

#include <algorithm>
#include <array>

#include "convert/lost.hpp"

namespace circus::convert {
namespace {

using Kind = ValueKind;

constexpr std::array kWatcherOptions{
    KnownOption{"cmd", Kind::Text},
    KnownOption{"args", Kind::Text},
    KnownOption{"shell", Kind::Boolean},
    KnownOption{"shell_args", Kind::Text},
    KnownOption{"executable", Kind::Text},
    KnownOption{"numprocesses", Kind::Integer},
    KnownOption{"singleton", Kind::Boolean},
    KnownOption{"working_dir", Kind::Text},
    KnownOption{"uid", Kind::IntegerOrText},
    KnownOption{"gid", Kind::IntegerOrText},
    KnownOption{"copy_env", Kind::Boolean},
    KnownOption{"copy_path", Kind::Boolean},
    KnownOption{"virtualenv", Kind::Text},
    KnownOption{"virtualenv_py_ver", Kind::Text},
    KnownOption{"warmup_delay", Kind::Number},
    KnownOption{"autostart", Kind::Boolean},
    KnownOption{"respawn", Kind::Boolean},
    KnownOption{"max_retry", Kind::Integer},
    KnownOption{"max_age", Kind::Integer},
    KnownOption{"max_age_variance", Kind::Integer},
    KnownOption{"stop_signal", Kind::IntegerOrText},
    KnownOption{"stop_children", Kind::Boolean},
    KnownOption{"graceful_timeout", Kind::Number},
    KnownOption{"send_hup", Kind::Boolean},
    KnownOption{"priority", Kind::Integer},
    KnownOption{"use_sockets", Kind::Boolean},
    KnownOption{"stdin_socket", Kind::Text},
    KnownOption{"on_demand", Kind::Boolean},
    KnownOption{"close_child_stdin", Kind::Boolean},
    KnownOption{"close_child_stdout", Kind::Boolean},
    KnownOption{"close_child_stderr", Kind::Boolean},
};
constexpr std::array kSocketOptions{
    KnownOption{"host", Kind::Text},
    KnownOption{"port", Kind::Integer},
    KnownOption{"family", Kind::Text},
    KnownOption{"type", Kind::Text},
    KnownOption{"proto", Kind::IntegerOrText},
    KnownOption{"backlog", Kind::Integer},
    KnownOption{"path", Kind::Text},
    KnownOption{"umask", Kind::Text},
    KnownOption{"replace", Kind::Boolean},
    KnownOption{"interface", Kind::Text},
    KnownOption{"so_reuseport", Kind::Boolean},
    KnownOption{"blocking", Kind::Boolean},
};
constexpr std::array kCircusOptions{
    KnownOption{"endpoint", Kind::Text},
    KnownOption{"pubsub_endpoint", Kind::Text},
    KnownOption{"stats_endpoint", Kind::Text},
    KnownOption{"endpoint_owner", Kind::Text},
    KnownOption{"check_delay", Kind::Number},
    KnownOption{"umask", Kind::Text},
    KnownOption{"pidfile", Kind::Text},
    KnownOption{"loglevel", Kind::Text},
    KnownOption{"logoutput", Kind::Text},
    KnownOption{"warmup_delay", Kind::Number},
    KnownOption{"statsd", Kind::Boolean},
    KnownOption{"httpd", Kind::Boolean},
    KnownOption{"httpd_host", Kind::Text},
    KnownOption{"httpd_port", Kind::Integer},
    KnownOption{"multicast_endpoint", Kind::Text},
    KnownOption{"debug", Kind::Boolean},
};
constexpr std::array kStreamOptions{
    KnownOption{"class", Kind::Text},
    KnownOption{"filename", Kind::Text},
    KnownOption{"time_format", Kind::Text},
    KnownOption{"max_bytes", Kind::Integer},
    KnownOption{"backup_count", Kind::Integer},
    KnownOption{"rotate_when", Kind::Text},
    KnownOption{"rotate_interval", Kind::Integer},
    KnownOption{"utc", Kind::Boolean},
    KnownOption{"color", Kind::Text},
};

// What has no counterpart, and what to do instead.
constexpr std::array kLostOfCircus{
    Lost{"use_papa", "not needed: circusd's keeper holds sockets and processes by itself"},
    Lost{"papa_endpoint", "not needed: circusd's keeper holds sockets and processes by itself"},
    Lost{"check_flapping",
         "circusd backs off by itself from a process that ends early: see min_uptime and max_backoff"},
    Lost{"stream_backend", "not needed: output is pumped on a thread of its own"},
    Lost{"refresh_time", "not needed: output is read when it comes"},
    Lost{"env", "Circus does not read env in a watcher's section: use [env.\"NAME\"]"},
    Lost{"debug_gc", "there is no garbage collector"},
    Lost{"loggerconfig", "Python's logging is not used: see loglevel and logoutput"},
    Lost{"fqdn_prefix", "not available: give the statsd plugin's prefix the host's name"},
};

}  // namespace

KnownOptions circus_options() {
    return kCircusOptions;
}

KnownOptions circus_socket_options() {
    return kSocketOptions;
}

KnownOptions circus_watcher_options() {
    return kWatcherOptions;
}

KnownOptions circus_stream_options() {
    return kStreamOptions;
}

const KnownOption* find_known(KnownOptions options, std::string_view name) {
    const auto at =
        std::find_if(options.begin(), options.end(), [name](const auto& row) { return row.name == name; });
    return at == options.end() ? nullptr : &*at;
}

std::optional<std::string_view> advice_for_lost(std::string_view name) {
    const auto at = std::find_if(kLostOfCircus.begin(), kLostOfCircus.end(),
                                 [name](const Lost& row) { return row.name == name; });
    if (at == kLostOfCircus.end()) return std::nullopt;
    return at->advice;
}

std::optional<std::string> own_stream_class(std::string_view name) {
    constexpr std::array kClasses{"FileStream",   "WatchedFileStream", "TimedRotatingFileStream",
                                  "StdoutStream", "FancyStdoutStream", "QueueStream"};
    if (name.starts_with("circus.stream.")) name = name.substr(name.rfind('.') + 1);
    for (const auto known : kClasses)
        if (name == known) return std::string(name);
    return std::nullopt;
}

}  // namespace circus::convert
