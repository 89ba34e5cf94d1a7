// Commands about the processes of a watcher: incr, decr, kill, signal.
#include <algorithm>
#include <limits>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/handlers.hpp"
#include "control/properties.hpp"

namespace circus::control {

namespace {

using supervise::Watcher;

void change_count(Context& context, const Json& properties, const Reply& reply, int direction) {
    Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    if (watcher->config().singleton)
        return reply.ok({{"numprocesses", watcher->numprocesses()}, {"singleton", true}});
    const long long asked = integer_of(properties, "nb").value_or(1);
    // Within bounds before it is added to anything.
    const long long by = std::clamp(asked, -2 * kMaxProcesses, 2 * kMaxProcesses) * direction;
    const long long count = std::max(0LL, watcher->numprocesses() + by);
    if (count > kMaxProcesses)
        return reply.error(Errno::Message, cat("'nb' makes it more than ", kMaxProcesses, " processes"));
    context.arbiter.set_numprocesses(*watcher, static_cast<int>(count),
                                     reply.at_end([count](const supervise::OpResult&) -> Json {
                                         return {{"numprocesses", count}};
                                     }),
                                     from_seconds(seconds_of(properties, "drain").value_or(0)));
    reply.began();
}

void incr(Context& context, const Json& properties, const Reply& reply) {
    change_count(context, properties, reply, 1);
}

void decr(Context& context, const Json& properties, const Reply& reply) {
    change_count(context, properties, reply, -1);
}

// The process that a pid in a message means: one of this watcher or none. 0, -1 and strangers are none.
const supervise::Process* process_of(const Watcher& watcher, long long pid) {
    if (pid <= 0 || pid > std::numeric_limits<pid_t>::max()) return nullptr;
    return watcher.find_pid(static_cast<pid_t>(pid));
}

void kill(Context& context, const Json& properties, const Reply& reply) {
    Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    supervise::KillRequest request;
    request.signo = signal_of(properties, "signum");
    if (request.signo == 0) request.signo.reset();
    request.graceful_timeout = seconds_of(properties, "graceful_timeout");
    if (const auto pid = integer_of(properties, "pid")) {
        const supervise::Process* process = process_of(*watcher, *pid);
        if (!process) return reply.ok();
        request.pid = process->pid;
    }
    context.arbiter.kill(*watcher, request, reply.at_end());
    reply.began();
}

void signal(Context& context, const Json& properties, const Reply& reply) {
    // Circus's documents write child_pid, its code reads childpid.
    const auto child = integer_of(properties, has(properties, "childpid") ? "childpid" : "child_pid");
    const auto pid = integer_of(properties, "pid");
    if (child && !pid) return reply.error(Errno::Command, "cannot specify childpid without pid");
    Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    supervise::SignalRequest request;
    request.signo = signal_of(properties, "signum").value_or(0);
    request.children = flag_of(properties, "children");
    request.recursive = flag_of(properties, "recursive");
    if (pid) {
        const supervise::Process* process = process_of(*watcher, *pid);
        if (!process) return reply.ok();
        request.pid = process->pid;
    }
    if (child) {
        if (*child <= 0 || *child > std::numeric_limits<pid_t>::max()) return reply.ok();
        request.child_pid = static_cast<pid_t>(*child);
    }
    const Status sent = context.arbiter.signal(*watcher, request);
    if (!sent) return reply.error(sent.error());
    reply.ok();
}

}  // namespace

std::vector<NamedHandler> process_handlers() {
    return {{"incr", incr}, {"decr", decr}, {"kill", kill}, {"signal", signal}};
}

}  // namespace circus::control
