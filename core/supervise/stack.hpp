// Stack: what every watcher needs of the arbiter. Owned by it, outlives them all; the loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <sys/resource.h>
#include <vector>

#include "base/clock.hpp"
#include "config/config.hpp"
#include "supervise/hooks.hpp"
#include "supervise/ports.hpp"
#include "supervise/sockets.hpp"

namespace circus::supervise {

class Deaths;
class DrainPort;
class HookCalls;
using HookCallId = std::uint64_t;

struct Stack {
    KeeperPort& keeper;
    StreamPort& streams;
    EventPort& events;
    const Clock& clock;
    SocketTable& sockets;
    const config::CircusConfig& circus;
    std::vector<std::string> environment;       // the daemon's own, "NAME=value"
    std::function<double()> random;             // [0, 1): jitter, max_age_variance
    rlimit original_nofile{};                   // given back to the children
    std::string instance;                       // value of CIRCUS_INSTANCE up to the dot
    HookRegistry* hooks = nullptr;              // those of plugins; null: there are none
    HookLibraryPort* hook_libraries = nullptr;  // null: none can be loaded
    DrainPort* drain = nullptr;                 // null: nobody is drained
    NotifyPort* notify = nullptr;               // null: there is no such socket
    ProbePort* probes = nullptr;                // null: nobody can look
    Deaths* deaths = nullptr;                   // null: nobody keeps records
    ChildId next_id = 1;
    // Who waits for the answer to which call. An answer that nobody waits for any more finds nobody.
    std::map<HookCallId, HookCalls*> asked{};
    HookCallId next_call = 1;
};

}  // namespace circus::supervise
