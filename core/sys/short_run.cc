#include "sys/short_run.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "sys/pidfd.hpp"

namespace circus::sys {

namespace {

constexpr std::size_t kLongestOutput = 1024UL * 1024;

struct Pipe {
    UniqueFd read, write;
    bool open() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return false;
        read.reset(ends[0]);
        write.reset(ends[1]);
        ::fcntl(read.get(), F_SETFL, O_NONBLOCK);
        return true;
    }
};

// What can be read now. Closes the descriptor at the end of the file.
void read_into(std::string& text, UniqueFd& from) {
    std::array<char, 65536> buffer;
    while (from) {
        const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
        if (got > 0) {
            const std::size_t room = kLongestOutput - std::min(kLongestOutput, text.size());
            text.append(buffer.data(), std::min(room, static_cast<std::size_t>(got)));
        } else if (got < 0 && errno == EINTR) {
            continue;
        } else if (got < 0 && errno == EAGAIN) {
            return;
        } else {
            from.reset();
        }
    }
}

// posix_spawn(3) by these rules; 0 or an errno.
int spawn(const std::vector<std::string>& argv, const Pipe& out, const Pipe& err, pid_t* pid) {
    std::vector<char*> words;
    words.reserve(argv.size() + 1);
    for (const auto& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (const int failed = ::posix_spawn_file_actions_init(&actions)) return failed;
    if (const int failed = ::posix_spawnattr_init(&attributes)) {
        ::posix_spawn_file_actions_destroy(&actions);
        return failed;
    }
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, out.write.get(), STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, err.write.get(), STDERR_FILENO);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(&attributes,
                               POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    const int failed = ::posix_spawn(pid, words[0], &actions, &attributes, words.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    return failed;
}

}  // namespace

Result<ShortRun> run_for_answer(const std::vector<std::string>& argv, Milliseconds deadline) {
    Pipe out, err;
    if (!out.open() || !err.open()) return sys_error(cat("cannot run \"", argv[0], "\""), errno);
    pid_t pid = 0;
    if (const int failed = spawn(argv, out, err, &pid))
        return sys_error(cat("cannot run \"", argv[0], "\""), failed);
    out.write.reset();
    err.write.reset();
    UniqueFd pidfd;
    if (auto opened = open_pidfd(pid)) pidfd = std::move(*opened);
    ShortRun run;
    const TimePoint end = Monotonic::now() + deadline;
    while (true) {
        const auto left = std::chrono::ceil<Milliseconds>(end - Monotonic::now());
        if (left.count() <= 0) {
            run.in_time = false;
            break;
        }
        // Without a pidfd (no descriptor left) its output's end has to do, looked at each tenth of a second.
        pollfd watched[] = {
            {out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}, {pidfd ? pidfd.get() : -1, POLLIN, 0}};
        const auto wait = pidfd ? left : std::min(left, Milliseconds(100));
        ::poll(watched, std::size(watched), static_cast<int>(wait.count()));
        read_into(run.output, out.read);
        read_into(run.errors, err.read);
        siginfo_t ended{};
        if (::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            ended.si_pid == pid)
            break;
    }
    // The group as well where it ended by itself: what it left behind was not asked for. It is not reaped
    // yet, so the number is still its own.
    ::kill(-pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    read_into(run.output, out.read);
    read_into(run.errors, err.read);
    if (WIFEXITED(status)) run.exit_code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) run.signal = WTERMSIG(status);
    return run;
}

}  // namespace circus::sys
