#include "keeper/tree.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/unique_fd.hpp"

namespace circus::keeper {

namespace {

// Builds "/proc/123/task/124/children" without stdio.
class Path {
  public:
    Path& text(std::string_view part) {
        for (const char c : part)
            if (size_ + 1 < sizeof buffer_) buffer_[size_++] = c;
        buffer_[size_] = '\0';
        return *this;
    }
    Path& number(pid_t value) {
        char digits[16];
        std::size_t n = sizeof digits;
        auto rest = static_cast<unsigned>(value);
        do digits[--n] = static_cast<char>('0' + rest % 10);
        while ((rest /= 10) != 0);
        return text({digits + n, sizeof digits - n});
    }
    UniqueFd open(int flags = 0) const { return UniqueFd(::open(buffer_, O_RDONLY | O_CLOEXEC | flags)); }

  private:
    char buffer_[96] = {};
    std::size_t size_ = 0;
};

// The bytes of a file, one by one, through one buffer.
class ByteReader {
  public:
    explicit ByteReader(int fd) : fd_(fd) {}
    bool next(char& c) {
        if (at_ == size_) {
            const ssize_t got = read(fd_, buffer_.data(), buffer_.size());
            if (got <= 0) return false;
            at_ = 0;
            size_ = static_cast<std::size_t>(got);
        }
        c = buffer_[at_++];
        return true;
    }

