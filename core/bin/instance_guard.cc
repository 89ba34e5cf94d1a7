#include "bin/instance_guard.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <optional>
#include <unistd.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "control/default_endpoint.hpp"
#include "control/endpoint.hpp"
#include "loop/timer.hpp"
#include "sys/leftovers.hpp"
#include "sys/listen.hpp"
#include "sys/pidfd.hpp"
#include "sys/procfs.hpp"

namespace circus::bin {

namespace {

using std::chrono::seconds;

constexpr Milliseconds kLook{20};
// Another one that has the lock writes its name at once.
constexpr Duration kNameless = seconds(2);
// An arbiter without a keeper needs 5 s at the most; so has one that hangs, and may be in the kernel's hands.
constexpr Duration kArbiterLimit = seconds(10);
constexpr Duration kKillLimit = seconds(10);
constexpr std::size_t kMostNamed = 10;
// Far from the numbers that sockets have. Made of the path, so that a later arbiter names the same hold.
constexpr keeper::HoldId kHolds = 1ULL << 62;

constexpr std::string_view kIpc = "ipc://";

// Beside the socket; of another endpoint in the directory where the socket is by default.
std::string lock_path(const std::string& endpoint) {
    if (endpoint.starts_with(kIpc)) return cat(std::string_view(endpoint).substr(kIpc.size()), ".lock");
    std::string name;
    for (const char c : endpoint) {
        if (c == '/' && (name.empty() || name.back() == '-')) continue;
        const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-';
        name += is_plain ? c : c == ':' ? '-' : '_';
    }
    const std::string usual = control::default_endpoint().substr(kIpc.size());
    return cat(std::string_view(usual).substr(0, usual.rfind('/')), "/", name, ".lock");
}

keeper::HoldId hold_id(std::string_view path) {
    std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
    for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    return kHolds + hash % (kHolds / 2);
}

std::optional<sys::PidRef> started_process(const keeper::SpawnedMessage& spawned, int pidfd) {
    if (spawned.start_ticks != 0) return sys::PidRef{spawned.pid, spawned.start_ticks};
    const auto process = sys::identify(spawned.pid);
    // Signal 0 only asks: if it can still be sent, the number was this process's when it was looked at.
    if (pidfd < 0 || sys::signal_pidfd(pidfd, 0) != 0) return std::nullopt;
    return process;
}

Error in_use(const std::string& endpoint, const sys::InstanceHeader& owner) {
    if (owner.instance.empty())
        return {cat("cannot use ", endpoint, ": another circusd has its lock file ", lock_path(endpoint)),
                EADDRINUSE};
    return {cat("cannot use ", endpoint, ": another circusd has it, process ", owner.keeper.pid,
                "; stop that one (circusctl --endpoint ", endpoint,
                " quit), or give this one an endpoint of its own"),
            EADDRINUSE};
}

std::string names_of(const std::vector<sys::PidRef>& processes) {
    std::vector<std::string> names;
    for (const sys::PidRef& process : processes) {
        if (names.size() == kMostNamed) {
            names.push_back(cat(processes.size() - kMostNamed, " more"));
            break;
        }
        const auto figures = sys::read_figures(process.pid);
        const std::string name = figures ? figures->argv0 : std::string();
        names.push_back(cat(process.pid, " (", std::string_view(name).substr(name.rfind('/') + 1), ")"));
    }
    return join(names, ", ");
}

Result<sys::InstanceFile> open_file(const std::string& endpoint, bool passable) {
    const bool is_ipc = endpoint.starts_with(kIpc);
    const std::string path = lock_path(endpoint);
    const std::string place = is_ipc ? endpoint : cat(kIpc, path);
    if (const Status made = control::make_place(place, passable && is_ipc); !made) return made.error();
    auto file = sys::InstanceFile::open(path);
    if (!file) return Error{cat("cannot use ", endpoint, ": ", file.error().text), file.error().code};
    return file;
}

// Whose processes may still be there, for a header that is written over `found`.
void inherit(sys::InstanceHeader& header, const sys::InstanceHeader& found) {
    // One that had not done away with what it found has started nothing of its own.
    header.before = found.before.empty() ? found.instance : found.before;
    header.arbiter_before = found.before.empty() ? found.arbiter : found.arbiter_before;
}

}  // namespace

// take(), step by step.
class InstanceGuard::Taking {
  public:
    Taking(InstanceGuard& guard, Guarded& guarded) : guard_(guard), guarded_(guarded) {}

