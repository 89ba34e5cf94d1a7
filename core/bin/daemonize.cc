#include "bin/daemonize.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace circus::bin {

namespace {

int give_up(const char* act) {
    std::fprintf(stderr, "circusd: %s: %s\n", act, std::strerror(errno));
    return 1;
}

// Above the standard descriptors, some of which the caller may have closed.
bool make_pipe(UniqueFd& read_end, UniqueFd& write_end) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    const UniqueFd low_read(ends[0]), low_write(ends[1]);
    read_end.reset(::fcntl(ends[0], F_DUPFD_CLOEXEC, 3));
    write_end.reset(::fcntl(ends[1], F_DUPFD_CLOEXEC, 3));
    return read_end && write_end;
}

void close_all_but(int kept) {
    const auto number = static_cast<unsigned>(kept);
    if (number > 3) ::syscall(SYS_close_range, 3U, number - 1, 0U);
    ::syscall(SYS_close_range, number + 1, ~0U, 0U);
}

int exit_code_of(pid_t daemon, const UniqueFd& ready) {
    char byte = 0;
    ssize_t got = 0;
    while ((got = ::read(ready.get(), &byte, 1)) < 0 && errno == EINTR) {
    }
    if (got == 1) return 0;
    int status = 0;
    while (::waitpid(daemon, &status, 0) < 0)
        if (errno != EINTR) return give_up("cannot wait for the daemon");
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    std::fprintf(stderr, "circusd: killed by signal %d (%s) before it was ready\n", WTERMSIG(status),
                 ::strsignal(WTERMSIG(status)));
    return 128 + WTERMSIG(status);
}

}  // namespace

std::optional<int> daemonize(UniqueFd& ready) {
    UniqueFd told;
    if (!make_pipe(told, ready)) return give_up("cannot make a pipe");
    const pid_t child = ::fork();
    if (child < 0) return give_up("cannot fork");
    if (child > 0) {
        ready.reset();
        return exit_code_of(child, told);
    }
    told.reset();
    // It leads its session, and would get a terminal by opening one: the keeper opens none, and the arbiter
    // has a session of its own.
    ::setsid();
    close_all_but(ready.get());
    return std::nullopt;
}

void detach_standard_descriptors() {
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int fd = 0; fd <= 2 && null; ++fd) ::dup2(null.get(), fd);
}

}  // namespace circus::bin
