#include "sys/procfs.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <unordered_map>
#include <unordered_set>

#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace circus::sys {
namespace {

// "/proc/PID" in a buffer of its own: a look at a process allocates nothing but its argv0.
class ProcPath {
  public:
    explicit ProcPath(pid_t pid) {
        constexpr std::string_view kProc = "/proc/";
        char* out = std::copy(kProc.begin(), kProc.end(), text_);
        *std::to_chars(out, text_ + sizeof text_ - 1, pid).ptr = '\0';
    }
    const char* c_str() const { return text_; }

  private:
    char text_[24];
};

UniqueFd open_process(pid_t pid) {
    if (pid <= 0) return {};
    return UniqueFd(::open(ProcPath(pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

// Bytes read from its beginning, at most `size`; nullopt: the process is gone. One read: stat, status and
// cmdline come in one piece.
std::optional<std::size_t> read_file(int fd, char* out, std::size_t size) {
    ssize_t got = 0;
    do got = ::pread(fd, out, size, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) return std::nullopt;
    return static_cast<std::size_t>(got);
}

std::optional<std::size_t> read_file(int directory, const char* name, char* out, std::size_t size) {
    const UniqueFd fd(::openat(directory, name, O_RDONLY | O_CLOEXEC));
    return fd ? read_file(fd.get(), out, size) : std::nullopt;
}

// Takes the next number off the front of a blank-separated text.
template <class N>
bool take(std::string_view& text, N& out) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (problem != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

bool skip(std::string_view& text, int fields) {
    long long ignored = 0;
    for (; fields > 0; --fields)
        if (!take(text, ignored)) return false;
    return true;
}

std::uint64_t ticks_to_us(std::uint64_t ticks) {
    static const auto per_second = static_cast<std::uint64_t>(std::max(::sysconf(_SC_CLK_TCK), 1L));
    return ticks * 1'000'000 / per_second;
}

double seconds_of(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// When the machine was booted, in seconds since the epoch. Kept, so that one process always has the same
// create_time, until the wall clock was set to another time altogether.
double boot_time() {
    static std::atomic<double> known{0};
    const double now = seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME);
    const double before = known.load(std::memory_order_relaxed);
    if (before != 0 && std::fabs(now - before) < 1) return before;
    known.store(now, std::memory_order_relaxed);
    return now;
}

// The part of proc_pid_stat(5) that is used. `comm` may hold blanks and brackets: it ends at the last one.
bool parse_stat(std::string_view text, ProcessFigures& figures) {
    const auto open = text.find('(');
    const auto close = text.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) return false;
    figures.comm = text.substr(open + 1, close - open - 1);
    text.remove_prefix(close + 1);
    if (text.size() < 3) return false;
    figures.state = text[1];
    text.remove_prefix(2);
    std::uint64_t utime = 0;
    std::uint64_t stime = 0;
    std::int64_t rss_pages = 0;
    const bool whole = take(text, figures.ppid) && skip(text, 1) && take(text, figures.session) &&
                       skip(text, 7) && take(text, utime) && take(text, stime) && skip(text, 3) &&
                       take(text, figures.nice) && take(text, figures.threads) && skip(text, 1) &&
                       take(text, figures.start_ticks) && take(text, figures.vms_bytes) &&
                       take(text, rss_pages);
    if (!whole) return false;
    static const auto page = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 1L));
    figures.utime_us = ticks_to_us(utime);
    figures.stime_us = ticks_to_us(stime);
    figures.rss_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(rss_pages, 0)) * page;
    figures.create_time = boot_time() + static_cast<double>(ticks_to_us(figures.start_ticks)) / 1e6;
    return true;
}

// From status, not from the owner of /proc/PID: that is root's for every process that may not dump core.
bool read_uid(int process, uid_t& uid) {
    char buffer[1024];  // the line stands within the first 300 bytes
    const auto size = read_file(process, "status", buffer, sizeof buffer);
    if (!size) return false;
    std::string_view text(buffer, *size);
    constexpr std::string_view kLine = "\nUid:";
    const auto at = text.find(kLine);
    if (at == std::string_view::npos) return false;
    text.remove_prefix(at + kLine.size());
    return take(text, uid);
}

std::optional<pid_t> parent_of(pid_t pid) {
    const UniqueFd process = open_process(pid);
    char buffer[1024];
    const auto size = process ? read_file(process.get(), "stat", buffer, sizeof buffer) : std::nullopt;
    if (!size) return std::nullopt;
    std::string_view text(buffer, *size);
    const auto close = text.rfind(')');
    if (close == std::string_view::npos || text.size() < close + 4) return std::nullopt;
    text.remove_prefix(close + 3);
    pid_t parent = 0;
    if (!take(text, parent)) return std::nullopt;
    return parent;
}

using Directory = std::unique_ptr<DIR, decltype([](DIR* directory) { ::closedir(directory); })>;

// Calls `each(number, name)` for the entries that are numbers.
template <class Each>
void for_numbers_in(DIR* directory, Each each) {
    while (const dirent* entry = ::readdir(directory)) {
        std::string_view name(entry->d_name);
        pid_t number = 0;
        if (take(name, number) && name.empty()) each(number, entry->d_name);
    }
}

void append_numbers_of_file(int fd, std::vector<pid_t>& out) {
    char buffer[4096];
    std::size_t kept = 0;
    for (;;) {
        const ssize_t got = ::read(fd, buffer + kept, sizeof buffer - kept);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        const std::string_view text(buffer, kept + static_cast<std::size_t>(got));
        // What stands behind the last blank may be the first half of a number.
        const auto last_blank = text.find_last_of(' ');
        std::string_view whole = text.substr(0, last_blank == std::string_view::npos ? 0 : last_blank);
        pid_t child = 0;
        while (take(whole, child)) out.push_back(child);
        const auto used = last_blank == std::string_view::npos ? 0 : last_blank + 1;
        kept = text.size() - used;
        if (kept == sizeof buffer) break;
        std::copy(text.begin() + static_cast<std::ptrdiff_t>(used), text.end(), buffer);
    }
}

// CONFIG_PROC_CHILDREN.
bool kernel_lists_children() {
    static const bool does = ::access("/proc/thread-self/children", R_OK) == 0;
    return does;
}

std::unordered_map<pid_t, std::vector<pid_t>> children_of_everybody() {
    std::unordered_map<pid_t, std::vector<pid_t>> children;
    const Directory proc(::opendir("/proc"));
    if (!proc) return children;
    for_numbers_in(proc.get(), [&](pid_t pid, const char*) {
        if (const auto parent = parent_of(pid)) children[*parent].push_back(pid);
    });
    return children;
}

std::vector<pid_t> children_by_kernel(pid_t pid) {
    std::vector<pid_t> children;
    const UniqueFd process = open_process(pid);
    if (!process) return children;
    const int task_fd = ::openat(process.get(), "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (task_fd < 0) return children;
    const Directory tasks(::fdopendir(task_fd));
    if (!tasks) {
        ::close(task_fd);
        return children;
    }
    for_numbers_in(tasks.get(), [&](pid_t, const char* name) {
        const UniqueFd task(::openat(task_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
        const UniqueFd list(task ? ::openat(task.get(), "children", O_RDONLY | O_CLOEXEC) : -1);
        if (list) append_numbers_of_file(list.get(), children);
    });
    return children;
}

bool read_names_in(int process, ProcessFigures& figures) {
    if (!read_uid(process, figures.uid)) return false;
    char command[4096];
    const auto size = read_file(process, "cmdline", command, sizeof command);
    const std::string_view line(command, size.value_or(0));
    figures.argv0 = line.substr(0, line.find('\0'));
    return true;
}

Error not_told(std::string_view what, pid_t pid, int error) {
    return sys_error(cat("/proc/", pid, "/", what), error);
}

// The second number of statm.
std::uint64_t resident_bytes(pid_t pid) {
    const UniqueFd process = open_process(pid);
    char buffer[128];
    const auto size = process ? read_file(process.get(), "statm", buffer, sizeof buffer) : std::nullopt;
    if (!size) return 0;
    std::string_view text(buffer, *size);
    std::uint64_t pages = 0;
    if (!skip(text, 1) || !take(text, pages)) return 0;
    static const auto page = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 1L));
    return pages * page;
}

}  // namespace

std::optional<ProcessFigures> read_figures(pid_t pid) {
    const UniqueFd process = open_process(pid);
    if (!process) return std::nullopt;
    char stat[1024];
    const auto stat_size = read_file(process.get(), "stat", stat, sizeof stat);
    if (!stat_size) return std::nullopt;
    ProcessFigures figures;
    figures.pid = pid;
    if (!parse_stat({stat, *stat_size}, figures) || !read_names_in(process.get(), figures))
        return std::nullopt;
    if (figures.argv0.empty()) figures.argv0 = figures.comm;
    return figures;
}

std::optional<StatFile> StatFile::open(pid_t pid) {
    if (pid <= 0) return std::nullopt;
    char path[40];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
    if (!fd) return std::nullopt;
    return StatFile(pid, std::move(fd));
}

bool StatFile::read(ProcessFigures& figures) const {
    char stat[1024];
    const auto size = read_file(fd_.get(), stat, sizeof stat);
    if (!size) return false;
    figures.pid = pid_;
    return parse_stat({stat, *size}, figures);
}

bool read_names(pid_t pid, ProcessFigures& figures) {
    const UniqueFd process = open_process(pid);
    return process && read_names_in(process.get(), figures);
}

Result<std::uint64_t> proportional_bytes(pid_t pid) {
    constexpr const char* kFile = "smaps_rollup";
    const UniqueFd process = open_process(pid);
    if (!process) return not_told(kFile, pid, errno);
    char buffer[2048];
    const auto size = read_file(process.get(), kFile, buffer, sizeof buffer);
    if (!size) return not_told(kFile, pid, errno);
    std::string_view text(buffer, *size);
    constexpr std::string_view kLine = "\nPss:";
    const auto at = text.find(kLine);
    std::uint64_t kilobytes = 0;
    if (at == std::string_view::npos) return not_told(kFile, pid, ESRCH);
    text.remove_prefix(at + kLine.size());
    if (!take(text, kilobytes)) return not_told(kFile, pid, EPROTO);
    return kilobytes * 1024;
}

Result<std::uint64_t> open_descriptors(pid_t pid) {
    constexpr const char* kFolder = "fd";
    const UniqueFd process = open_process(pid);
    if (!process) return not_told(kFolder, pid, errno);
    struct stat folder {};
    // Since Linux 6.2 the folder's size is their number.
    if (::fstatat(process.get(), kFolder, &folder, 0) == 0 && folder.st_size > 0)
        return static_cast<std::uint64_t>(folder.st_size);
    const int fd = ::openat(process.get(), kFolder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return not_told(kFolder, pid, errno);
    const Directory directory(::fdopendir(fd));
    if (!directory) {
        ::close(fd);
        return not_told(kFolder, pid, ENOMEM);
    }
    std::uint64_t count = 0;
    for_numbers_in(directory.get(), [&count](pid_t, const char*) { ++count; });
    return count;
}

std::vector<pid_t> children_of(const ProcessFigures& figures) {
    if (figures.threads != 1 || !kernel_lists_children()) return children_of(figures.pid);
    std::vector<pid_t> children;
    char path[64];
    std::snprintf(path, sizeof path, "/proc/%d/task/%d/children", figures.pid, figures.pid);
    const UniqueFd list(::open(path, O_RDONLY | O_CLOEXEC));
    if (list) append_numbers_of_file(list.get(), children);
    return children;
}

std::vector<pid_t> children_of(pid_t pid) {
    return kernel_lists_children() ? children_by_kernel(pid) : children_by_walk(pid);
}

std::vector<pid_t> children_by_walk(pid_t pid) {
    return pid > 0 ? children_of_everybody()[pid] : std::vector<pid_t>{};
}

std::vector<pid_t> descendants_of(pid_t pid) {
    std::unordered_map<pid_t, std::vector<pid_t>> everybody;
    if (!kernel_lists_children()) everybody = children_of_everybody();
    std::vector<pid_t> found{pid};
    // While the tree changes under the walk, a pid may be seen at two places.
    std::unordered_set<pid_t> seen{pid};
    for (std::size_t next = 0; next < found.size(); ++next) {
        const auto children =
            kernel_lists_children() ? children_by_kernel(found[next]) : everybody[found[next]];
        for (const pid_t child : children)
            if (seen.insert(child).second) found.push_back(child);
    }
    found.erase(found.begin());
    return found;
}

std::vector<pid_t> lineage_of(pid_t pid) {
    // Deeper is nobody's worker; and parents that change meanwhile can make no circle of it.
    constexpr std::size_t kDeepest = 256;
    std::vector<pid_t> lineage{pid};
    while (lineage.size() < kDeepest) {
        const auto parent = parent_of(lineage.back());
        if (!parent || *parent <= 0) break;
        lineage.push_back(*parent);
    }
    return lineage;
}

std::uint64_t resident_bytes_of_tree(pid_t pid) {
    std::uint64_t bytes = resident_bytes(pid);
    for (const pid_t descendant : descendants_of(pid)) bytes += resident_bytes(descendant);
    return bytes;
}

std::uint64_t total_memory_bytes() {
    struct sysinfo info {};
    if (::sysinfo(&info) != 0) return 0;
    return static_cast<std::uint64_t>(info.totalram) * info.mem_unit;
}

std::chrono::nanoseconds cpu_of_thread() {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

std::size_t descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<std::size_t>(limit.rlim_cur);
}

}  // namespace circus::sys
