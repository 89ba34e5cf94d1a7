#include "supervise/spawn_plan.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "config/substitute.hpp"

namespace circus::supervise {

namespace {

using keeper::FdMove;

std::string_view value_of(const std::vector<std::string>& environment, std::string_view name) {
    for (auto entry = environment.rbegin(); entry != environment.rend(); ++entry) {
        const std::string_view text = *entry;
        if (text.size() > name.size() && text[name.size()] == '=' && text.substr(0, name.size()) == name)
            return text.substr(name.size() + 1);
    }
    return {};
}

config::SocketFd socket_fds(const SocketTable& sockets) {
    return [&sockets](std::string_view name) -> std::optional<int> {
        const auto* socket = sockets.find(name);
        if (!socket) return std::nullopt;
        return socket->worker_fd;
    };
}

void set_rlimits(const config::WatcherConfig& config, const Stack& stack, keeper::SpawnRequest& request) {
    bool nofile = false;
    for (const auto& [name, setting] : config.rlimits) {
        request.rlimits.push_back({setting.resource, setting.soft ? *setting.soft : RLIM_INFINITY,
                                   setting.hard ? *setting.hard : RLIM_INFINITY});
        nofile = nofile || setting.resource == RLIMIT_NOFILE;
    }
    // The daemon raised its own limit; a worker gets the one the daemon was started with.
    if (!nofile && stack.original_nofile.rlim_cur != 0)
        request.rlimits.push_back(
            {RLIMIT_NOFILE, stack.original_nofile.rlim_cur, stack.original_nofile.rlim_max});
}

}  // namespace

std::vector<std::string> path_candidates(const std::string& program, const std::string& path) {
    if (program.find('/') != std::string::npos) return {program};
    std::vector<std::string> candidates;
    for (const auto& directory : split(path, ':'))
        candidates.push_back(cat(directory.empty() ? "." : directory, "/", program));
    return candidates;
}

void set_variable(std::vector<std::string>& environment, std::string_view name, std::string_view value) {
    std::erase_if(environment, [name](const std::string& entry) {
        return entry.starts_with(name) && entry.substr(name.size(), 1) == "=";
    });
    environment.push_back(cat(name, "=", value));
}

namespace {

std::string path_of(const std::vector<std::string>& environment, const Stack& stack) {
    for (const auto* place : {&environment, &stack.environment})
        if (const auto path = value_of(*place, "PATH"); !path.empty()) return std::string(path);
    return "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
}

void enter(const config::VirtualEnv& env, const Stack& stack, std::vector<std::string>& environment) {
    set_variable(environment, "PATH", cat(env.bin, ":", path_of(environment, stack)));
    set_variable(environment, "VIRTUAL_ENV", env.root);
    std::vector<std::string> modules = env.more_modules;
    if (const auto given = value_of(environment, "PYTHONPATH"); !given.empty()) modules.emplace_back(given);
    modules.push_back(env.site_packages);
    set_variable(environment, "PYTHONPATH", join(modules, ":"));
}

// Everything but argv[0]'s way to a file and the standard descriptors.
keeper::SpawnRequest base_request(const config::WatcherConfig& config, const Identity& identity,
                                  model::Wid wid, ChildId id, const Stack& stack) {
    keeper::SpawnRequest request;
    request.envp = config::expand_env(config, wid, socket_fds(stack.sockets), stack.environment);
    if (identity.virtual_env) enter(*identity.virtual_env, stack, request.envp);
    request.envp.push_back(cat("CIRCUS_INSTANCE=", stack.instance, ".", id));
    request.uid = identity.uid;
    request.gid = identity.gid;
    request.groups = identity.groups;
    set_rlimits(config, stack, request);
    request.umask = config.umask ? config.umask : stack.circus.umask;
    request.nice = config.nice;
    request.oom_score_adj = config.oom_score_adj;
    request.working_dir = config.working_dir;
    request.no_new_privs = config.no_new_privs;
    request.stop_signal = config.stop_signal;
    request.graceful_timeout_ms =
        static_cast<std::uint32_t>(std::clamp(config.graceful_timeout, 0.0, 1e6) * 1000.0);
    request.kill_tree = config.kill_tree;
    request.note.wid = wid;
    return request;
}

void place_stdio(keeper::SpawnRequest& request, int target, bool close) {
    if (close)
        request.fds.push_back({FdMove::From::Null, 0, target});
    else
        request.fds.push_back({FdMove::From::Own, static_cast<std::uint64_t>(target), target});
}

void place_outputs(const config::WatcherConfig& config, keeper::SpawnRequest& request) {
    if (!config.stdout_stream) place_stdio(request, 1, config.close_child_stdout);
    if (!config.stderr_stream) place_stdio(request, 2, config.close_child_stderr);
}

}  // namespace

Result<keeper::SpawnRequest> make_request(const config::WatcherConfig& config, const Identity& identity,
                                          model::Wid wid, ChildId id, const Stack& stack) {
    auto argv = config::expand_argv(config, wid, socket_fds(stack.sockets), stack.environment);
    if (!argv) return argv.error();
    if (argv->empty()) return Error{cat("watcher ", config.name, ": cmd is empty")};

    keeper::SpawnRequest request = base_request(config, identity, wid, id, stack);
    request.argv = std::move(*argv);
    request.candidates = path_candidates(config.executable.empty() ? request.argv.front() : config.executable,
                                         path_of(request.envp, stack));
    if (config.stdin_socket.empty()) place_stdio(request, 0, config.close_child_stdin);
    place_outputs(config, request);
    return request;
}

namespace {

// What is run beside a worker: in its surroundings, without its sockets, and it leaves nothing behind.
Result<keeper::SpawnRequest> side_request(const config::WatcherConfig& config, const Identity& identity,
                                          model::Wid wid, ChildId id, const Stack& stack,
                                          Result<std::vector<std::string>> argv) {
    if (!argv) return argv.error();
    keeper::SpawnRequest request = base_request(config, identity, wid, id, stack);
    request.argv = std::move(*argv);
    request.candidates = path_candidates(request.argv.front(), path_of(request.envp, stack));
    place_stdio(request, 0, true);
    place_outputs(config, request);
    request.kill_tree = true;
    return request;
}

}  // namespace

Result<keeper::SpawnRequest> make_stop_request(const config::WatcherConfig& config, const Identity& identity,
                                               model::Wid wid, pid_t pid, ChildId id, const Stack& stack) {
    auto request =
        side_request(config, identity, wid, id, stack,
                     config::expand_side_command(config, "stop_command", config.stop_command, wid, pid,
                                                 socket_fds(stack.sockets), stack.environment));
    if (request) set_variable(request->envp, "CIRCUS_PID", std::to_string(pid));
    return request;
}

Result<keeper::SpawnRequest> make_hook_request(const config::WatcherConfig& config, const Identity& identity,
                                               const std::string& command, const HookFacts& facts, ChildId id,
                                               const Stack& stack) {
    auto request = side_request(
        config, identity, facts.wid, id, stack,
        config::expand_side_command(config, cat("hook ", to_string(facts.point)), command, facts.wid,
                                    facts.pid, socket_fds(stack.sockets), stack.environment));
    if (!request) return request;
    request->note.is_hook = 1;
    set_variable(request->envp, "CIRCUS_HOOK", to_string(facts.point));
    set_variable(request->envp, "CIRCUS_WATCHER", config.name);
    if (facts.wid != 0) set_variable(request->envp, "CIRCUS_WID", std::to_string(facts.wid));
    if (facts.pid != 0) set_variable(request->envp, "CIRCUS_PID", std::to_string(facts.pid));
    if (facts.signum) set_variable(request->envp, "CIRCUS_SIGNUM", std::to_string(*facts.signum));
    if (facts.exit_code) set_variable(request->envp, "CIRCUS_EXIT_CODE", std::to_string(*facts.exit_code));
    return request;
}

Result<keeper::SpawnRequest> make_ready_request(const config::WatcherConfig& config, const Identity& identity,
                                                const std::string& command, model::Wid wid, pid_t pid,
                                                ChildId id, const Stack& stack) {
    auto request = side_request(config, identity, wid, id, stack,
                                config::expand_side_command(config, "ready.exec", command, wid, pid,
                                                            socket_fds(stack.sockets), stack.environment));
    if (!request) return request;
    std::erase_if(request->fds, [](const FdMove& move) { return move.target == 1 || move.target == 2; });
    place_stdio(*request, 1, true);
    place_stdio(*request, 2, true);
    set_variable(request->envp, "CIRCUS_WATCHER", config.name);
    set_variable(request->envp, "CIRCUS_WID", std::to_string(wid));
    set_variable(request->envp, "CIRCUS_PID", std::to_string(pid));
    return request;
}

std::string fill_in(const config::WatcherConfig& config, const std::string& text, model::Wid wid,
                    const Stack& stack) {
    return config::substitute(
        text, config::worker_lookup(config, wid, socket_fds(stack.sockets), stack.environment));
}

config::StreamConfig stream_of(const config::StreamConfig& config, model::Wid wid) {
    config::StreamConfig filled = config;
    filled.filename = config::substitute(filled.filename, [wid](std::string_view key) {
        return key == "wid" ? std::optional(std::to_string(wid)) : std::nullopt;
    });
    return filled;
}

Status open_streams(const config::WatcherConfig& config, model::Wid wid, const Stack& stack,
                    keeper::SpawnRequest& request, std::vector<PipeId>& pipes,
                    std::vector<UniqueFd>& write_ends) {
    const std::array<std::pair<const std::optional<config::StreamConfig>*, StreamKind>, 2> both = {{
        {&config.stdout_stream, StreamKind::Stdout},
        {&config.stderr_stream, StreamKind::Stderr},
    }};
    for (const auto& [stream, kind] : both) {
        if (!*stream) continue;
        auto pipe = stack.streams.open(stream_of(**stream, wid), config.name, wid, kind);
        if (!pipe) return pipe.error();
        request.fds.push_back(
            {FdMove::From::Passed, request.passed.size(), kind == StreamKind::Stdout ? 1 : 2});
        request.passed.push_back(pipe->write_end.get());
        write_ends.push_back(std::move(pipe->write_end));
        request.note.pipes[kind == StreamKind::Stdout ? 0 : 1] = pipe->id;
        pipes.push_back(pipe->id);
    }
    return Ok{};
}

std::vector<const SocketTable::Socket*> inherited_sockets(const config::WatcherConfig& config,
                                                          const SocketTable& table) {
    std::vector<const SocketTable::Socket*> inherited;
    if (!config.use_sockets) return inherited;
    const std::vector<std::string> named = config::named_sockets(config);
    for (const auto& socket : table.all()) {
        const std::string key = to_lower(socket->config.name);
        if (named.empty() || std::find(named.begin(), named.end(), key) != named.end())
            inherited.push_back(socket.get());
    }
    return inherited;
}

Result<std::vector<int>> awaited_listeners(const config::WatcherConfig& config, SocketTable& table) {
    std::vector<std::string> names;
    for (const auto* socket : inherited_sockets(config, table)) names.push_back(socket->config.name);
    if (!config.stdin_socket.empty()) names.push_back(config.stdin_socket);
    std::vector<int> fds;
    for (const auto& name : names) {
        const auto listeners = table.listeners_of(name, config.name, config.numprocesses);
        if (!listeners) return listeners.error();
        fds.insert(fds.end(), listeners->begin(), listeners->end());
    }
    return fds;
}

Status add_sockets(const config::WatcherConfig& config, model::Wid wid, Stack& stack,
                   keeper::SpawnRequest& request) {
    const auto held = [&](const std::string& name) {
        return stack.sockets.for_worker(name, config.name, wid);
    };
    if (!config.stdin_socket.empty()) {
        const auto hold = held(config.stdin_socket);
        if (!hold) return hold.error();
        request.fds.push_back({FdMove::From::Held, *hold, 0});
    }
    const bool all = config::named_sockets(config).empty();
    std::vector<std::string> names;
    int next = 3;
    bool gapless = true;
    for (const auto* socket : inherited_sockets(config, stack.sockets)) {
        const auto hold = held(socket->config.name);
        if (!hold) return hold.error();
        // Who names none knows none of their numbers.
        const int number = all ? next : socket->worker_fd;
        request.fds.push_back({FdMove::From::Held, *hold, number});
        gapless = gapless && number == next++;
        std::string& name = names.emplace_back(socket->config.name);
        std::replace(name.begin(), name.end(), ':', '_');  // a colon stands between two names
    }
    if (names.empty() || !gapless) return Ok{};
    request.envp.push_back(cat("LISTEN_FDS=", names.size()));
    request.envp.push_back("LISTEN_FDNAMES=" + join(names, ":"));
    request.envp.emplace_back(keeper::kListenPid);
    return Ok{};
}

}  // namespace circus::supervise
