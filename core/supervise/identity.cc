#include "supervise/identity.hpp"

#include <string>
#include <unistd.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "sys/identity.hpp"

namespace circus::supervise {

Identity identity_of(const config::WatcherConfig& config) {
    const bool privileged = geteuid() == 0;
    Identity identity;
    if (config.uid && (privileged || config.uid->uid != geteuid())) identity.uid = config.uid->uid;
    if (config.gid && (privileged || config.gid->gid != getegid())) identity.gid = config.gid->gid;
    if (identity.uid && !identity.gid) {
        const auto user = sys::find_user(std::to_string(*identity.uid));
        // Of a number that nobody knows the group of that number: root's is no group for who is not root.
        const bool is_known = user && !user->name.empty();
        identity.gid = is_known ? user->gid : privileged && *identity.uid != 0 ? *identity.uid : getegid();
    }
    if (identity.uid)
        identity.groups = sys::groups_of(*identity.uid, *identity.gid);
    else if (identity.gid)
        identity.groups = {*identity.gid};
    if (!config.virtualenv.empty()) {
        // Checked when the option was read; gone since: its processes say so better than a guess would.
        if (auto found = config::find_virtual_env(config.virtualenv, config.virtualenv_py_ver))
            identity.virtual_env = std::move(*found);
        else
            log::error(
                cat("watcher ", config.name, ": virtualenv ", config.virtualenv, ": ", found.error().text));
    }
    return identity;
}

}  // namespace circus::supervise
