// /proc as figures. Every function may find the process gone at any moment and then says nullopt (or leaves
// it out). Thread-safe; no function waits for anything but the kernel.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace circus::sys {

struct ProcessFigures {
    pid_t pid = 0;
    pid_t ppid = 0;
    pid_t session = 0;
    char state = '?';
    int nice = 0;
    int threads = 0;
    uid_t uid = 0;                             // the real one
    std::uint64_t utime_us = 0, stime_us = 0;  // CPU since its start, all threads; in steps of a clock tick
    std::uint64_t start_ticks = 0;             // since boot: with the pid, the identity of a process
    double create_time = 0;                    // seconds since the epoch
    std::uint64_t rss_bytes = 0, vms_bytes = 0;
    std::string comm;   // as the kernel names it: changes with each execve(2)
    std::string argv0;  // argv[0] in full; comm where there is no command line (a zombie)
};

// All figures are of one process, also where the pid is given to another one meanwhile.
std::optional<ProcessFigures> read_figures(pid_t pid);

// /proc/PID/stat, open: whoever looks at a process again and again has it for one system call. It is of that
// process for as long as it is open, whoever gets the pid after it.
class StatFile {
  public:
    static std::optional<StatFile> open(pid_t pid);  // nullopt: there is no such process, or no descriptor
    // All but uid and argv0. False: it was reaped.
    bool read(ProcessFigures& figures) const;

  private:
    StatFile(pid_t pid, UniqueFd fd) : pid_(pid), fd_(std::move(fd)) {}
    pid_t pid_;
    UniqueFd fd_;
};
// uid and argv0, which seldom change and cost most. Of whoever has the pid now: a StatFile that can still be
// read afterwards says that it is the same process. False: there is nobody.
bool read_names(pid_t pid, ProcessFigures& figures);

// The proportional set size: what it shares counts by its part. Takes the kernel long where there is much
// memory (a millisecond for some 100 MiB): not for the loop. Error: who may not ptrace it may not know.
Result<std::uint64_t> proportional_bytes(pid_t pid);
// Open descriptors. Error: an older kernel than 6.2 says it only to who may ptrace the process.
Result<std::uint64_t> open_descriptors(pid_t pid);
// Direct children, from /proc/PID/task/*/children, or children_by_walk() where the kernel has no such file.
std::vector<pid_t> children_of(pid_t pid);
// The same for less: a process with one thread has one list.
std::vector<pid_t> children_of(const ProcessFigures& figures);
std::vector<pid_t> children_by_walk(pid_t pid);  // reads every process's stat
std::vector<pid_t> descendants_of(pid_t pid);    // breadth first, without pid itself
// The process itself, its parent, and so on up to the first.
std::vector<pid_t> lineage_of(pid_t pid);
// Resident memory of the process and all its descendants; pages that they share count for each of them.
std::uint64_t resident_bytes_of_tree(pid_t pid);
std::uint64_t total_memory_bytes();
// What the calling thread has had of a processor.
std::chrono::nanoseconds cpu_of_thread();
// How many descriptors this process may have (RLIMIT_NOFILE's soft limit).
std::size_t descriptor_limit();

}  // namespace circus::sys
