// The configuration as typed values, one struct a section; nothing here is alive. The rows that parse,
// default, show and document these fields are in option_table.hpp; load.hpp fills a Config from TOML. Two
// configurations are told apart with ==: `source` (where a section stands) is not part of a watcher's
// identity and is compared by nobody.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "model/hook.hpp"
#include "model/role.hpp"

namespace circus::config {

// A uid or gid option: as written (shown by `options`) and as resolved when the configuration was loaded.
struct UserRef {
    std::string written;  // "www-data" or "33"
    uid_t uid = 0;
    bool operator==(const UserRef&) const = default;
};
// One of allow_users: "deploy", or "deploy:operate".
struct AllowedUser {
    UserRef user;
    model::Role role = model::Role::Admin;
    bool operator==(const AllowedUser&) const = default;
};
// One who may come over a network: a line of the file that curve_keys names.
struct CurveClient {
    std::string name;
    std::string key;  // the public one, Z85
    model::Role role = model::Role::None;
    bool operator==(const CurveClient&) const = default;
};
struct GroupRef {
    std::string written;
    gid_t gid = 0;
    bool operator==(const GroupRef&) const = default;
};

struct RlimitSetting {
    int resource = 0;                              // RLIMIT_*
    std::optional<unsigned long long> soft, hard;  // nullopt: no limit
    bool operator==(const RlimitSetting&) const = default;
};

// stdout_stream / stderr_stream. One struct for all classes: an option that a class does not have is a config
// error.
struct StreamConfig {
    std::string class_name = {};
    std::string filename = {};         // $(circus.wid) gives one file per worker
    std::string time_format = {};      // strftime; empty: no prefix
    unsigned long long max_bytes = 0;  // 0: never rotate
    int backup_count = 0;
    std::string rotate_when = {};  // S M H D W0…W6 MIDNIGHT
    int rotate_interval = 1;
    bool utc = false;
    bool compress = false;
    std::string color = {};  // empty: a random one
    int lines = 1000;        // of a QueueStream
    enum class OnSlow { Block, Drop };
    OnSlow on_slow = OnSlow::Block;
    std::string offered = {};  // the options of a class that is not circusd's own, as JSON text
    bool operator==(const StreamConfig&) const = default;
};

// One entry of `hooks`: a function of a library, or a command.
struct HookConfig {
    std::string library;   // "lib.so"; empty: it is a command
    std::string function;  // what is called in it
    std::string command;   // written, substituted and run like a watcher's cmd
    double timeout = 10;   // seconds until it counts as failed
    bool ignore_failure = false;
    std::string place = {};  // "stack.toml:3:1", for errors: no part of what it is, and not saved
    bool operator==(const HookConfig& other) const {
        return library == other.library && function == other.function && command == other.command &&
               timeout == other.timeout && ignore_failure == other.ignore_failure;
    }
};

// When a new process counts as running, for a reload and for those that depend on its watcher.
struct ReadyConfig {
    enum class Kind {
        Spawned,  // at once
        Notify,   // it says READY=1, as sd_notify(3) does
        Log,      // a line of its output matches `target`
        Tcp,      // somebody listens at `target`
        Http,     // `target` answers with 2xx or 3xx
        Exec,     // `target`, a command, exits with 0
    };
    Kind kind = Kind::Spawned;
    std::string target;  // before substitution
    bool operator==(const ReadyConfig&) const = default;
};

// What `reload` does with no option.
enum class ReloadMode { Graceful, Sequential, Terminate, Hup };

// A watcher that another one waits for when it starts.
struct Dependency {
    enum class Until {
        Started,    // each of its processes was spawned
        Ready,      // each of them counts
        Completed,  // it has ended, each of its processes with 0
    };
    std::string name;
    Until until = Until::Ready;
    bool operator==(const Dependency&) const = default;
};

struct ByteSize {
    std::string written{};         // "200M"; empty: it was given as a number
    unsigned long long bytes = 0;  // 0: none was given
    bool operator==(const ByteSize&) const = default;
};

// Environment in the order written; a later value of a name wins.
using EnvList = std::vector<std::pair<std::string, std::string>>;

// Of the names of hidden watchers; no other watcher may have it.
inline constexpr std::string_view kHiddenPrefix = "plugin:";

// More processes than this in one watcher is a slip of the keyboard, not a wish.
inline constexpr long long kMaxProcesses = 100'000;

struct WatcherConfig {
    std::string name;        // as written; matched without case
    bool from_file = false;  // what it leaves out of env and streams is shown as {}; null when it was added
    std::string cmd;
    std::vector<std::string> args;    // words, before substitution
    bool args_given_as_text = false;  // `options` then shows args_text as it was written
    std::string args_text;
    bool shell = false;
    std::vector<std::string> shell_args;
    std::string executable;  // empty: argv[0] is looked up in PATH
    int numprocesses = 1;
    bool singleton = false;
    std::string working_dir;  // empty: the daemon's
    std::optional<UserRef> uid;
    std::optional<GroupRef> gid;
    std::optional<mode_t> umask;
    std::optional<int> nice;
    std::optional<int> oom_score_adj;
    bool no_new_privs = false;
    std::map<std::string, RlimitSetting> rlimits;  // by the option's suffix: "nofile"
    bool copy_env = false;
    bool copy_path = false;         // the daemon's PYTHONPATH
    std::string virtualenv;         // its folder; empty: none
    std::string virtualenv_py_ver;  // "3.11"; empty: the one it has
    EnvList env;                    // [env], [env."…"] and the watcher's own, merged, later wins
    double warmup_delay = 0;        // seconds, as all times below
    bool autostart = true;
    bool respawn = true;
    int max_retry = 5;  // -1: for ever
    double min_uptime = 1;
    std::optional<double> max_backoff;  // nullopt: check_delay
    int max_age = 0;                    // 0: none
    int max_age_variance = 30;
    int stop_signal = 15;
    std::string stop_command;  // empty: the stop signal; else what is run in its place
    bool stop_children = false;
    double graceful_timeout = 30;
    bool kill_tree = true;
    bool send_hup = false;
    ReadyConfig ready;
    double ready_timeout = 30;
    ReloadMode reload_mode = ReloadMode::Graceful;
    std::optional<int> max_surge;  // nullopt: all new processes are started before an old one is stopped
    int max_unavailable = 0;
    std::vector<Dependency> depends_on;
    bool critical = false;
    ByteSize memory_soft;
    ByteSize memory_max;
    int priority = 0;
    bool use_sockets = false;
    std::string stdin_socket;  // empty: none; else the name of a socket that becomes fd 0
    bool on_demand = false;    // started by the first connection to a socket it uses
    bool close_child_stdin = true;
    bool close_child_stdout = false;
    bool close_child_stderr = false;
    std::optional<StreamConfig> stdout_stream;
    std::optional<StreamConfig> stderr_stream;
    std::map<model::HookPoint, HookConfig> hooks;

