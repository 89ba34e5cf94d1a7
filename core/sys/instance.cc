#include "sys/instance.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "sys/pidfd.hpp"

namespace circus::sys {

namespace {

bool carries(pid_t pid, std::string_view needle) {
    const UniqueFd fd(::open(cat("/proc/", pid, "/environ").c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return false;
    std::string text;
    char buffer[16 * 1024];
    for (ssize_t got; (got = ::read(fd.get(), buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    for (std::size_t at = text.find(needle); at != std::string::npos; at = text.find(needle, at + 1))
        if (at == 0 || text[at - 1] == '\0') return true;
    return false;
}

std::string needle_of(std::string_view instance) {
    return cat(kInstanceVariable, "=", instance, ".");
}

}  // namespace

std::vector<pid_t> processes_of(std::string_view instance) {
    const std::string needle = needle_of(instance);
    std::vector<pid_t> out;
    const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), &::closedir);
    if (!proc) return out;
    while (const dirent* entry = ::readdir(proc.get())) {
        const auto pid = parse_int(entry->d_name);
        if (pid && carries(static_cast<pid_t>(*pid), needle)) out.push_back(static_cast<pid_t>(*pid));
    }
    return out;
}

bool kill_instance(std::string_view instance) {
    const std::string needle = needle_of(instance);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    for (;;) {
        const auto left = processes_of(instance);
        if (left.empty()) return true;
        for (const pid_t pid : left) {
            auto pidfd = open_pidfd(pid);
            if (pidfd && carries(pid, needle)) signal_pidfd(pidfd->get(), SIGKILL);
        }
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

}  // namespace circus::sys
