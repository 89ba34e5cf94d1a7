// What the commands do, one function each, in eight families: queries, stats, lifecycle, options, processes,
// configuration, logs, deaths. A handler gets properties that validate() has passed and answers through its
// Reply. Handlers run on the loop's thread between two Arbiter::settle() and block on nothing.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "control/command_registry.hpp"
#include "control/job.hpp"
#include "control/reply.hpp"
#include "stats/process_object.hpp"
#include "supervise/arbiter.hpp"

namespace circus::control {

struct Context {
    supervise::Arbiter& arbiter;
    const Clock& clock;
    pid_t daemon_pid;  // whom dstats shows
    stats::ProcessLooks looks{};
    std::deque<Job> jobs{};  // in the order of their turns
    CommandRegistry registry{};
};

using Handler = void (*)(Context&, const Json& properties, const Reply& reply);

struct NamedHandler {
    std::string_view command;
    Handler handler;
};
std::vector<NamedHandler> query_handlers();
std::vector<NamedHandler> stats_handlers();
std::vector<NamedHandler> lifecycle_handlers();
std::vector<NamedHandler> option_handlers();
std::vector<NamedHandler> process_handlers();
std::vector<NamedHandler> config_handlers();
std::vector<NamedHandler> log_handlers();
std::vector<NamedHandler> death_handlers();

// The handler of a row of the command table, by its name; null: none.
Handler find_handler(std::string_view command);

// ---- shared by the families ----

// The watcher that `name` asks for. Null: the error is answered.
supervise::Watcher* find_watcher(Context& context, const Json& properties, const Reply& reply);

// `restart` without a name: circusd in itself.
void restart_everything(Context& context, const Json& properties, const Reply& reply);

using config::kMaxProcesses;

}  // namespace circus::control
