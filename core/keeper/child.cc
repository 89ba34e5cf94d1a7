// Review this file as if it were assembly. carry_out() and what it calls run in the child, on memory that it
// shares with the suspended keeper (CLONE_VM) or that is a copy of it. There: system calls by number only, no
// libc function that keeps state, no allocation, no lock, no object with a destructor, nothing written but
// the report, the placements, the plan's LISTEN_PID and errno. It is compiled without sanitizers
// (CMakeLists.txt): it runs on a stack of its own and leaves it by exec, not by return.
#include "keeper/child.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace circus::keeper {

namespace {

constexpr int kLastSignal = 64;
constexpr std::size_t kKernelSigsetSize = 8;
constexpr std::size_t kStackSize = 32UL * 1024;
// The numbers set aside: above what a child has by number, in all but odd configurations, and enough for its
// three and a dozen sockets.
constexpr int kReserved = 64;
constexpr int kReservedEnd = kReserved + 16;

// What rt_sigaction(2) itself takes; libc's struct is another one.
struct KernelSigaction {
    void* handler;
    unsigned long flags;
    void* restorer;
    std::uint64_t mask;
};

// Written by the child, read by the keeper: shared in both modes.
struct Report {
    volatile std::int32_t failed;
    volatile std::int32_t error;
    volatile std::int32_t detail;
    volatile SpawnStage stage;
};

struct Orders {
    const Plan* plan;
    FdPlacement* placements;
    std::size_t placement_count;
    bool change_ids;
    bool shares_descriptors;     // until it has a table of its own it must not change a thing in it
    std::uint64_t dispositions;  // bit n: signal n + 1 is not at its default
    char oom_text[16];
    std::size_t oom_length;
    Report* report;
};

alignas(64) char g_stack[kStackSize];
bool g_is_reserved = false;

[[noreturn]] void fail(const Orders& o, SpawnStage stage, int error, int detail = 0) {
    o.report->stage = stage;
    o.report->error = error;
    o.report->detail = detail;
    o.report->failed = 1;
    for (;;) syscall(SYS_exit_group, 127);
}

void check(const Orders& o, long result, SpawnStage stage, int detail = 0) {
    if (result < 0) fail(o, stage, errno, detail);
}

void reset_dispositions(const Orders& o) {
    const KernelSigaction by_default{};
    for (std::uint64_t left = o.dispositions; left != 0; left &= left - 1)
        syscall(SYS_rt_sigaction, __builtin_ctzll(left) + 1, &by_default, nullptr, kKernelSigsetSize);
}

void place_descriptors(const Orders& o) {
    if (o.shares_descriptors && syscall(SYS_close_range, kReservedEnd, ~0U, CLOSE_RANGE_UNSHARE) != 0)
        check(o, syscall(SYS_unshare, CLONE_FILES), SpawnStage::Descriptors);
    // Everything is CLOEXEC by birth. This is for what is not ours: a descriptor that the daemon itself
    // inherited, or one a library opened. Kernels before 5.11 refuse it; nothing is lost then.
    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    int highest = -1;
    for (std::size_t i = 0; i < o.placement_count; ++i)
        if (o.placements[i].target > highest) highest = o.placements[i].target;
    // A source that is also some row's target would be overwritten before its turn: first all sources leave
    // the range of the targets.
    for (std::size_t i = 0; i < o.placement_count; ++i) {
        FdPlacement& row = o.placements[i];
        if (row.source > highest) continue;
        const long moved = syscall(SYS_fcntl, row.source, F_DUPFD_CLOEXEC, highest + 1);
        check(o, moved, SpawnStage::Descriptors, row.target);
        row.source = static_cast<int>(moved);
    }
    for (std::size_t i = 0; i < o.placement_count; ++i)  // dup3 without flags: the target is inherited
        check(o, syscall(SYS_dup3, o.placements[i].source, o.placements[i].target, 0),
              SpawnStage::Descriptors, o.placements[i].target);
}

void set_limits(const Orders& o) {
    const Plan& plan = *o.plan;
    // Opened before the limits stand: with a low RLIMIT_NOFILE it could not be opened any more.
    long oom_fd = -1;
    if (plan.has(PlanHeader::HasOomScore)) {
        oom_fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        check(o, oom_fd, SpawnStage::OomScore);
    }
    for (std::size_t i = 0; i < plan.rlimits.size(); ++i) {
        const PlanRlimit& limit = plan.rlimits[i];
        check(o, syscall(SYS_prlimit64, 0, limit.resource, &limit.soft, nullptr), SpawnStage::Rlimit,
              limit.resource);
    }
    if (plan.has(PlanHeader::HasNice))
        check(o, syscall(SYS_setpriority, PRIO_PROCESS, 0, plan.header.nice), SpawnStage::Nice);
    if (oom_fd >= 0) {
        check(o, syscall(SYS_write, oom_fd, o.oom_text, o.oom_length), SpawnStage::OomScore);
        syscall(SYS_close, oom_fd);
    }
    if (plan.has(PlanHeader::HasUmask)) syscall(SYS_umask, plan.header.umask);
}

void change_directories(const Orders& o) {
    const Plan& plan = *o.plan;
    if (plan.chroot) check(o, syscall(SYS_chroot, plan.chroot), SpawnStage::Chroot);
    // A working directory outside of the new root would be a way out of it.
    const char* const directory = plan.working_dir ? plan.working_dir : plan.chroot ? "/" : nullptr;
    if (directory) check(o, syscall(SYS_chdir, directory), SpawnStage::WorkingDir);
}

void change_ids(const Orders& o) {
    const Plan& plan = *o.plan;
    if (!o.change_ids) return;
    check(o, syscall(SYS_setgroups, plan.groups.size(), plan.groups.data()), SpawnStage::Groups);
    const auto gid = plan.header.gid;
    const auto uid = plan.header.uid;
    if (plan.has(PlanHeader::HasGid)) check(o, syscall(SYS_setresgid, gid, gid, gid), SpawnStage::Gid);
    if (plan.has(PlanHeader::HasUid)) check(o, syscall(SYS_setresuid, uid, uid, uid), SpawnStage::Uid);
}

// A program that asks sd_listen_fds(3) takes its sockets only where LISTEN_PID is its own pid, which nobody
// knows before the clone.
void write_listen_pid(const Orders& o) {
    char* const at = o.plan->listen_pid;
    if (!at) return;
    char digits[10];
    int n = 0;
    for (long pid = syscall(SYS_getpid); pid > 0 && n < 10; pid /= 10)
        digits[n++] = static_cast<char>('0' + pid % 10);
    for (int i = 0; i < n; ++i) at[i] = digits[n - 1 - i];
    at[n] = '\0';
}

[[noreturn]] void execute(const Orders& o) {
    const Plan& plan = *o.plan;
    // A file that is there and may not be run explains more than the places where there is none.
    int reason = ENOENT;
    for (std::size_t i = 0; i < plan.candidates.size(); ++i) {
        syscall(SYS_execve, plan.candidates[i], plan.argv, plan.envp);
        const int error = errno;
        if (error == EACCES)
            reason = EACCES;
        else if (error != ENOENT && error != ENOTDIR)
            fail(o, SpawnStage::Exec, error);
    }
    fail(o, SpawnStage::Exec, reason);
}

// The child's life up to exec, in the order of SpawnStage.
int carry_out(void* argument) {
    const Orders& o = *static_cast<const Orders*>(argument);
    // Before any signal can be let in: a disposition of the keeper's must not act in the child.
    reset_dispositions(o);
    check(o, syscall(SYS_setsid), SpawnStage::Session);
    place_descriptors(o);
    set_limits(o);
    change_directories(o);
    change_ids(o);
    if (o.plan->has(PlanHeader::HasNoNewPrivs))
        check(o, syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), SpawnStage::NoNewPrivs);
    write_listen_pid(o);
    const std::uint64_t none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, kKernelSigsetSize);
    execute(o);
}

