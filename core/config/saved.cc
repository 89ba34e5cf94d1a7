#include "config/saved.hpp"

#include <concepts>
#include <type_traits>

#include <nlohmann/json.hpp>

namespace circus::config {

namespace {

// ---- the rows ----

template <class T, class Struct>
concept MaybeConst = std::same_as<std::remove_const_t<T>, Struct>;

void each_member(MaybeConst<UserRef> auto& c, auto&& visit) {
    auto& [written, uid] = c;
    visit("written", written);
    visit("uid", uid);
}

void each_member(MaybeConst<AllowedUser> auto& c, auto&& visit) {
    auto& [user, role] = c;
    visit("user", user);
    visit("role", role);
}

void each_member(MaybeConst<CurveClient> auto& c, auto&& visit) {
    auto& [name, key, role] = c;
    visit("name", name);
    visit("key", key);
    visit("role", role);
}

void each_member(MaybeConst<GroupRef> auto& c, auto&& visit) {
    auto& [written, gid] = c;
    visit("written", written);
    visit("gid", gid);
}

void each_member(MaybeConst<RlimitSetting> auto& c, auto&& visit) {
    auto& [resource, soft, hard] = c;
    visit("resource", resource);
    visit("soft", soft);
    visit("hard", hard);
}

void each_member(MaybeConst<StreamConfig> auto& c, auto&& visit) {
    auto& [class_name, filename, time_format, max_bytes, backup_count, rotate_when, rotate_interval, utc,
           compress, color, lines, on_slow, offered] = c;
    visit("class_name", class_name);
    visit("filename", filename);
    visit("time_format", time_format);
    visit("max_bytes", max_bytes);
    visit("backup_count", backup_count);
    visit("rotate_when", rotate_when);
    visit("rotate_interval", rotate_interval);
    visit("utc", utc);
    visit("compress", compress);
    visit("color", color);
    visit("lines", lines);
    visit("on_slow", on_slow);
    visit("offered", offered);
}

void each_member(MaybeConst<HookConfig> auto& c, auto&& visit) {
    auto& [library, function, command, timeout, ignore_failure, place] = c;
    visit("library", library);
    visit("function", function);
    visit("command", command);
    visit("timeout", timeout);
    visit("ignore_failure", ignore_failure);
}

void each_member(MaybeConst<ReadyConfig> auto& c, auto&& visit) {
    auto& [kind, target] = c;
    visit("kind", kind);
    visit("target", target);
}

void each_member(MaybeConst<Dependency> auto& c, auto&& visit) {
    auto& [name, until] = c;
    visit("name", name);
    visit("until", until);
}

void each_member(MaybeConst<ByteSize> auto& c, auto&& visit) {
    auto& [written, bytes] = c;
    visit("written", written);
    visit("bytes", bytes);
}

void each_member(MaybeConst<WatcherConfig> auto& c, auto&& visit) {
    auto& [name, from_file, cmd, args, args_given_as_text, args_text, shell, shell_args, executable,
           numprocesses, singleton, working_dir, uid, gid, umask, nice, oom_score_adj, no_new_privs, rlimits,
           copy_env, copy_path, virtualenv, virtualenv_py_ver, env, warmup_delay, autostart, respawn,
           max_retry, min_uptime, max_backoff, max_age, max_age_variance, stop_signal, stop_command,
           stop_children, graceful_timeout, kill_tree, send_hup, ready, ready_timeout, reload_mode, max_surge,
           max_unavailable, depends_on, critical, memory_soft, memory_max, priority, use_sockets,
           stdin_socket, on_demand, close_child_stdin, close_child_stdout, close_child_stderr, stdout_stream,
           stderr_stream, hooks, hidden, plugin_options] = c;
    visit("name", name);
    visit("from_file", from_file);
    visit("cmd", cmd);
    visit("args", args);
    visit("args_given_as_text", args_given_as_text);
    visit("args_text", args_text);
    visit("shell", shell);
    visit("shell_args", shell_args);
    visit("executable", executable);
    visit("numprocesses", numprocesses);
    visit("singleton", singleton);
    visit("working_dir", working_dir);
    visit("uid", uid);
    visit("gid", gid);
    visit("umask", umask);
    visit("nice", nice);
    visit("oom_score_adj", oom_score_adj);
    visit("no_new_privs", no_new_privs);
    visit("rlimits", rlimits);
    visit("copy_env", copy_env);
    visit("copy_path", copy_path);
    visit("virtualenv", virtualenv);
    visit("virtualenv_py_ver", virtualenv_py_ver);
    visit("env", env);
    visit("warmup_delay", warmup_delay);
    visit("autostart", autostart);
    visit("respawn", respawn);
    visit("max_retry", max_retry);
    visit("min_uptime", min_uptime);
    visit("max_backoff", max_backoff);
    visit("max_age", max_age);
    visit("max_age_variance", max_age_variance);
    visit("stop_signal", stop_signal);
    visit("stop_command", stop_command);
    visit("stop_children", stop_children);
    visit("graceful_timeout", graceful_timeout);
    visit("kill_tree", kill_tree);
    visit("send_hup", send_hup);
    visit("ready", ready);
    visit("ready_timeout", ready_timeout);
    visit("reload_mode", reload_mode);
    visit("max_surge", max_surge);
    visit("max_unavailable", max_unavailable);
    visit("depends_on", depends_on);
    visit("critical", critical);
    visit("memory_soft", memory_soft);
    visit("memory_max", memory_max);
    visit("priority", priority);
    visit("use_sockets", use_sockets);
    visit("stdin_socket", stdin_socket);
    visit("on_demand", on_demand);
    visit("close_child_stdin", close_child_stdin);
    visit("close_child_stdout", close_child_stdout);
    visit("close_child_stderr", close_child_stderr);
    visit("stdout_stream", stdout_stream);
    visit("stderr_stream", stderr_stream);
    visit("hooks", hooks);
    visit("hidden", hidden);
    visit("plugin_options", plugin_options);
}

void each_member(MaybeConst<SocketConfig> auto& c, auto&& visit) {
    auto& [name, host, port, family, type, proto, backlog, path, umask, replace, interface, so_reuseport,
           steering, blocking, owner, group] = c;
    visit("name", name);
    visit("host", host);
    visit("port", port);
    visit("family", family);
    visit("type", type);
    visit("proto", proto);
    visit("backlog", backlog);
    visit("path", path);
    visit("umask", umask);
    visit("replace", replace);
    visit("interface", interface);
    visit("so_reuseport", so_reuseport);
    visit("steering", steering);
    visit("blocking", blocking);
    visit("owner", owner);
    visit("group", group);
}

void each_member(MaybeConst<CircusConfig> auto& c, auto&& visit) {
    auto& [endpoint, pubsub_endpoint, stats_endpoint, check_delay, umask, pidfile, loglevel, logoutput,
           log_format, endpoint_owner, allow_users, curve_secret, curve_keys, curve_secret_key, curve_clients,
           debug, multicast_endpoint, warmup_delay, stop_timeout, arbiter_timeout, statsd, httpd, httpd_host,
           httpd_port, plugin_path] = c;
    visit("endpoint", endpoint);
    visit("pubsub_endpoint", pubsub_endpoint);
    visit("stats_endpoint", stats_endpoint);
    visit("check_delay", check_delay);
    visit("umask", umask);
    visit("pidfile", pidfile);
    visit("loglevel", loglevel);
    visit("logoutput", logoutput);
    visit("log_format", log_format);
    visit("endpoint_owner", endpoint_owner);
    visit("allow_users", allow_users);
    visit("curve_secret", curve_secret);
    visit("curve_keys", curve_keys);
    visit("curve_secret_key", curve_secret_key);
    visit("curve_clients", curve_clients);
    visit("debug", debug);
    visit("multicast_endpoint", multicast_endpoint);
    visit("warmup_delay", warmup_delay);
    visit("stop_timeout", stop_timeout);
    visit("arbiter_timeout", arbiter_timeout);
    visit("statsd", statsd);
    visit("httpd", httpd);
    visit("httpd_host", httpd_host);
    visit("httpd_port", httpd_port);
    visit("plugin_path", plugin_path);
}

void each_member(MaybeConst<PluginConfig> auto& c, auto&& visit) {
    auto& [name, use, isolate, active, priority, options, file, unusable, version, summary] = c;
    visit("name", name);
    visit("use", use);
    visit("isolate", isolate);
    visit("active", active);
    visit("priority", priority);
    visit("options", options);
    visit("file", file);
    visit("unusable", unusable);
    visit("version", version);
    visit("summary", summary);
}

void each_member(MaybeConst<Config> auto& c, auto&& visit) {
    auto& [file, directory, circus, watchers, sockets, plugins] = c;
    visit("file", file);
    visit("directory", directory);
    visit("circus", circus);
    visit("watchers", watchers);
    visit("sockets", sockets);
    visit("plugins", plugins);
}

void each_member(MaybeConst<VirtualEnv> auto& c, auto&& visit) {
    auto& [root, bin, site_packages, more_modules] = c;
    visit("root", root);
    visit("bin", bin);
    visit("site_packages", site_packages);
    visit("more_modules", more_modules);
}

// ---- values ----

template <class T>
concept Plain = std::is_arithmetic_v<T> || std::same_as<T, std::string>;
template <class T>
concept Struct = requires(const T& value) {
    each_member(value, [](const char*, const auto&) {});
};

Json put(const Plain auto& value) {
    return value;
}
template <class E>
requires std::is_enum_v<E> Json put(const E& value) {
    return static_cast<int>(value);
}
template <Struct T>
Json put(const T& value);
template <class T>
Json put(const std::optional<T>& value);
template <class T>
Json put(const std::vector<T>& values);
template <class A, class B>
Json put(const std::pair<A, B>& both);
template <class K, class V>
Json put(const std::map<K, V>& entries);

template <class T>
Json put(const std::optional<T>& value) {
    return value ? put(*value) : Json();
}
template <class T>
Json put(const std::vector<T>& values) {
    Json out = Json::array();
    for (const T& value : values) out.push_back(put(value));
    return out;
}
template <class A, class B>
Json put(const std::pair<A, B>& both) {
    Json out = Json::array();
    out.push_back(put(both.first));
    out.push_back(put(both.second));
    return out;
}
template <class K, class V>
Json put(const std::map<K, V>& entries) {
    Json out = Json::array();
    for (const auto& entry : entries) out.push_back(put(entry));
    return out;
}

template <Struct T>
Json put_all(const T& value) {
    Json out = Json::object();
    each_member(value, [&out](const char* name, const auto& member) { out[name] = put(member); });
    return out;
}

template <Struct T>
Json put(const T& value) {
    static const Json kDefaults = put_all(T{});
    Json out = Json::object();
    each_member(value, [&out](const char* name, const auto& member) {
        Json text = put(member);
        if (text != kDefaults[name]) out[name] = std::move(text);
    });
    return out;
}

void get(const Json& from, Plain auto& value) {
    from.get_to(value);
}
template <class E>
requires std::is_enum_v<E>
void get(const Json& from, E& value) {
    value = static_cast<E>(from.get<int>());
}
template <Struct T>
void get(const Json& from, T& value);
template <class T>
void get(const Json& from, std::optional<T>& value);
template <class T>
void get(const Json& from, std::vector<T>& values);
template <class A, class B>
void get(const Json& from, std::pair<A, B>& both);
template <class K, class V>
void get(const Json& from, std::map<K, V>& entries);

template <class T>
void get(const Json& from, std::optional<T>& value) {
    value.reset();
    if (!from.is_null()) get(from, value.emplace());
}
template <class T>
void get(const Json& from, std::vector<T>& values) {
    values.clear();
    for (const Json& each : from) get(each, values.emplace_back());
}
template <class A, class B>
void get(const Json& from, std::pair<A, B>& both) {
    get(from.at(0), both.first);
    get(from.at(1), both.second);
}
template <class K, class V>
void get(const Json& from, std::map<K, V>& entries) {
    entries.clear();
    for (const Json& each : from) {
        std::pair<K, V> entry{};
        get(each, entry);
        entries.insert(std::move(entry));
    }
}

template <Struct T>
void get(const Json& from, T& value) {
    value = T{};
    each_member(value, [&from](const char* name, auto& member) {
        if (const auto at = from.find(name); at != from.end()) get(*at, member);
    });
}

}  // namespace

Json to_saved(const WatcherConfig& config) {
    return put(config);
}
Json to_saved(const Config& config) {
    return put(config);
}
Json to_saved(const VirtualEnv& env) {
    return put(env);
}
Json to_saved(const SocketConfig& config) {
    return put(config);
}

void from_saved(const Json& saved, WatcherConfig& config) {
    get(saved, config);
}
void from_saved(const Json& saved, Config& config) {
    get(saved, config);
}
void from_saved(const Json& saved, VirtualEnv& env) {
    get(saved, env);
}
void from_saved(const Json& saved, SocketConfig& config) {
    get(saved, config);
}

}  // namespace circus::config
