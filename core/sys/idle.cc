#include "sys/idle.hpp"

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <unistd.h>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "sys/procfs.hpp"

namespace circus::sys {

namespace {

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};
using Folder = std::unique_ptr<DIR, CloseDir>;

Folder open_folder(pid_t pid, const char* name) {
    return Folder(::opendir(cat("/proc/", pid, "/", name).c_str()));
}

enum class Held { No, Yes, Unknown };

// Unknown: its sockets cannot be seen.
Held holds(pid_t pid, const std::set<std::uint32_t>& inodes) {
    const Folder fds = open_folder(pid, "fd");
    if (!fds) return errno == ENOENT ? Held::No : Held::Unknown;
    while (const dirent* entry = ::readdir(fds.get())) {
        char target[64];
        const ssize_t size = ::readlinkat(::dirfd(fds.get()), entry->d_name, target, sizeof target);
        if (size <= 0) continue;
        std::string_view text(target, static_cast<std::size_t>(size));
        constexpr std::string_view kSocket = "socket:[";
        if (!text.starts_with(kSocket)) continue;
        std::uint32_t inode = 0;
        std::from_chars(text.data() + kSocket.size(), text.data() + text.size(), inode);
        if (inodes.contains(inode)) return Held::Yes;
    }
    return Held::No;
}

// The state of a thread, as its stat has it behind the name in brackets.
char state_of(int tasks, const char* tid) {
    const UniqueFd fd(::openat(tasks, cat(tid, "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    char text[256];
    const ssize_t size = fd ? ::read(fd.get(), text, sizeof text) : -1;
    if (size <= 0) return 'X';
    const std::string_view stat(text, static_cast<std::size_t>(size));
    const auto at = stat.rfind(')');
    return at != stat.npos && at + 2 < stat.size() ? stat[at + 2] : '?';
}

}  // namespace

bool holds_any(pid_t pid, const std::set<std::uint32_t>& inodes) {
    if (inodes.empty()) return false;
    if (holds(pid, inodes) != Held::No) return true;
    for (const pid_t child : descendants_of(pid))
        if (holds(child, inodes) != Held::No) return true;
    return false;
}

bool stands_still(pid_t pid) {
    const Folder tasks = open_folder(pid, "task");
    if (!tasks) return false;
    while (const dirent* entry = ::readdir(tasks.get())) {
        if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
        const char state = state_of(::dirfd(tasks.get()), entry->d_name);
        if (state != 'T' && state != 'X' && state != 'Z') return false;
    }
    return true;
}

}  // namespace circus::sys
