#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "keeper/child.hpp"
#include "keeper/plan_decode.hpp"
#include "keeper/service.hpp"
#include "keeper/service_tables.hpp"
#include "sys/own_code.hpp"

namespace circus::keeper {

namespace {

// Few, because each may be a spawn and the dead must not wait for the born.
constexpr int kRequestBudget = 16;
// No deadline is longer than this, so that no sum of times can overflow.
constexpr std::uint64_t kMaxTimeoutMs = 30ULL * 365 * 24 * 3600 * 1000;

template <class Message>
bool read_as(const Incoming& in, Message& message) {
    if (in.bytes.size() != sizeof message || in.is_cut) return false;
    std::memcpy(&message, in.bytes.data(), sizeof message);
    return true;
}

// The bytes of a plan that came in a memfd, copied to memory of our own: a file that somebody shortens or
// rewrites later cannot hurt then, sealed or not.
class PlanFile {
  public:
    PlanFile() = default;
    PlanFile(const PlanFile&) = delete;
    PlanFile& operator=(const PlanFile&) = delete;
    ~PlanFile() {
        if (memory_) munmap(memory_, size_);
    }
    int load(int fd, std::size_t size) {
        if (size == 0 || size > kMaxPlan) return E2BIG;
        void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return ENOMEM;
        memory_ = memory;
        size_ = size;
        for (std::size_t at = 0; at < size;) {
            const ssize_t got =
                pread(fd, static_cast<std::byte*>(memory) + at, size - at, static_cast<off_t>(at));
            if (got <= 0) return got < 0 ? errno : EINVAL;
            at += static_cast<std::size_t>(got);
        }
        return 0;
    }
    std::span<std::byte> bytes() const { return {static_cast<std::byte*>(memory_), size_}; }