    bool hidden = false;  // no section's: the process of an isolated plugin. Clients do not see it
    // Overrides of plugins' options for this watcher, "flapping.max_retry" -> JSON text.
    std::map<std::string, std::string> plugin_options;

    bool operator==(const WatcherConfig&) const = default;
};

enum class Family { Inet, Inet6, Unix };
enum class SocketType { Stream, Dgram, SeqPacket, Raw, Rdm };

// Who says which slot's listener gets a new connection, with so_reuseport.
enum class SteeringKind { Kernel, RoundRobin, LeastLoaded };
constexpr const char* to_string(SteeringKind kind) {
    return kind == SteeringKind::Kernel       ? "kernel"
           : kind == SteeringKind::RoundRobin ? "round_robin"
                                              : "least_loaded";
}

struct SocketConfig {
    std::string name;
    std::string host = "localhost";
    int port = 8080;  // 0: any free one
    Family family = Family::Inet;
    SocketType type = SocketType::Stream;
    int proto = 0;  // of protocols(5); 0: the usual one of family and type
    int backlog = 2048;
    std::string path;             // not empty: a unix socket; host and port are ignored
    std::optional<mode_t> umask;  // of the unix socket's file
    bool replace = false;
    std::string interface;  // SO_BINDTODEVICE
    bool so_reuseport = false;
    SteeringKind steering = SteeringKind::Kernel;
    bool blocking = false;
    std::optional<UserRef> owner;  // of the unix socket's file
    std::optional<GroupRef> group;
    bool operator==(const SocketConfig&) const = default;
};

struct CircusConfig {
    std::string endpoint;  // never empty after load(): the defaults are filled in
    std::string pubsub_endpoint;
    std::string stats_endpoint;
    double check_delay = 5.0;
    std::optional<mode_t> umask;
    std::string pidfile;
    std::string loglevel = "info";  // debug info warning error critical
    std::string logoutput = "-";    // "-" (stderr), a path, or a syslog server: log_output.hpp
    std::string log_format = "text";
    std::optional<UserRef> endpoint_owner;
    std::vector<AllowedUser> allow_users;
    std::string curve_secret;                // the daemon's key file, absolute after load(); empty: no CURVE
    std::string curve_keys;                  // the file of those who are let in, absolute after load()
    std::string curve_secret_key;            // what the first holds
    std::vector<CurveClient> curve_clients;  // and the second
    bool debug = false;                      // what goes into streams goes to the daemon's stdout too
    std::string multicast_endpoint;          // empty: no discovery; else multicast.hpp reads it
    double warmup_delay = 0;
    double stop_timeout = 60;
    double arbiter_timeout = 10;
    bool statsd = false;
    bool httpd = false;
    std::string httpd_host = "localhost";
    int httpd_port = 8080;
    std::vector<std::string> plugin_path;  // absolute after load()
    bool operator==(const CircusConfig&) const = default;
};

// [plugin.NAME], or one that an option of [circus] asks for.
struct PluginConfig {
    std::string name;  // as written; matched without case
    std::string use;   // a plugin's name, or the path of a library
    bool isolate = false;
    bool active = true;
    int priority = 0;      // higher starts first, stops last
    std::string options;   // its own, complete and checked: a JSON object's text
    std::string file;      // the library, absolute
    std::string unusable;  // why the library cannot be used; empty: it can
    std::string version;   // what the library says of itself
    std::string summary;
    bool operator==(const PluginConfig&) const = default;
};

struct Config {
    std::string file;       // the main file, absolute
    std::string directory;  // the daemon's working directory at load
    CircusConfig circus;
    std::vector<WatcherConfig> watchers;  // in file order
    std::vector<SocketConfig> sockets;    // in file order; the n-th gets descriptor 3 + n in the workers
    std::vector<PluginConfig> plugins;    // in file order
};

}  // namespace circus::config