// An unprivileged daemon may name itself in its configuration: then there is nothing to change, and
// setgroups(2) would be refused.
bool must_change_ids(const Plan& plan) {
    if (!plan.has(PlanHeader::HasUid) && !plan.has(PlanHeader::HasGid)) return false;
    if (geteuid() == 0) return true;
    const bool same_uid =
        !plan.has(PlanHeader::HasUid) || (plan.header.uid == getuid() && plan.header.uid == geteuid());
    const bool same_gid =
        !plan.has(PlanHeader::HasGid) || (plan.header.gid == getgid() && plan.header.gid == getegid());
    return !same_uid || !same_gid;
}

std::size_t format(int value, char (&out)[16]) {
    char digits[16];
    std::size_t n = 0;
    unsigned magnitude = value < 0 ? 0U - static_cast<unsigned>(value) : static_cast<unsigned>(value);
    do digits[n++] = static_cast<char>('0' + magnitude % 10);
    while ((magnitude /= 10) != 0);
    if (value < 0) digits[n++] = '-';
    for (std::size_t i = 0; i < n; ++i) out[i] = digits[n - 1 - i];
    return n;
}

// Which signals this process does not leave at their default, its own SIGPIPE and what it inherited (nohup).
// Asked once: 64 calls for each child would cost it a twentieth of its start.
std::uint64_t changed_dispositions() {
    static const std::uint64_t changed = [] {
        std::uint64_t mask = 0;
        for (int signo = 1; signo <= kLastSignal; ++signo) {
            KernelSigaction now{};
            if (syscall(SYS_rt_sigaction, signo, nullptr, &now, kKernelSigsetSize) == 0 && now.handler)
                mask |= std::uint64_t{1} << (signo - 1);
        }
        return mask;
    }();
    return changed;
}