  private:
    void* memory_ = nullptr;
    std::size_t size_ = 0;
};

std::array<FdPlacement, kMaxMoves> g_placements;

double wall_time() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Since the machine began, as proc_pid_stat(5) counts; 0: not known.
std::uint64_t boot_ticks() {
    static const long ticks_per_second = sysconf(_SC_CLK_TCK);
    timespec now{};
    if (ticks_per_second <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return 0;
    const long nanoseconds_per_tick = 1'000'000'000 / ticks_per_second;
    return static_cast<std::uint64_t>(now.tv_sec * ticks_per_second + now.tv_nsec / nanoseconds_per_tick);
}

SpawnOutcome refuse(SpawnStage stage, int error, int detail = 0) {
    SpawnOutcome outcome;
    outcome.stage = stage;
    outcome.error = error;
    outcome.detail = detail;
    return outcome;
}

int source_of(const PlanMove& move, const Incoming& in, int null_fd) {
    switch (static_cast<FdMove::From>(move.from)) {
        case FdMove::From::Passed:
            return in.fds[move.source].get();
        case FdMove::From::Held:
            return g_held.find(move.source);
        case FdMove::From::Own:
            return static_cast<int>(move.source);
        case FdMove::From::Null:
            return null_fd;
    }
    return -1;
}

// Decodes the plan and starts the child; `settings` keeps what the keeper must know of it later.
SpawnOutcome spawn(const SpawnMessage& message, Incoming& in, int null_fd, PlanHeader& settings) {
    if (in.lost_fds) return refuse(SpawnStage::Decode, EMFILE);
    if (in.is_cut) return refuse(SpawnStage::Decode, EMSGSIZE);
    PlanFile file;
    std::span<std::byte> bytes = in.bytes.subspan(sizeof message);
    std::size_t passed = in.fd_count;
    if (message.in_memfd != 0) {
        if (passed == 0 || !bytes.empty()) return refuse(SpawnStage::Decode, EINVAL);
        --passed;
        if (const int error = file.load(in.fds[passed].get(), message.plan_size))
            return refuse(SpawnStage::Decode, error);
        bytes = file.bytes();
    }
    if (bytes.size() != message.plan_size) return refuse(SpawnStage::Decode, EINVAL);
    Plan plan;
    if (const int error = decode_plan(bytes, passed, plan)) return refuse(SpawnStage::Decode, error);
    settings = plan.header;

    for (std::size_t i = 0; i < plan.moves.size(); ++i) {
        const PlanMove& move = plan.moves[i];
        g_placements[i] = {source_of(move, in, null_fd), move.target};
        if (g_placements[i].source < 0) return refuse(SpawnStage::Decode, EBADF, move.target);
    }
    return spawn_child(plan, {g_placements.data(), plan.moves.size()});
}

}  // namespace

void Service::take_requests() {
    if (phase_ != Phase::Serving || channel_.fd() < 0) return;
    static Incoming in;
    for (int i = 0; i < kRequestBudget && phase_ == Phase::Serving && !is_refusal_due_; ++i) {
        const auto received = channel_.receive(in);
        if (received == Channel::Received::Nothing) return;
        if (received == Channel::Received::Gone) return on_channel_closed();
        on_message(in);
    }
}

void Service::take_last_requests() {
    static Incoming in;
    while (phase_ == Phase::Serving && channel_.fd() >= 0 &&
           channel_.receive(in) == Channel::Received::Message)
        on_message(in);
}

void Service::on_message(Incoming& in) {
    Header header;
    if (in.bytes.size() >= sizeof header) std::memcpy(&header, in.bytes.data(), sizeof header);
    if (in.bytes.size() < sizeof header || header.magic != kWireMagic) {
        complain("circusd: the keeper dropped a datagram of %zu bytes that is no message", in.bytes.size());
        return;
    }
    bool is_sound = false;
    switch (header.kind) {
        case Kind::Spawn:
            is_sound = in.bytes.size() >= sizeof(SpawnMessage);
            if (is_sound) on_spawn(in);
            break;
        case Kind::Signal: {
            SignalMessage message;
            is_sound = read_as(in, message);
            if (is_sound) on_signal(message);
            break;
        }
        case Kind::Hold: {
            HoldMessage message;
            is_sound = read_as(in, message);
            if (is_sound) on_hold(message, in);
            break;
        }
        case Kind::Drop: {
            DropMessage message;
            is_sound = read_as(in, message);
            if (is_sound) g_held.drop(message.id);
            break;
        }
        case Kind::Save: {
            SaveMessage message;
            is_sound = read_as(in, message);
            if (is_sound) on_save(in);
            break;
        }
        case Kind::Limits: {
            LimitsMessage message;
            is_sound = read_as(in, message);
            if (!is_sound) break;
            stop_timeout_ = Milliseconds(std::min<std::uint64_t>(message.stop_timeout_ms, kMaxTimeoutMs));
            arbiter_timeout_ =
                Milliseconds(std::min<std::uint64_t>(message.arbiter_timeout_ms, kMaxTimeoutMs));
            if (is_arbiter_ready_) look_for_a_beat();
            break;
        }
        case Kind::Upgrade: {
            UpgradeMessage message;
            is_sound = read_as(in, message) && message.binary[sizeof message.binary - 1] == '\0';
            if (!is_sound) break;
            std::memcpy(upgrade_to_, message.binary, sizeof upgrade_to_);
            is_upgrade_due_ = true;
            break;
        }
        case Kind::Ready: {
            ReadyMessage message;
            is_sound = read_as(in, message);
            if (is_sound) on_ready();
            break;
        }
        case Kind::Notify: {
            NotifyMessage message;
            is_sound = read_as(in, message);
            if (is_sound) notifier_.send({message.text, strnlen(message.text, sizeof message.text)});
            break;
        }
        case Kind::Exit: {
            ExitMessage message;
            is_sound = read_as(in, message);
            if (!is_sound) break;
            code_ = message.code;
            phase_ = Phase::Ending;
            break;
        }
        default:
            break;
    }
    if (!is_sound)
        complain("circusd: the keeper dropped a malformed message of kind %u",
                 static_cast<unsigned>(header.kind));
}

void Service::on_spawn(Incoming& in) {
    SpawnMessage message;
    std::memcpy(&message, in.bytes.data(), sizeof message);
    const bool is_usable = message.id != 0 && !g_children.by_id(message.id);
    Child* const child = is_usable ? g_children.acquire(message.id) : nullptr;
    if (!child) {
        tell();  // of the spawns before it
        refusal_.id = message.id;
        refusal_.stage = is_usable ? SpawnStage::Fork : SpawnStage::Decode;
        refusal_.error = is_usable ? EAGAIN : EEXIST;
        is_refusal_due_ = true;
        return tell();
    }
    PlanHeader settings;
    const std::uint64_t before = boot_ticks();
    SpawnOutcome outcome = spawn(message, in, null_.get(), settings);
    child->stage = outcome.stage;
    child->error = outcome.error;
    child->detail = outcome.detail;
    child->failed = outcome.pid < 0;
    child->note = message.note;
    last_child_ = std::max(last_child_, message.id);
    if (!child->failed) {
        child->started = Monotonic::now();
        child->started_wall = wall_time();
        child->started_pid = outcome.pid;
        // It began in between; where that is one tick, nobody has to look it up.
        child->start_ticks = boot_ticks() == before ? before : 0;
        child->pidfd = outcome.pidfd.release();
        child->stop_signal = settings.stop_signal;
        child->graceful_timeout_ms = settings.graceful_timeout_ms;
        child->kill_tree = (settings.flags & PlanHeader::HasKillTree) != 0;
        g_children.set_pid(*child, outcome.pid);
    }
    child->tell_start = true;
    // Told with the others of this turn: an arbiter that wakes for each of many does little else.
    untold(*child);
}

void Service::on_signal(const SignalMessage& message) {
    Child* const child = g_children.by_id(message.id);
    if (!child || child->pid == 0 || message.signo < 0 || message.signo > 64) return;
    if (message.stopping != 0 && !child->stopping) {
        child->stopping = true;
        child->stopping_since = Monotonic::now();
    }
    switch (message.scope) {
        case Scope::Process:
            kill(child->pid, message.signo);
            return;
        case Scope::Group:
            kill(-child->pid, message.signo);
            return;
        case Scope::Tree:
            signal_tree(*child, message.signo);
            return;
        case Scope::Children:
            signal_children(*child, message.signo, message.pid);
            return;
    }
}

void Service::on_hold(const HoldMessage& message, Incoming& in) {
    const int name_length = static_cast<int>(strnlen(message.name, sizeof message.name));
    char name[sizeof message.name];
    std::snprintf(name, sizeof name, "%.*s", name_length, message.name);
    if (in.fd_count != 1 || !g_held.hold(message.id, std::move(in.fds[0]), name))
        complain("circusd: the keeper cannot hold descriptor %llu (%.*s)%s",
                 static_cast<unsigned long long>(message.id), name_length, name,
                 in.lost_fds ? ": too many open files" : "");
}

// What was saved before stays until there is something in its place.
void Service::on_save(Incoming& in) {
    if (in.fd_count == 1) {
        saved_ = std::move(in.fds[0]);
        if (!spare_) spare_.reset(fcntl(null_.get(), F_DUPFD_CLOEXEC, 0));
        return;
    }
    // There is room for the next one.
    spare_.reset();
    complain("circusd: the keeper could not take the arbiter's state%s; it is asked for again",
             in.lost_fds ? ": too many open files" : "");
    is_unsaved_due_ = true;
    tell();
}

void Service::on_ready() {
    is_arbiter_ready_ = was_ready_ = true;
    ready_by_ = feed_at_ = {};
    binary_before_.reset();
    hello_.setback[0] = page_->end[0] = '\0';
    beat_at_ = Monotonic::now();
    look_for_a_beat();
    let_go_at_ = beat_at_ + sys::kStartLasts;
    if (!ready_) return;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) dup2(null_.get(), fd);
    const char byte = 1;
    const bool told = write(ready_.get(), &byte, 1) == 1;
    ready_.reset();
    // Whoever started the daemon has gone without waiting: nobody knows that it runs.
    if (!told) on_signal_caught(SIGTERM, 0);
}

}  // namespace circus::keeper
