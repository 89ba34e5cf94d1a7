// The keeper in another binary: the same process, with its children and descriptors, execs it, and what it
// knew lies in a memfd. Whether that binary can start at all was looked at before by whoever asks for it.
#include "keeper/reexec.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#include "keeper/service.hpp"
#include "keeper/service_tables.hpp"

namespace circus::keeper {

namespace {

constexpr std::uint64_t kMagic = 0x436972634b656570;

// So long a look for what gone children left behind may take: some are not, as long as others go.
constexpr auto kSweepLimit = std::chrono::milliseconds(500);

// A state is SavedHead, WayBack, SavedKeeper, so many Child and so many SavedHeld, and then, up to its end,
// why the binary that it was written for is not the one that reads it.
struct SavedHead {
    std::uint64_t magic = kMagic;
    std::uint32_t version = kKeeperStateVersion;
    std::uint32_t child_size = sizeof(Child);
};

// Both stay as they are in all versions from 3 on: who does not understand the rest goes back by them.
struct WayBack {
    std::int32_t binary = -1;  // a descriptor of the executable that has written it; -1: there is no way back
    std::int32_t reserved = 0;
};

struct SavedKeeper {
    std::uint32_t children = 0;
    std::uint32_t held = 0;
    std::int32_t channel = -1, page = -1, state = -1;
    std::int32_t arbiter_pid = 0;
    std::int64_t stop_timeout = 0, patience = 0, arbiter_timeout = 0;
    std::uint64_t sent = 0, last_child = 0;
    HelloMessage hello;
};
constexpr std::size_t kKeeperOfVersion2 = offsetof(SavedKeeper, hello) + offsetof(HelloMessage, setback);
static_assert(sizeof(SavedHead) + kKeeperOfVersion2 == 304, "as version 2 has written it down");

struct SavedHeld {
    HoldId id = 0;
    std::int32_t fd = -1;
    std::int32_t reserved = 0;
    char name[240] = {};
};

bool write_all(int fd, const void* data, std::size_t size) {
    return write(fd, data, size) == static_cast<ssize_t>(size);  // a memfd: whole, or there is no memory
}

bool read_all(int fd, void* out, std::size_t size) {
    return read(fd, out, size) == static_cast<ssize_t>(size);
}

struct Beginning {
    SavedHead head;
    WayBack way_back;
    SavedKeeper keeper;
    bool is_known = false;  // else only the way back is
};

// False: it is nothing that a keeper has written.
bool read_beginning(int fd, Beginning& out) {
    if (!read_all(fd, &out.head, sizeof out.head) || out.head.magic != kMagic) return false;
    const bool has_way_back = out.head.version > 2;
    if (has_way_back && !read_all(fd, &out.way_back, sizeof out.way_back)) return false;
    out.is_known = is_known_state(out.head.version) && out.head.child_size == sizeof(Child) &&
                   read_all(fd, &out.keeper, out.head.version > 2 ? sizeof out.keeper : kKeeperOfVersion2);
    return true;
}

// Leaves the offset where it was: what does not take it up is given back as it came.
bool look_at_beginning(int fd, Beginning& out) {
    const off_t at = lseek(fd, 0, SEEK_CUR);
    const bool is_state = read_beginning(fd, out);
    lseek(fd, at, SEEK_SET);
    return is_state;
}

void name_of(const char* link, char (&name)[PATH_MAX]) {
    const ssize_t size = readlink(link, name, sizeof name - 1);
    name[size > 0 ? size : 0] = '\0';
}

// The path of a descriptor, for execve(2).
struct FdPath {
    explicit FdPath(int fd) { std::snprintf(text, sizeof text, "/proc/self/fd/%d", fd); }
    char text[32];
};

// The words of this process's command line and, as the last one, where the state is.
char* const* words_with(char* const* argv, int state) {
    static char resume[32];
    static std::array<char*, 1024> words;
    std::snprintf(resume, sizeof resume, "--resume=%d", state);
    std::size_t count = 0;
    for (; argv && argv[count] && count + 2 < words.size(); ++count) words[count] = argv[count];
    words[count++] = resume;
    words[count] = nullptr;
    return words.data();
}

void write_setback(char (&text)[sizeof HelloMessage::setback], const char* why, const char* runs_again) {
    char failed[PATH_MAX], name[PATH_MAX];
    name_of("/proc/self/exe", failed);
    name_of(runs_again, name);
    std::snprintf(text, sizeof text, "upgrade undone: %.150s does not start: %s; %.150s runs again", failed,
                  why, name);
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

bool can_take_up(int state) {
    Beginning beginning;
    return look_at_beginning(state, beginning) && beginning.is_known;
}

int hand_back(int state, char* const* argv) {
    Beginning beginning;
    if (!look_at_beginning(state, beginning)) return EBADMSG;
    if (beginning.way_back.binary < 0) return ENOENT;
    const FdPath path(beginning.way_back.binary);
    char setback[sizeof HelloMessage::setback];
    write_setback(setback, "it does not understand what was written down for it", path.text);
    lseek(state, 0, SEEK_END);
    if (!write_all(state, setback, std::strlen(setback))) return ENOMEM;
    lseek(state, 0, SEEK_SET);
    execve(path.text, words_with(argv, state), environ);
    return errno;
}

UniqueFd Service::write_down(int way_back) {
    UniqueFd file(memfd_create("circus-keeper", MFD_CLOEXEC));
    const SavedHead head;
    const WayBack back{way_back};
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
    bool whole = file && write_all(file.get(), &head, sizeof head) &&
                 write_all(file.get(), &back, sizeof back) && write_all(file.get(), &saved, sizeof saved);
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

// Who has gone lately is not written down, and by that alone what it left behind is known. True: that was
// looked for, and is gone or does not go.
bool Service::is_swept() {
    if (g_children.front(unswept_)) return false;
    const auto now = Monotonic::now();
    if (sweep_at_ != TimePoint{}) {
        if (swept_by_ == TimePoint{}) swept_by_ = now + kSweepLimit;
        if (now < swept_by_) return false;
        sweep();
    }
    swept_by_ = {};
    return true;
}

// Returns only if it failed. `setback`: of the binary that this one was to be; empty: there was none.
int Service::run_binary(const char* path, int way_back, const char* setback) {
    const UniqueFd file = write_down(way_back);
    if (!file || !write_all(file.get(), setback, std::strlen(setback))) return ENOMEM;
    lseek(file.get(), 0, SEEK_SET);
    const std::array<int, 5> own{file.get(), channel_.fd(), page_fd_.get(), saved_.get(), way_back};
    for (const int fd : own) inherit(fd, true);
    inherit_all_held(true);
    execve(path, words_with(argv_, file.get()), environ);
    const int error = errno;
    for (const int fd : own) inherit(fd, false);
    inherit_all_held(false);
    return error;
}

// Returns if that is not possible: then this binary goes on as it can.
void Service::go_back() {
    const FdPath path(binary_before_.get());
    char setback[sizeof hello_.setback];
    write_setback(setback, first_end_, path.text);
    // What was caught is not written down: it is pending again, and goes along as what is not read yet does.
    for (int signo = 1; signo < static_cast<int>(caught_.size()); ++signo)
        if (std::exchange(caught_[static_cast<std::size_t>(signo)], std::uint8_t{0}) > 0) kill(self_, signo);
    const int error = run_binary(path.text, -1, setback);
    complain("circusd: %s, and the binary before cannot be run: %s", first_end_, std::strerror(error));
    binary_before_.reset();
}

void Service::upgrade_if_due() {
    if (!is_upgrade_due_) return;
    // Nothing may be on its way to be told: that is not written down.
    if (g_children.front(untold_) || is_refusal_due_ || is_unsaved_due_ || greeting_ != Greeting::Done ||
        !is_swept())
        return;
    is_upgrade_due_ = false;
    UpgradedMessage message;
    // A handle and no path: what is there under its name by then may be the binary that does not start.
    const UniqueFd self(open("/proc/self/exe", O_PATH | O_CLOEXEC));
    message.error = stop_requests_ > 0 || phase_ != Phase::Serving || !argv_
                        ? ECANCELED
                        : run_binary(upgrade_to_, self.get(), "");
    complain("circusd: cannot run %s: %s", upgrade_to_, std::strerror(message.error));
    send_or_wait(&message, sizeof message);
}

bool Service::read_rows(int state, std::uint32_t children, std::uint32_t held) {
    for (std::uint32_t i = 0; i < children; ++i) {
        Child row;
        if (!read_all(state, &row, sizeof row)) return false;
        Child& child = *g_children.acquire(row.id);
        row.next_by_id = child.next_by_id;
        row.next_by_pid = row.next_untold = row.next_unswept = row.next_told = 0;
        row.is_untold = false;
        row.pidfd = -1;
        const pid_t pid = std::exchange(row.pid, 0);
        child = row;
        if (pid != 0) g_children.set_pid(child, pid);
        if (child.told_at != 0) g_children.push(told_, child);
    }
    for (std::uint32_t i = 0; i < held; ++i) {
        SavedHeld row;
        if (!read_all(state, &row, sizeof row)) return false;
        g_held.hold(row.id, UniqueFd(row.fd), row.name);
    }
    return true;
}

bool Service::take_up(int state) {
    const UniqueFd file(state);
    Beginning beginning;
    if (!read_beginning(file.get(), beginning) || !beginning.is_known) return false;
    const SavedKeeper& saved = beginning.keeper;
    binary_before_.reset(beginning.way_back.binary);
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
    if (!read_rows(file.get(), saved.children, saved.held)) return false;
    char setback[sizeof hello_.setback] = {};
    const bool is_back = read(file.get(), setback, sizeof setback - 1) > 0;
    if (is_back) binary_before_.reset();  // it is this one
    greeting_ = Greeting::Done;
    was_ready_ = true;
    if (!page_) {
        std::snprintf(first_end_, sizeof first_end_, "it cannot map its arbiter's page");
        if (binary_before_) go_back();
        return false;
    }
    if (arbiter_pid_ == 0) {
        // The other binary's has ended: the next one is this one's, and says what has been.
        std::memcpy(hello_.setback, setback, sizeof setback);
        restart_at_ = feed_at_ = Monotonic::now();
        return true;
    }
    is_arbiter_ready_ = true;
    beat_at_ = Monotonic::now();
    look_for_a_beat();
    // It is the arbiter of the binary before: it leaves, and this one's follows. Or it is this one's own: for
    // it the upgrade has failed.
    is_upgraded_ = !is_back;
    UpgradedMessage message;
    message.error = is_back ? EPROTO : 0;
    send_or_wait(&message, sizeof message);
    return true;
}

}  // namespace circus::keeper
