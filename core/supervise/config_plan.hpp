// ConfigPlan: what a change of the configuration does, or would do: the answer to `reloadconfig`. Each entry
// is a name and why.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "config/diff.hpp"

namespace circus::supervise {

struct ConfigPlan {
    using Entries = std::vector<std::pair<std::string, std::string>>;
    Entries kept, updated, restarted, started, stopped;  // watchers
    Entries sockets;                                     // those that are not kept as they are
    Entries plugins;                                     // the same
    Entries circus;                                      // options of [circus] that changed
    std::vector<std::string> warnings;                   // of the configuration, with file, line and column
};

enum class ConfigChange {
    Preview,  // nothing is done
    Reload,   // what changed
    Restart,  // everything is stopped in order, then started as the file says
};

// Called once, from Arbiter::settle(), when what was begun is through. An error of Errno::Exception: the
// configuration cannot be used, and nothing was touched; its text has a line for each reason.
using ConfigDone = std::function<void(Result<ConfigPlan>)>;

// `running` is where the watchers came from, `file` what the file says of them: of a kept watcher the two may
// differ. `is_up` tells whether a watcher of `running` is wanted up.
ConfigPlan plan_of(const config::Difference& difference, const config::Config& running,
                   const config::Config& file, const std::function<bool(const std::string&)>& is_up);

// What a restart of everything does.
ConfigPlan plan_of_restart(const config::Difference& difference, const config::Config& file);

}  // namespace circus::supervise