    bool is_done() const { return stage_ == Stage::Done; }
    const std::optional<Error>& error() const { return error_; }

    void step() {
        const Stage before = stage_;
        const TimePoint now = Monotonic::now();
        if (since_ == TimePoint{}) since_ = now;
        switch (stage_) {
            case Stage::Keeper:
                lock_keeper(now);
                break;
            case Stage::Arbiter:
                lock_arbiter(now);
                break;
            case Stage::Leftovers:
                stop_leftovers(now);
                break;
            case Stage::Done:
                return;
        }
        if (stage_ == before || error_) return;
        since_ = {};
        is_told_ = false;
        step();
    }

  private:
    enum class Stage : std::uint8_t { Keeper, Arbiter, Leftovers, Done };

    sys::InstanceHeader& header() { return guarded_.header; }
    void tell(const std::string& text) {
        if (!std::exchange(is_told_, true)) log::warning(text);
    }
    void write() {
        if (const Status written = guarded_.file.write(header()); !written)
            log::warning(written.error().text);
    }

    void lock_keeper(TimePoint now) {
        const int problem = guarded_.file.lock(sys::InstanceFile::Lock::Keeper);
        const sys::InstanceHeader found = guarded_.file.header();
        const bool is_mine = found.instance == guard_.instance_;
        if (problem != 0 && problem != EAGAIN) {
            log::warning(cat("no lock on ", guarded_.endpoint, ": ", sys_error("locking", problem).text,
                             "; a second circusd is not kept away, nothing is known of an earlier one"));
            stage_ = Stage::Done;
        } else if (problem == EAGAIN && !is_mine) {
            if (found.is_stopping)
                tell(cat("waiting for circusd, process ", found.keeper.pid, ", which has ", guarded_.endpoint,
                         " and is stopping"));
            else if (!found.instance.empty() || now - since_ > kNameless)
                error_ = in_use(guarded_.endpoint, found);
        } else if (problem == 0 && !is_mine && sys::is_alive(found.keeper)) {
            error_ = in_use(guarded_.endpoint, found);
        } else {
            header() = found;
            is_second_ = is_mine;
            if (!is_mine) {
                header() = {};
                header().instance = guard_.instance_;
                inherit(header(), found);
                write();
            }
            if (problem == 0)
                guard_.keeper_.hold(guarded_.hold, "instance-lock", guarded_.file.release_keeper().get());
            stage_ = Stage::Arbiter;
        }
    }

    void lock_arbiter(TimePoint now) {
        const sys::PidRef other = is_second_ ? header().arbiter : header().arbiter_before;
        if (guarded_.file.lock(sys::InstanceFile::Lock::Arbiter) == EAGAIN) {
            tell(cat("waiting for the arbiter, process ", other.pid, ", of a circusd that was killed on ",
                     guarded_.endpoint, ": it is stopping its stack"));
            if (now - since_ > kArbiterLimit && !std::exchange(is_killed_, true)) {
                log::error(cat("the arbiter, process ", other.pid, ", does not end: it gets SIGKILL"));
                sys::signal_exactly(other, SIGKILL);
            }
            if (now - since_ > kArbiterLimit + kKillLimit)
                error_ = Error{cat("cannot use ", guarded_.endpoint, ": process ", other.pid,
                                   ", the arbiter of a circusd that was killed, does not end")};
            return;
        }
        header().arbiter = sys::identify(::getpid()).value_or(sys::PidRef{});
        header().is_stopping = false;
        write();
        stage_ = header().before.empty() ? Stage::Done : Stage::Leftovers;
        if (is_done()) guarded_.file.adopt_rows();
    }

