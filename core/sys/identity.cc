#include "sys/identity.hpp"

#include <algorithm>
#include <cerrno>
#include <grp.h>
#include <limits>
#include <map>
#include <mutex>
#include <pwd.h>
#include <unistd.h>

#include "base/text.hpp"

namespace circus::sys {
namespace {

// A line of these databases that needs more than this is not a user of ours.
constexpr std::size_t kLargestEntry = std::size_t{1} << 20;

// Calls `query(buffer, size)`, an errno as getpwnam_r(3) returns it, with a buffer that grows while it says
// ERANGE. True: the query succeeded, whether or not it found an entry.
template <class Query>
bool with_buffer(std::vector<char>& buffer, Query query) {
    for (buffer.resize(1024); buffer.size() <= kLargestEntry; buffer.resize(buffer.size() * 2)) {
        int problem = 0;
        do {
            problem = query(buffer.data(), buffer.size());
        } while (problem == EINTR);
        if (problem != ERANGE) return problem == 0;
    }
    return false;
}

std::optional<User> to_user(const passwd* entry) {
    if (!entry) return std::nullopt;
    return User{entry->pw_name, entry->pw_uid, entry->pw_gid, entry->pw_dir ? entry->pw_dir : ""};
}

std::optional<User> user_by_name(const std::string& name) {
    std::vector<char> buffer;
    passwd entry{};
    passwd* found = nullptr;
    if (!with_buffer(buffer, [&](char* data, std::size_t size) {
            return getpwnam_r(name.c_str(), &entry, data, size, &found);
        }))
        return std::nullopt;
    return to_user(found);
}

std::optional<User> user_by_uid(uid_t uid) {
    std::vector<char> buffer;
    passwd entry{};
    passwd* found = nullptr;
    if (!with_buffer(buffer, [&](char* data, std::size_t size) {
            return getpwuid_r(uid, &entry, data, size, &found);
        }))
        return std::nullopt;
    return to_user(found);
}

// -1 is no id: the system calls take it for "leave unchanged".
std::optional<unsigned> parse_id(std::string_view text) {
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    const auto number = parse_int(text);
    if (!number || *number >= std::numeric_limits<unsigned>::max()) return std::nullopt;
    return static_cast<unsigned>(*number);
}

}  // namespace

std::optional<User> find_user(std::string_view name_or_number) {
    if (name_or_number.empty()) return std::nullopt;
    if (auto user = user_by_name(std::string(name_or_number))) return user;
    const auto uid = parse_id(name_or_number);
    if (!uid) return std::nullopt;
    if (auto user = user_by_uid(*uid)) return user;
    return User{"", *uid, ::getegid(), ""};
}

std::optional<gid_t> find_group(std::string_view name_or_number) {
    if (name_or_number.empty()) return std::nullopt;
    const std::string name(name_or_number);
    std::vector<char> buffer;
    group entry{};
    group* found = nullptr;
    if (with_buffer(buffer,
                    [&](char* data, std::size_t size) {
                        return getgrnam_r(name.c_str(), &entry, data, size, &found);
                    }) &&
        found)
        return found->gr_gid;
    return parse_id(name_or_number);
}

std::vector<gid_t> groups_of(uid_t uid, gid_t gid) {
    const auto user = user_by_uid(uid);
    if (!user) return {gid};
    std::vector<gid_t> groups(32);
    while (groups.size() <= kLargestEntry) {
        int count = static_cast<int>(groups.size());
        if (getgrouplist(user->name.c_str(), gid, groups.data(), &count) >= 0) {
            groups.resize(static_cast<std::size_t>(count));
            return groups;
        }
        groups.resize(std::max(static_cast<std::size_t>(count), groups.size() * 2));
    }
    return {gid};
}

std::string user_name(uid_t uid) {
    static std::mutex mutex;
    static std::map<uid_t, std::string> names;
    const std::lock_guard lock(mutex);
    const auto known = names.find(uid);
    if (known != names.end()) return known->second;
    const auto user = user_by_uid(uid);
    return names.emplace(uid, user ? user->name : std::to_string(uid)).first->second;
}

}  // namespace circus::sys
