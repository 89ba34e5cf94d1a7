#include "sys/instance.hpp"

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
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

// The number behind `needle`, where the environment has an entry that begins with it.
std::optional<std::uint64_t> mark_of(pid_t pid, std::string_view needle) {
    const UniqueFd fd(::open(cat("/proc/", pid, "/environ").c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return std::nullopt;
    std::string text;
    char buffer[16 * 1024];
    for (ssize_t got; (got = ::read(fd.get(), buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    for (std::size_t at = text.find(needle); at != std::string::npos; at = text.find(needle, at + 1)) {
        if (at != 0 && text[at - 1] != '\0') continue;
        const char* const begin = text.data() + at + needle.size();
        const char* const end = text.data() + text.size();
        std::uint64_t child = 0;
        const auto [stop, problem] = std::from_chars(begin, end, child);
        if (problem == std::errc{} && (stop == end || *stop == '\0')) return child;
    }
    return std::nullopt;
}

std::string needle_of(std::string_view instance) {
    return cat(kInstanceVariable, "=", instance, ".");
}

}  // namespace

std::optional<PidRef> identify(pid_t pid) {
    const UniqueFd fd(::open(cat("/proc/", pid, "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    char text[1024];
    const ssize_t got = fd ? ::read(fd.get(), text, sizeof text - 1) : -1;
    if (got <= 0) return std::nullopt;
    text[got] = '\0';
    // proc_pid_stat(5): the name is in brackets and may hold some; the state is field 3, the start field 22.
    const char* at = std::strrchr(text, ')');
    if (!at || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X') return std::nullopt;
    ++at;
    for (int field = 2; field < 21; ++field)
        if (!(at = std::strchr(at + 1, ' '))) return std::nullopt;
    PidRef found{pid, 0};
    const auto [end, problem] = std::from_chars(at + 1, text + got, found.start_ticks);
    if (problem != std::errc{}) return std::nullopt;
    return found;
}

bool is_alive(const PidRef& process) {
    return process.pid > 0 && identify(process.pid) == process;
}

bool signal_exactly(const PidRef& process, int signo) {
    if (process.pid <= 1) return false;
    const auto pidfd = open_pidfd(process.pid);
    return pidfd && is_alive(process) && signal_pidfd(pidfd->get(), signo) == 0;
}

std::optional<PidRef> keeper_of(std::string_view instance) {
    const std::size_t dash = instance.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto pid = parse_int(instance.substr(0, dash));
    const auto ticks = parse_int(instance.substr(dash + 1));
    if (!pid || !ticks || *pid <= 0 || *pid > 0x7fffffff || *ticks < 0) return std::nullopt;
    return PidRef{static_cast<pid_t>(*pid), static_cast<std::uint64_t>(*ticks)};
}

std::vector<Marked> processes_of(std::string_view instance) {
    const std::string needle = needle_of(instance);
    std::vector<Marked> out;
    const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), &::closedir);
    if (!proc) return out;
    while (const dirent* entry = ::readdir(proc.get())) {
        const auto pid = parse_int(entry->d_name);
        if (!pid) continue;
        // The identity before the mark: if the number changes hands in between, the two do not belong
        // together and the signal finds nobody.
        const auto process = identify(static_cast<pid_t>(*pid));
        if (!process) continue;
        if (const auto child = mark_of(process->pid, needle); child && is_alive(*process))
            out.push_back({*process, *child});
    }
    return out;
}

bool kill_instance(std::string_view instance) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    for (;;) {
        const auto left = processes_of(instance);
        if (left.empty()) return true;
        for (const Marked& marked : left) signal_exactly(marked.process, SIGKILL);
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

}  // namespace circus::sys
