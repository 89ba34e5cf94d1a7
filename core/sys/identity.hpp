// Users and groups. These may ask the network (nss): call them when a configuration is loaded, never on the
// loop and never after a fork.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace circus::sys {

struct User {
    std::string name;  // empty for a bare number that no database knows
    uid_t uid = 0;
    gid_t gid = 0;  // its primary group; the daemon's own for an unknown number
    std::string home;
};

std::optional<User> find_user(std::string_view name_or_number);
std::optional<gid_t> find_group(std::string_view name_or_number);
// getgrouplist(3): `gid` and the supplementary groups of that user. {gid} for an unknown one.
std::vector<gid_t> groups_of(uid_t uid, gid_t gid);
std::string user_name(uid_t uid);  // cached; the number as text where there is none

}  // namespace circus::sys
