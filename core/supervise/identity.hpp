// Identity: the ids that a watcher's processes run with, and the virtualenv they live in: what is looked up
// once when its configuration arrives. The look-up may ask the network (nss) or read a disk, a spawn must
// not.
#pragma once

#include <optional>
#include <sys/types.h>
#include <vector>

#include "config/config.hpp"
#include "config/virtual_env.hpp"

namespace circus::supervise {

struct Identity {
    std::optional<uid_t> uid;
    std::optional<gid_t> gid;
    std::vector<gid_t> groups;
    std::optional<config::VirtualEnv> virtual_env;
};

// uid alone brings its primary group and its supplementary groups; gid alone that one group. Nothing for an
// unprivileged daemon that names itself: it may "become" only that, and setgroups(2) would refuse even so
// much.
Identity identity_of(const config::WatcherConfig& config);

}  // namespace circus::supervise
