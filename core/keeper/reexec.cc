// The keeper in another binary: the same process, with its children and descriptors, execs it, and what it
// knew lies in a memfd. Whether that binary can start at all was looked at before by whoever asks for it.
#include "keeper/reexec.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "keeper/service.hpp"
#include "keeper/service_tables.hpp"

namespace circus::keeper {

namespace {

constexpr std::uint64_t kMagic = 0x436972634b656570;

struct SavedKeeper {
    std::uint64_t magic = kMagic;
    std::uint32_t version = kKeeperStateVersion;
    std::uint32_t child_size = sizeof(Child);
    std::uint32_t children = 0;
    std::uint32_t held = 0;
    std::int32_t channel = -1, page = -1, state = -1;
    std::int32_t arbiter_pid = 0;
    std::int64_t stop_timeout = 0, patience = 0, arbiter_timeout = 0;
    std::uint64_t sent = 0, last_child = 0;
    HelloMessage hello;
};

struct SavedHeld {
    HoldId id = 0;
    std::int32_t fd = -1;
    std::int32_t reserved = 0;
    char name[240] = {};
};

bool write_all(int fd, const void* data, std::size_t size) {
    return write(fd, data, size) == static_cast<ssize_t>(size);  // a memfd: whole, or there is no memory
}

template <class T>
bool read_all(int fd, T& out) {
    return read(fd, &out, sizeof out) == static_cast<ssize_t>(sizeof out);
}

void inherit(int fd, bool on) {
    if (fd >= 0) fcntl(fd, F_SETFD, on ? 0 : FD_CLOEXEC);
}

void inherit_all_held(bool on) {
    g_held.visit_rows(1, [on](HoldId, const char*, int fd) {
        inherit(fd, on);
        return true;
    });
}

}  // namespace

UniqueFd Service::write_down() {
    UniqueFd file(memfd_create("circus-keeper", MFD_CLOEXEC));
    SavedKeeper saved;
    saved.channel = channel_.fd();
    saved.page = page_fd_.get();
    saved.state = saved_.get();
    saved.arbiter_pid = arbiter_pid_;
    saved.stop_timeout = stop_timeout_.count();
    saved.patience = patience_.count();
    saved.arbiter_timeout = arbiter_timeout_.count();
    saved.sent = sent_;
    saved.last_child = last_child_;
    saved.hello = hello_;
    g_children.visit_rows(1, [&saved](Child&) { return ++saved.children > 0; });
    g_held.visit_rows(1, [&saved](HoldId, const char*, int) { return ++saved.held > 0; });
    bool whole = file && write_all(file.get(), &saved, sizeof saved);
    g_children.visit_rows(1, [&](Child& child) {
        whole = whole && write_all(file.get(), &child, sizeof child);
        return whole;
    });
    g_held.visit_rows(1, [&](HoldId id, const char* name, int fd) {
        SavedHeld row{id, fd};
        std::snprintf(row.name, sizeof row.name, "%s", name);
        whole = whole && write_all(file.get(), &row, sizeof row);
        return whole;
    });
    if (!whole) file.reset();
    return file;
}

// Returns only if it failed.
int Service::run_other_binary() {
    const UniqueFd file = write_down();
    if (!file) return ENOMEM;
    lseek(file.get(), 0, SEEK_SET);
    char resume[32];
    std::snprintf(resume, sizeof resume, "--resume=%d", file.get());
    static std::array<char*, 1024> argv;
    std::size_t count = 0;
    for (; argv_ && argv_[count] && count + 2 < argv.size(); ++count) argv[count] = argv_[count];
    argv[count++] = resume;
    argv[count] = nullptr;
    const std::array<int, 4> own{file.get(), channel_.fd(), page_fd_.get(), saved_.get()};
    for (const int fd : own) inherit(fd, true);
    inherit_all_held(true);
    execve(upgrade_to_, argv.data(), environ);
    const int error = errno;
    for (const int fd : own) inherit(fd, false);
    inherit_all_held(false);
    return error;
}

void Service::upgrade_if_due() {
    if (!is_upgrade_due_) return;
    // Nothing may be on its way to be told: that is not written down.
    if (g_children.front(untold_) || g_children.front(unswept_) || is_refusal_due_ ||
        greeting_ != Greeting::Done)
        return;
    is_upgrade_due_ = false;
    UpgradedMessage message;
    message.error = stop_requests_ > 0 || phase_ != Phase::Serving || !argv_ ? ECANCELED : run_other_binary();
    complain("circusd: cannot run %s: %s", upgrade_to_, std::strerror(message.error));
    send_or_wait(&message, sizeof message);
}

bool Service::take_up(int state) {
    const UniqueFd file(state);
    SavedKeeper saved;
    if (!read_all(file.get(), saved) || saved.magic != kMagic || saved.version != kKeeperStateVersion ||
        saved.child_size != sizeof(Child))
        return false;
    channel_ = Channel(UniqueFd(saved.channel));
    saved_.reset(saved.state);
    munmap(page_, kPageSize);
    page_fd_.reset(saved.page);
    void* const page = mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd_.get(), 0);
    page_ = page == MAP_FAILED ? nullptr : static_cast<Page*>(page);
    arbiter_pid_ = saved.arbiter_pid;
    stop_timeout_ = Duration(saved.stop_timeout);
    patience_ = Duration(saved.patience);
    arbiter_timeout_ = Duration(saved.arbiter_timeout);
    sent_ = saved.sent;
    last_child_ = saved.last_child;
    hello_ = saved.hello;
    for (std::uint32_t i = 0; i < saved.children; ++i) {
        Child row;
        if (!read_all(file.get(), row)) return false;
        Child& child = *g_children.acquire(row.id);
        row.next_by_id = child.next_by_id;
        row.next_by_pid = row.next_untold = row.next_unswept = row.next_told = 0;
        row.is_untold = false;
        const pid_t pid = std::exchange(row.pid, 0);
        child = row;
        if (pid != 0) g_children.set_pid(child, pid);
        if (child.told_at != 0) g_children.push(told_, child);
    }
    for (std::uint32_t i = 0; i < saved.held; ++i) {
        SavedHeld row;
        if (!read_all(file.get(), row)) return false;
        g_held.hold(row.id, UniqueFd(row.fd), row.name);
    }
    greeting_ = Greeting::Done;
    is_arbiter_ready_ = was_ready_ = is_upgraded_ = true;
    beat_at_ = Monotonic::now();
    look_for_a_beat();
    // It is the arbiter of the binary before: it leaves, and this one's follows.
    const UpgradedMessage message;
    send_or_wait(&message, sizeof message);
    return page_ != nullptr;
}

}  // namespace circus::keeper
