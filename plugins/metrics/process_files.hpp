// What a process uses, as /proc has it. Any thread; nothing of it waits for anything but the kernel.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>

namespace metrics {

struct ProcessUse {
    pid_t parent = 0;
    double cpu_seconds = 0;         // its own
    double waited_cpu_seconds = 0;  // of the children that it has waited for
    double resident_bytes = 0;
};

// Nothing: there is no such process.
std::optional<ProcessUse> read_process(pid_t pid);
// Of the text of /proc/PID/stat; nothing: it is none.
std::optional<ProcessUse> parse_stat(const std::string& stat);
// Nothing: they may not be seen.
std::optional<std::uint64_t> count_descriptors(pid_t pid);

}  // namespace metrics
