#include "process_files.hpp"

#include <array>
#include <charconv>
#include <cstddef>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <system_error>
#include <unistd.h>

namespace metrics {

namespace {

// Fields behind the name, by their numbers in proc(5).
constexpr std::size_t kFirst = 3, kParent = 4, kUser = 14, kSystem = 15, kChildrenUser = 16,
                      kChildrenSystem = 17, kResident = 24;

std::string read_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    std::array<char, 4096> block;
    const ssize_t size = ::read(fd, block.data(), block.size());
    ::close(fd);
    return {block.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

}  // namespace

std::optional<ProcessUse> parse_stat(const std::string& stat) {
    // The name is what the process makes of it, with blanks and brackets.
    const auto end = stat.rfind(')');
    if (end == std::string::npos) return std::nullopt;
    std::string_view rest = std::string_view(stat).substr(end + 1);
    const double tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
    ProcessUse use;
    for (std::size_t field = kFirst; field <= kResident; ++field) {
        const auto begin = rest.find_first_not_of(" \n");
        if (begin == std::string_view::npos) return std::nullopt;
        rest.remove_prefix(begin);
        const std::string_view word = rest.substr(0, rest.find_first_of(" \n"));
        rest.remove_prefix(word.size());
        if (field == kFirst) continue;  // a letter
        long long value = 0;
        if (std::from_chars(word.data(), word.data() + word.size(), value).ec != std::errc())
            return std::nullopt;
        if (field == kParent) use.parent = static_cast<pid_t>(value);
        const double seconds = static_cast<double>(value) * tick;
        if (field == kUser || field == kSystem) use.cpu_seconds += seconds;
        if (field == kChildrenUser || field == kChildrenSystem) use.waited_cpu_seconds += seconds;
        if (field == kResident)
            use.resident_bytes = static_cast<double>(value) * static_cast<double>(::sysconf(_SC_PAGESIZE));
    }
    return use;
}

std::optional<ProcessUse> read_process(pid_t pid) {
    return parse_stat(read_file("/proc/" + std::to_string(pid) + "/stat"));
}

std::optional<std::uint64_t> count_descriptors(pid_t pid) {
    const auto close = [](DIR* directory) { ::closedir(directory); };
    const std::unique_ptr<DIR, decltype(close)> directory(
        ::opendir(("/proc/" + std::to_string(pid) + "/fd").c_str()), close);
    if (!directory) return std::nullopt;
    std::uint64_t count = 0;
    while (const dirent* entry = ::readdir(directory.get()))
        if (entry->d_name[0] != '.') ++count;
    return count;
}

}  // namespace metrics