  private:
    static inline std::array<char, 65536> buffer_;  // one reader at a time: nothing here nests
    int fd_;
    std::size_t at_ = 0;
    std::size_t size_ = 0;
};

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

pid_t parse_pid(const char* name) {
    pid_t pid = 0;
    for (; is_digit(*name); ++name) pid = pid * 10 + (*name - '0');
    return *name == '\0' ? pid : 0;
}

// Visits the numeric names of a directory. Its buffer lives in the caller, so that walks may nest.
template <class Visit>
bool for_each_number(int directory, Visit&& visit) {
    alignas(8) char buffer[4096];
    for (;;) {
        const long got = syscall(SYS_getdents64, directory, buffer, sizeof buffer);
        if (got <= 0) return got == 0;
        for (long at = 0; at < got;) {
            // struct linux_dirent64: ino 8, off 8, reclen 2, type 1, name.
            std::uint16_t length = 0;
            std::memcpy(&length, buffer + at + 16, sizeof length);
            if (const pid_t pid = parse_pid(buffer + at + 19); pid > 0) visit(pid);
            at += length;
        }
    }
}

constexpr pid_t kTooLong = 100'000'000;  // no pid has so many digits

void append_numbers_of(int fd, pid_t parent, ProcessList& list) {
    ByteReader reader(fd);
    pid_t pid = 0;
    for (char c; reader.next(c);) {
        if (is_digit(c)) {
            pid = pid < kTooLong ? pid * 10 + (c - '0') : kTooLong;
        } else {
            if (pid > 0 && pid < kTooLong) list.add({pid, parent});
            pid = 0;
        }
    }
}

constexpr std::uint64_t kExiting = 0x4;  // PF_EXITING among the flags of proc_pid_stat(5)

// `text` is ended by a NUL.
bool parse_stat(const char* text, std::size_t size, ProcessStat& stat) {
    // "pid (comm) state ppid pgrp session …": comm may hold anything, also parentheses.
    const char* at = std::strrchr(text, ')');
    if (!at || at + 2 >= text + size) return false;
    stat.state = at[2];
    at += 3;
    for (int field = 4; field <= 22 && *at != '\0'; ++field) {
        while (*at == ' ') ++at;
        std::uint64_t value = 0;
        for (; *at != ' ' && *at != '\0'; ++at)
            if (is_digit(*at)) value = value * 10 + static_cast<std::uint64_t>(*at - '0');
        if (field == 4) stat.parent = static_cast<pid_t>(value);
        if (field == 6) stat.session = static_cast<pid_t>(value);
        if (field == 9) stat.is_exiting = (value & kExiting) != 0;
        if (field == 20) stat.threads = static_cast<unsigned>(value);
        if (field == 22) stat.start_ticks = value;
    }
    return true;
}

// In the entries of an environment, each ended by a NUL.
ChildId find_mark(int fd, std::string_view instance) {
    static constexpr std::string_view kName = "CIRCUS_INSTANCE=";
    ByteReader reader(fd);
    const std::size_t prefix = kName.size() + instance.size();
    const auto expected = [&](std::size_t i) {
        if (i < kName.size()) return kName[i];
        return i < prefix ? instance[i - kName.size()] : '.';
    };
    std::size_t matched = 0;  // characters of "NAME=instance."; beyond that: reading the number
    bool is_ours = true;      // the entry agrees so far
    ChildId id = 0;
    for (char c; reader.next(c);) {
        if (c == '\0') {
            if (is_ours && matched == prefix + 1 && id != 0) return id;
            matched = 0;
            is_ours = true;
            id = 0;
        } else if (is_ours && matched <= prefix) {
            is_ours = c == expected(matched++);
        } else if (is_ours) {
            is_ours = is_digit(c);
            id = id * 10 + static_cast<ChildId>(c - '0');
        }
    }
    return 0;
}

bool kernel_lists_children() {
    static const bool there = access("/proc/thread-self/children", R_OK) == 0;
    return there;
}

}  // namespace

bool ProcessList::contains(pid_t pid) const {
    for (std::size_t i = 0; i < size_; ++i)
        if (items_[i].pid == pid) return true;
    return false;
}

bool read_stat(pid_t pid, ProcessStat& stat) {
    const UniqueFd fd = Path().text("/proc/").number(pid).text("/stat").open();
    if (!fd) return false;
    char buffer[1024];
    const ssize_t got = read(fd.get(), buffer, sizeof buffer - 1);
    if (got <= 0) return false;
    buffer[got] = '\0';
    return parse_stat(buffer, static_cast<std::size_t>(got), stat);
}

void append_children_by_walk(pid_t parent, ProcessList& list) {
    const UniqueFd proc = Path().text("/proc").open(O_DIRECTORY);
    if (!proc) return;
    for_each_number(proc.get(), [&](pid_t pid) {
        ProcessStat stat;
        if (read_stat(pid, stat) && stat.parent == parent) list.add({pid, parent});
    });
}

void append_children(pid_t parent, ProcessList& list) {
    if (!kernel_lists_children()) return append_children_by_walk(parent, list);
    // A process with threads has a list for each of them: a child belongs to the thread that forked it.
    const UniqueFd tasks = Path().text("/proc/").number(parent).text("/task").open(O_DIRECTORY);
    if (!tasks) return;
    for_each_number(tasks.get(), [&](pid_t task) {
        const UniqueFd file =
            Path().text("/proc/").number(parent).text("/task/").number(task).text("/children").open();
        if (file) append_numbers_of(file.get(), parent, list);
    });
}

void append_descendants(ProcessList& list, std::size_t first) {
    for (std::size_t i = first; i < list.size(); ++i) append_children(list[i].pid, list);
}

ChildId read_mark(pid_t pid, std::string_view instance) {
    const UniqueFd fd = Path().text("/proc/").number(pid).text("/environ").open();
    ChildId id = fd ? find_mark(fd.get(), instance) : 0;
    if (id != 0) return id;
    // The first thread shows none when it has ended and the others go on.
    const UniqueFd tasks = Path().text("/proc/").number(pid).text("/task").open(O_DIRECTORY);
    if (!tasks) return 0;
    for_each_number(tasks.get(), [&](pid_t task) {
        if (id != 0 || task == pid) return;
        const UniqueFd other =
            Path().text("/proc/").number(pid).text("/task/").number(task).text("/environ").open();
        if (other) id = find_mark(other.get(), instance);
    });
    return id;
}

bool signal_process(const ProcessRef& ref, pid_t adopter, int signo) {
    // A child of our own keeps its number until we reap it.
    if (ref.parent == getpid()) return kill(ref.pid, signo) == 0;
    // Handle first, look second: what the handle names is then what was looked at. The other way round the
    // process could end and its number be given away in between.
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, ref.pid, 0)));
    if (!pidfd && errno == ESRCH) return false;
    ProcessStat stat;
    if (!read_stat(ref.pid, stat) || (stat.parent != ref.parent && stat.parent != adopter)) return false;
    // Without a handle (a full descriptor table) the remaining gap is the time between these two calls.
    if (!pidfd) return kill(ref.pid, signo) == 0;
    return syscall(SYS_pidfd_send_signal, pidfd.get(), signo, nullptr, 0) == 0;
}

}  // namespace circus::keeper
