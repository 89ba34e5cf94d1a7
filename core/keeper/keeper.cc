#include "keeper/keeper.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keeper/child.hpp"
#include "keeper/reexec.hpp"
#include "keeper/service.hpp"

namespace circus::keeper {

namespace {

// Otherwise the next file or socket would become somebody's stdout.
bool open_standard_descriptors() {
    for (int fd = 0; fd <= 2; ++fd)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) return false;
    return true;
}

void take_over_signals() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    // Ignored dispositions are inherited; with SIGCHLD ignored there would be no statuses to wait for.
    for (int signo = 1; signo < NSIG; ++signo) signal(signo, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
}

rlimit raise_descriptor_limit() {
    rlimit original{};
    getrlimit(RLIMIT_NOFILE, &original);
    rlimit raised = original;
    raised.rlim_cur = raised.rlim_max;
    setrlimit(RLIMIT_NOFILE, &raised);
    return original;
}

// An arbiter is started like any child: session of its own (a Ctrl-C in our terminal is ours to handle),
// default dispositions, nothing inherited but 0, 1, 2 and its end of the socketpair. No PR_SET_PDEATHSIG: if
// the keeper is killed, the arbiter must live on to stop the stack.
SpawnOutcome start_arbiter(const void* context, int socket) {
    const KeeperOptions& options = *static_cast<const KeeperOptions*>(context);
    std::vector<char*> argv;
    for (const auto& word : options.arbiter_argv) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    char self[] = "/proc/self/exe";
    char* const candidates[] = {self};
    Plan plan;
    plan.argv = argv.data();
    plan.envp = environ;
    plan.candidates = candidates;
    FdPlacement placement{socket, kArbiterFd};
    return spawn_child(plan, {&placement, 1});
}

// What start_arbiter() makes of a child, for one that goes on without an exec.
bool become_arbiter(UniqueFd socket) {
    const int fd = socket.release();
    if (fd != kArbiterFd && dup3(fd, kArbiterFd, O_CLOEXEC) != kArbiterFd) return false;
    syscall(SYS_close_range, kArbiterFd + 1U, ~0U, 0U);
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    return setsid() >= 0 && sigprocmask(SIG_SETMASK, &none, nullptr) == 0;
}

int give_up(const char* act, int error) {
    complain("circusd: %s: %s", act, std::strerror(error));
    return 1;
}

}  // namespace

int run_keeper(KeeperOptions options) {
    // Before anything is touched: the binary before is to find it as it was.
    if (options.resume >= 0 && !can_take_up(options.resume))
        return give_up("cannot take over what the keeper before has written down, nor go back to it",
                       hand_back(options.resume, options.argv));
    if (!open_standard_descriptors()) return give_up("cannot open /dev/null", errno);
    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);  // what was inherited goes no further
    take_over_signals();
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) return give_up("cannot become a subreaper", errno);
    const rlimit original = raise_descriptor_limit();
    reserve_low_descriptors();

    ServiceOptions service;
    service.argv = options.argv;
    service.start_arbiter = start_arbiter;
    service.start_context = &options;
    if (options.resume >= 0) {
        service.resume = options.resume;
        return Service(std::move(service)).run();
    }
    service.ready = std::move(options.ready);
    UniqueFd arbiter_end;
    if (!make_channel(service.socket, arbiter_end)) return give_up("cannot create a socketpair", errno);
    const pid_t arbiter = fork();
    if (arbiter < 0) return give_up("cannot start the arbiter: fork", errno);
    if (arbiter == 0) {
        service.socket.reset();
        service.ready.reset();
        if (!become_arbiter(std::move(arbiter_end))) return give_up("cannot become the arbiter", errno);
        return options.first_arbiter();
    }
    arbiter_end.reset();
    service.arbiter_pid = arbiter;
    service.stop_timeout = from_seconds(options.stop_timeout);
    service.nofile_soft = original.rlim_cur;
    service.nofile_hard = original.rlim_max;
    return Service(std::move(service)).run();
}

}  // namespace circus::keeper
