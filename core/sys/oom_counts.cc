#include "sys/oom_counts.hpp"

#include <array>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace circus::sys {

namespace {

UniqueFd open_to_read(const std::string& path) {
    return UniqueFd(path.empty() ? -1 : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
}

// The beginning of it: what is looked for is near.
std::string beginning_of(const UniqueFd& fd) {
    std::string text;
    std::array<char, 8192> buffer;
    constexpr std::size_t kMost = 64 * 1024;
    while (fd && text.size() < kMost) {
        const ssize_t n = ::pread(fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
        if (n <= 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(n));
        if (oom_kills_in(text) && text.back() == '\n') break;
    }
    return text;
}

std::optional<std::uint64_t> kills_told_by(const UniqueFd& file) {
    return oom_kills_in(beginning_of(file));
}

// Of each line of /proc/self/cgroup, "ID:CONTROLLERS:PATH", the file that tells (cgroups(7)): memory.events
// of version 2, memory.oom_control of version 1. In a container the path may be one of outside, and its own
// group is what is mounted.
std::vector<std::string> files_of_own_group() {
    const std::string root = "/sys/fs/cgroup";
    std::vector<std::string> files;
    for (const std::string& line : split(beginning_of(open_to_read("/proc/self/cgroup")), '\n')) {
        const auto first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const auto controllers = split(line.substr(first + 1, second - first - 1), ',');
        const std::string path = line.substr(second + 1);
        if (second == first + 1) {
            for (const auto& below : {path, std::string()})
                files.push_back(cat(root, below, "/memory.events"));
            continue;
        }
        for (const std::string& controller : controllers)
            if (controller == "memory")
                for (const auto& below : {path, std::string()})
                    files.push_back(cat(root, "/memory", below, "/memory.oom_control"));
    }
    return files;
}

}  // namespace

std::optional<std::uint64_t> oom_kills_in(std::string_view text) {
    constexpr std::string_view kName = "oom_kill ";
    for (std::size_t at = text.find(kName); at != text.npos; at = text.find(kName, at + 1)) {
        if (at != 0 && text[at - 1] != '\n') continue;
        const std::size_t from = at + kName.size();
        const auto number = parse_int(text.substr(from, text.find('\n', from) - from));
        if (number && *number >= 0) return static_cast<std::uint64_t>(*number);
    }
    return std::nullopt;
}

OomCounts::OomCounts() : machine_(open_to_read("/proc/vmstat")) {
    for (const std::string& path : files_of_own_group()) {
        UniqueFd file = open_to_read(path);
        if (!kills_told_by(file)) continue;
        here_ = std::move(file);
        return;
    }
}

OomCounts::OomCounts(const std::string& here, const std::string& machine)
    : here_(open_to_read(here)), machine_(open_to_read(machine)) {}

OomCounts::Kills OomCounts::read() const {
    return {kills_told_by(here_), kills_told_by(machine_)};
}

}  // namespace circus::sys
