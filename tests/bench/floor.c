/* The floor: the least a supervisor can do on this kernel. It starts N copies of a program by vfork and
 * execve, waits on their pidfds with epoll, replaces each one that ends, and on TERM ends them all and
 * itself. No commands, no log, no output, no policy: what circusd takes longer than this is circusd's own.
 *
 *     floor N PROGRAM [ARG...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kBatch = 64 };

struct child {
    pid_t pid;
    int pidfd;
};

static volatile sig_atomic_t stopping;

static void on_term(int signo) {
    (void)signo;
    stopping = 1;
}

static void die(const char* what) {
    perror(what);
    exit(1);
}

/* SIGTERM is blocked except inside epoll_pwait; the child gets the empty mask back before it execs. */
static void start(struct child* child, uint32_t slot, char** argv, int epoll, const sigset_t* unblocked) {
    pid_t pid = vfork();
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, unblocked, NULL);
        execv(argv[0], argv);
        _exit(127);
    }
    if (pid < 0) die("vfork");
    child->pid = pid;
    child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = slot};
    if (child->pidfd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, child->pidfd, &event) != 0) die("pidfd");
}

/* Closing the pidfd is not enough to leave the epoll set: vfork returns before the child's exec has closed
 * its copies of our descriptors, and while such a copy lives, so does the registration, whose next report
 * would be taken for the replacement's death. */
static void reap(struct child* child, int epoll) {
    siginfo_t info;
    epoll_ctl(epoll, EPOLL_CTL_DEL, child->pidfd, NULL);
    if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) != 0) die("waitid");
    close(child->pidfd);
    child->pid = 0;
}

int main(int argc, char** argv) {
    long wanted = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
    if (wanted < 1 || wanted > 100000) {
        fputs("usage: floor N PROGRAM [ARG...]\n", stderr);
        return 2;
    }
    uint32_t count = (uint32_t)wanted;
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    sigset_t term, unblocked;
    sigemptyset(&unblocked);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);

    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct child* children = calloc(count, sizeof *children);
    if (epoll < 0 || children == NULL) die("floor");
    for (uint32_t slot = 0; slot < count; ++slot) start(&children[slot], slot, argv + 2, epoll, &unblocked);

    struct epoll_event events[kBatch];
    while (!stopping) {
        int ready = epoll_pwait(epoll, events, kBatch, -1, &unblocked);
        if (ready < 0 && errno != EINTR) die("epoll_pwait");
        for (int i = 0; i < ready; ++i) {
            struct child* child = &children[events[i].data.u32];
            reap(child, epoll);
            start(child, events[i].data.u32, argv + 2, epoll, &unblocked);
        }
    }
    for (uint32_t slot = 0; slot < count; ++slot) kill(children[slot].pid, SIGTERM);
    for (uint32_t slot = 0; slot < count; ++slot) reap(&children[slot], epoll);
    return 0;
}