    void stop_leftovers(TimePoint now) {
        if (!leftovers_) leftovers_.emplace(header().before, guarded_.file.rows());
        const auto left = leftovers_->look(now);
        if (left.empty()) {
            if (is_told_) log::info("what was left is gone");
            header().before.clear();
            header().arbiter_before = {};
            guarded_.file.clear_rows();
            write();
            stage_ = Stage::Done;
            return;
        }
        tell(cat("circusd was killed on ", guarded_.endpoint, " when it ran as process ",
                 sys::keeper_of(header().before).value_or(sys::PidRef{}).pid, " and left ", left.size(),
                 left.size() == 1 ? " process" : " processes", ": ", names_of(left),
                 "; stopping what is left"));
        if (const auto since = leftovers_->killed_since(); since && now - *since > kKillLimit)
            error_ = Error{cat("cannot use ", guarded_.endpoint, ": of an earlier circusd there are still ",
                               names_of(left), ", which do not end by SIGKILL")};
    }

    InstanceGuard& guard_;
    Guarded& guarded_;
    Stage stage_ = Stage::Keeper;
    TimePoint since_{};  // in this stage
    bool is_told_ = false, is_killed_ = false;
    bool is_second_ = false;  // an arbiter before us, of the same keeper, has taken it
    std::optional<sys::Leftovers> leftovers_;
    std::optional<Error> error_;
};

InstanceGuard::InstanceGuard(loop::Loop& loop, loop::KeeperClient& keeper, std::string instance)
    : loop_(loop), keeper_(keeper), instance_(std::move(instance)) {}

Result<InstanceGuard::Outcome> InstanceGuard::take(const std::string& endpoint, bool passable,
                                                   const std::function<bool()>& is_over) {
    auto file = open_file(endpoint, passable);
    if (!file) {
        // A port is nobody else's while it is bound; only what an earlier circusd left is not found.
        if (endpoint.starts_with(kIpc)) return file.error();
        log::warning(file.error().text + "; going on without a lock file");
        return Outcome::Ours;
    }
    Guarded guarded{endpoint, std::move(*file), {}, hold_id(lock_path(endpoint))};
    Taking taking(*this, guarded);
    const auto is_through = [&] {
        return taking.is_done() || taking.error() || is_over() || keeper_.is_gone();
    };
    taking.step();
    loop::Timer look(loop_, [&] {
        taking.step();
        if (is_through()) loop_.stop();
    });
    if (!is_through()) {
        look.start(kLook, kLook);
        while (!is_through()) loop_.run();
    }
    if (taking.error()) return *taking.error();
    if (!taking.is_done()) return Outcome::NotWanted;
    guarded_.push_back(std::move(guarded));
    return Outcome::Ours;
}

Status InstanceGuard::add(const std::string& endpoint, bool passable) {
    auto file = open_file(endpoint, passable);
    if (!file) return endpoint.starts_with(kIpc) ? Status(file.error()) : Status(Ok{});
    Guarded guarded{endpoint, std::move(*file), {}, hold_id(lock_path(endpoint))};
    const sys::InstanceHeader found = guarded.file.header();
    const int keeper = guarded.file.lock(sys::InstanceFile::Lock::Keeper);
    const bool is_mine = found.instance == instance_;
    if (keeper == EAGAIN && !is_mine) return in_use(endpoint, found);
    if (guarded.file.lock(sys::InstanceFile::Lock::Arbiter) == EAGAIN) return in_use(endpoint, found);
    guarded.header.instance = instance_;
    guarded.header.arbiter = sys::identify(::getpid()).value_or(sys::PidRef{});
    inherit(guarded.header, found);
    const std::string before = guarded.header.before == instance_ ? std::string() : guarded.header.before;
    if (!before.empty()) {
        std::vector<sys::PidRef> left;
        for (const sys::Marked& marked : sys::processes_of(before)) left.push_back(marked.process);
        if (!left.empty())
            return Error{cat("cannot use ", endpoint, ": a circusd that was killed there left ",
                             names_of(left), "; stop what is left, or start a circusd there, which does it"),
                         EADDRINUSE};
    }
    guarded.header.before.clear();
    guarded.header.arbiter_before = {};
    guarded.file.clear_rows();
    if (const Status written = guarded.file.write(guarded.header); !written) return written.error();
    if (!guarded_.empty())
        for (const sys::ChildRow& row : guarded_.back().file.rows()) guarded.file.put(row);
    guarded.file.set_sockets(sockets_);
    if (keeper == 0) keeper_.hold(guarded.hold, "instance-lock", guarded.file.release_keeper().get());
    guarded_.push_back(std::move(guarded));
    return Ok{};
}

void InstanceGuard::drop(const std::string& endpoint) {
    for (Guarded& guarded : guarded_) {
        if (guarded.endpoint != endpoint) continue;
        // Nothing of ours is to be looked for there.
        guarded.file.clear_rows();
        guarded.file.set_sockets({});
        [[maybe_unused]] const Status emptied = guarded.file.write({});
        keeper_.drop(guarded.hold);
    }
    std::erase_if(guarded_, [&](const Guarded& guarded) { return guarded.endpoint == endpoint; });
}

void InstanceGuard::clear_away(const std::string& path, int type) {
    const auto there = sys::SocketRow::of(path);
    if (guarded_.empty() || !there) return;
    const std::vector<sys::SocketRow> left = guarded_.front().file.sockets();
    if (std::find(left.begin(), left.end(), *there) == left.end() || !sys::is_abandoned(path, type)) return;
    if (::unlink(path.c_str()) == 0)
        log::info(cat("removed ", path, ", a socket that an earlier circusd has left there"));
}

void InstanceGuard::note_sockets(const std::vector<std::string>& paths) {
    std::vector<sys::SocketRow> sockets;
    for (const std::string& path : paths)
        if (const auto row = sys::SocketRow::of(path)) sockets.push_back(*row);
    if (sockets == sockets_) return;
    sockets_ = std::move(sockets);
    for (Guarded& guarded : guarded_) guarded.file.set_sockets(sockets_);
}

void InstanceGuard::put(const sys::ChildRow& row) {
    for (Guarded& guarded : guarded_)
        if (!guarded.file.put(row) && !std::exchange(is_told_full_, true))
            log::warning(
                cat("the lock file of ", guarded.endpoint,
                    " takes no more rows (is the disk full?): if circusd is killed, some of its workers "
                    "are stopped with SIGTERM and 30 s"));
}

void InstanceGuard::on_spawn(keeper::ChildId id, const keeper::SpawnRequest& request) {
    sys::ChildRow row{id, {}, request.stop_signal, Milliseconds(request.graceful_timeout_ms)};
    put(row);
    starting_.emplace(id, row);
}

void InstanceGuard::on_spawned(const keeper::SpawnedMessage& spawned, int pidfd) {
    auto entry = starting_.extract(spawned.id);
    if (entry.empty()) return;
    const auto process = started_process(spawned, pidfd);
    if (!process) return;
    entry.mapped().process = *process;
    put(entry.mapped());
}

void InstanceGuard::on_gone(keeper::ChildId id) {
    starting_.erase(id);
    for (Guarded& guarded : guarded_) guarded.file.remove(id);
}

void InstanceGuard::on_stopping() {
    for (Guarded& guarded : guarded_) {
        if (std::exchange(guarded.header.is_stopping, true)) continue;
        [[maybe_unused]] const Status told = guarded.file.write(guarded.header);
    }
}

}  // namespace circus::bin
