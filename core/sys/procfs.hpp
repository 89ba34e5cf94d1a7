// /proc as figures. Every function may find the process gone at any moment and then says nullopt (or leaves
// it out). Thread-safe; no function waits for anything but the kernel.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

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
    std::string argv0;  // argv[0] in full; comm where there is no command line (a zombie)
};

// All figures are of one process, also where the pid is given to another one meanwhile.
std::optional<ProcessFigures> read_figures(pid_t pid);
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

}  // namespace circus::sys