Report* shared_report() {
    static Report* report = nullptr;
    if (!report) {
        void* const page =
            mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page != MAP_FAILED) report = static_cast<Report*>(page);
    }
    return report;
}

SpawnOutcome failure(SpawnStage stage, int error, int detail) {
    SpawnOutcome outcome;
    outcome.stage = stage;
    outcome.error = error;
    outcome.detail = detail;
    return outcome;
}

// Otherwise a worker's end of a pipe would stay open here. The last of the numbers is always null's.
void put_back(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        dup3(kReservedEnd - 1, kReserved + static_cast<int>(i), O_CLOEXEC);
}

// The sources move to the numbers that were set aside. False: they do not fit there, and nothing has changed.
bool lay_out(std::span<FdPlacement> placements) {
    if (!g_is_reserved || placements.size() > kReservedEnd - kReserved - 1) return false;
    for (const FdPlacement& row : placements)
        if (row.target >= kReserved) return false;
    for (std::size_t i = 0; i < placements.size(); ++i)
        if (dup3(placements[i].source, kReserved + static_cast<int>(i), O_CLOEXEC) < 0) {
            put_back(i);
            return false;
        }
    for (std::size_t i = 0; i < placements.size(); ++i)
        placements[i].source = kReserved + static_cast<int>(i);
    return true;
}

}  // namespace

void reserve_low_descriptors() {
    for (int fd = kReserved; fd < kReservedEnd; ++fd)
        if (fcntl(fd, F_GETFD) >= 0) return;
    const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    g_is_reserved = static_cast<bool>(null);
    for (int fd = kReserved; fd < kReservedEnd && g_is_reserved; ++fd)
        g_is_reserved = dup3(null.get(), fd, O_CLOEXEC) == fd;
}

SpawnOutcome spawn_child(const Plan& plan, std::span<FdPlacement> placements) {
    Report* const report = shared_report();
    if (!report) return failure(SpawnStage::Fork, ENOMEM, 0);
    Orders orders{&plan,
                  placements.data(),
                  placements.size(),
                  must_change_ids(plan),
                  lay_out(placements),
                  changed_dispositions(),
                  {},
                  0,
                  report};
    orders.oom_length = format(plan.header.oom_score_adj, orders.oom_text);
    report->failed = 0;

    // CLONE_VFORK suspends us until the child's exec or end in either mode, so the report is complete when
    // clone returns and no pipe is needed. The memory is shared unless ids change: a changed uid clears
    // "dumpable" of the memory, which would be the keeper's own.
    const int flags = CLONE_VFORK | CLONE_PIDFD | SIGCHLD | (orders.change_ids ? 0 : CLONE_VM) |
                      (orders.shares_descriptors ? CLONE_FILES : 0);
    const int saved_errno = errno;  // the child shares it
    int pidfd = -1;
    const pid_t pid = clone(carry_out, g_stack + kStackSize, flags, &orders, &pidfd);
    const int clone_errno = errno;
    if (orders.shares_descriptors) put_back(placements.size());
    errno = saved_errno;
    if (pid < 0) return failure(SpawnStage::Fork, clone_errno, 0);

    SpawnOutcome outcome;
    outcome.pidfd = UniqueFd(pidfd);
    if (report->failed) {
        int status = 0;
        waitpid(pid, &status, 0);  // it has left already: no zombie, and no Exited for what never ran
        errno = saved_errno;
        return failure(report->stage, report->error, report->detail);
    }
    outcome.pid = pid;
    return outcome;
}

}  // namespace circus::keeper
