// A whole arbiter without one real process: FakeKeeper answers spawns when told to, FakeClock is turned by
// hand, FakeEvents remembers what was published.
#pragma once

#include <algorithm>
#include <csignal>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <sys/wait.h>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "supervise/arbiter.hpp"

namespace circus::supervise {

class FakeClock final : public Clock {
  public:
    TimePoint now() const override { return now_; }
    double wall() const override { return 1'000'000 + to_seconds(now_.time_since_epoch()); }
    void advance(Duration by) { now_ += by; }

  private:
    TimePoint now_{std::chrono::seconds(1000)};
};

class FakeKeeper final : public KeeperPort {
  public:
    struct Sent {
        ChildId id;
        int signo;
        keeper::Scope scope;
        pid_t pid;
        bool stopping;
    };
    void spawn(ChildId id, const keeper::SpawnRequest& request) override {
        requests[id] = request;
        asked.push_back(id);
    }
    void signal(ChildId id, int signo, keeper::Scope scope, pid_t pid, bool stopping) override {
        sent.push_back({id, signo, scope, pid, stopping});
    }
    void hold(HoldId id, std::string_view name, int) override { held[id] = name; }
    void drop(HoldId id) override { held.erase(id); }
    void save(const std::string& state) override {
        saved = state;
        ++saves;
        if (when_saved) when_saved();
    }

    std::string saved;  // what the next arbiter finds
    int saves = 0;
    std::function<void()> when_saved;
    std::map<ChildId, keeper::SpawnRequest> requests;
    std::vector<ChildId> asked;  // not answered yet
    std::vector<Sent> sent;
    std::map<HoldId, std::string> held;
};

class FakeStreams final : public StreamPort {
  public:
    Result<Pipe> open(const config::StreamConfig& config, std::string_view, int, StreamKind) override {
        opened.push_back(config.filename);
        return Pipe{++last, UniqueFd()};
    }
    void watch(PipeId id, Pattern, std::function<void()> found) override { watched[id] = std::move(found); }
    void start(PipeId id, pid_t) override { started.push_back(id); }
    void finish(PipeId id, Drained drained) override {
        finishing.push_back([this, id, drained = std::move(drained)] {
            const auto at = written.find(id);
            drained(at == written.end() ? std::nullopt : std::optional(at->second));
        });
    }
    void discard(PipeId id) override { discarded.push_back(id); }
    void reopen_files() override { ++reopened; }
    std::optional<stream::Tail> tail(std::string_view watcher, StreamKind kind,
                                     const stream::TailQuery& query) const override {
        asked.emplace_back(std::string(watcher), kind, query);
        return kept;
    }
    void forget(std::string_view watcher) override { forgotten.emplace_back(watcher); }
    std::optional<StreamKind> inherited_kind(PipeId id) const override {
        const auto at = kinds.find(id);
        return at == kinds.end() ? std::nullopt : std::optional(at->second);
    }
    Status adopt(PipeId, const config::StreamConfig&) override { return Ok{}; }

    std::map<PipeId, StreamKind> kinds;  // that the arbiter before had held
    PipeId last = 0;
    std::vector<std::string> opened;
    std::vector<PipeId> started, discarded;
    std::vector<std::function<void()>> finishing;
    std::map<PipeId, std::function<void()>> watched;  // for a line
    std::map<PipeId, std::string> written;            // what a stderr gave last
    int reopened = 0;
    std::optional<stream::Tail> kept;
    mutable std::vector<std::tuple<std::string, StreamKind, stream::TailQuery>> asked;
    std::vector<std::string> forgotten;
};

class FakeEvents final : public EventPort {
  public:
    void publish(std::string_view watcher, std::string_view event, Json payload) override {
        // It comes whenever the record of a death is complete, beside everything else.
        if (event == "death") {
            deaths.push_back(payload.dump());
            return;
        }
        log.push_back(std::string(event));
        payloads.emplace_back(std::string(watcher) + "." + std::string(event), payload.dump());
    }
    void asked(std::string_view watcher, std::string_view operation) override {
        operations.push_back(std::string(watcher) + "." + std::string(operation));
    }
    std::vector<std::string> take() { return std::exchange(log, {}); }
    std::vector<std::string> log;
    std::vector<std::string> operations;
    std::vector<std::string> deaths;  // payloads of `death`
    std::vector<std::pair<std::string, std::string>> payloads;
};

class FakeReadiness final : public ReadinessPort {
  public:
    Status watch(int fd) override {
        watched.insert(fd);
        return Ok{};
    }
    void forget(int fd) override { watched.erase(fd); }

    std::set<int> watched;
};

class FakeProbes final : public ProbePort {
  public:
    void look(ChildId id, const config::ProbeAddress& at) override { looks[id] = at; }
    void drop(ChildId id) override { looks.erase(id); }

    std::map<ChildId, config::ProbeAddress> looks;  // not answered yet
};

class FakeNotify final : public NotifyPort {
  public:
    Result<std::string> address() override { return std::string("@notify"); }
};

// Another thread's work is done when a test says so.
class FakeWorker final : public WorkerPort {
  public:
    void run(std::function<void()> job, std::function<void()> then) override {
        jobs.emplace_back(std::move(job), std::move(then));
    }
    std::vector<std::pair<std::function<void()>, std::function<void()>>> jobs;
};

// A configuration "file" that a test writes, and a daemon that remembers what was asked of it.
class FakeDaemon final : public DaemonPort {
  public:
    config::Loaded read() const override { return file; }
    Status stage(const config::CircusConfig&, const config::CircusConfig&) override {
        if (!refuses.empty()) return Error{refuses};
        log.emplace_back("stage");
        return Ok{};
    }
    void drop() override { log.emplace_back("drop"); }
    void plugins(const std::vector<config::PluginConfig>& wanted) override {
        plugin_names.clear();
        for (const auto& each : wanted) plugin_names.push_back(each.name);
    }
    void commit() override { log.emplace_back("commit"); }
    void retire() override { log.emplace_back("retire"); }

    config::Loaded file;
    std::vector<std::string> plugin_names;  // as they were switched to
    std::string refuses;                    // why stage() fails; empty: it does not
    std::vector<std::string> log;
};

// Hooks that a test answers when it likes, as functions of libraries and as plugins' hooks.
class FakeHooks final : public HookLibraryPort {
  public:
    struct Asked {
        HookCall call;
        HookAnswered answered;
    };
    Result<HookFn> load(const std::string& library, const std::string& function) override {
        if (library != "lib.so") return Error{library + ": cannot open shared object file"};
        loaded.push_back(function);
        return function_of();
    }
    HookFn function_of() {
        return [this](const HookCall& call, HookAnswered answered) {
            asked.push_back({call, std::move(answered)});
        };
    }
    // The points that wait for an answer.
    std::vector<std::string> waiting() const {
        std::vector<std::string> points;
        for (const Asked& each : asked) points.push_back(each.call.hook);
        return points;
    }
    HookCall answer(HookVerdict verdict, std::string text = {}) {
        Asked first = std::move(asked.front());
        asked.erase(asked.begin());
        first.answered({verdict, std::move(text)});
        return first.call;
    }

    std::vector<std::string> loaded;
    std::vector<Asked> asked;
};

struct FakeStack {
    FakeClock clock;
    FakeKeeper keeper;
    FakeStreams streams;
    FakeEvents events;
    FakeReadiness readiness;
    FakeWorker worker;
    FakeDaemon daemon;
    FakeHooks hooks;
    FakeNotify notify;
    FakeProbes probes;
    HookRegistry hook_registry;
    DrainPort* drain = nullptr;  // of the test's own
    DeathBook* book = nullptr;   // the same
    std::function<model::OomCounts()> oom;
    double drawn = 0.5;  // where something is left to chance
    config::Config config;
    std::unique_ptr<Arbiter> arbiter;
    pid_t next_pid = 1001;
    std::map<ChildId, pid_t> pids;

    config::WatcherConfig& watcher(const std::string& name, int numprocesses = 1) {
        config::WatcherConfig w;
        w.name = name;
        w.cmd = "/bin/program";
        w.numprocesses = numprocesses;
        config.watchers.push_back(w);
        return config.watchers.back();
    }
    std::unique_ptr<Arbiter> make_arbiter(config::Config of) {
        return std::make_unique<Arbiter>(std::move(of), Arbiter::Ports{keeper,
                                                                       streams,
                                                                       events,
                                                                       clock,
                                                                       {"PATH=/bin"},
                                                                       [this] { return drawn; },
                                                                       {},
                                                                       "7-7",
                                                                       readiness,
                                                                       &worker,
                                                                       &daemon,
                                                                       &hook_registry,
                                                                       &hooks,
                                                                       drain,
                                                                       &notify,
                                                                       &probes,
                                                                       book,
                                                                       oom});
    }
    // The arbiter is gone, another one finds what it has saved and the children that the keeper knows. Those
    // in `stopping` were told to end before.
    void take_over(const std::set<ChildId>& stopping = {}) {
        arbiter.reset();
        Inheritance inheritance;
        inheritance.state = keeper.saved;
        for (const auto& [id, request] : keeper.requests)
            inheritance.last_child = std::max(inheritance.last_child, id);
        for (const auto& [id, pid] : pids) {
            InheritedChild child;
            child.facts.id = id;
            child.facts.pid = pid;
            child.facts.note = keeper.requests.at(id).note;
            child.facts.started = clock.now().time_since_epoch().count();
            child.facts.started_wall = clock.wall();
            if (stopping.contains(id)) child.facts.stopping = child.facts.started;
            inheritance.children.push_back(std::move(child));
        }
        keeper.asked.clear();
        keeper.sent.clear();
        events.take();
        auto saved = saved_config(inheritance.state);
        ASSERT_TRUE(saved);
        saved->watchers.clear();
        arbiter = make_arbiter(std::move(*saved));
        const Status restored = arbiter->restore(std::move(inheritance));
        ASSERT_TRUE(restored) << restored.error().text;
        arbiter->settle();
    }
    void boot() {
        config.circus.check_delay = 5;
        config.circus.stop_timeout = 60;
        arbiter = make_arbiter(config);
        daemon.file.config = config;
        EXPECT_TRUE(arbiter->bind_sockets());
        arbiter->start();
        arbiter->settle();
    }
    // Boots and answers every spawn, so that everything wanted runs.
    void boot_running() {
        boot();
        spawn_all();
        events.take();
        keeper.sent.clear();
    }
    Watcher& at(const std::string& name) { return *arbiter->find(name); }
    // The keeper says Spawned to all it was asked for, until nothing more is asked.
    void spawn_all() {
        while (!keeper.asked.empty()) {
            for (const ChildId id : std::exchange(keeper.asked, {})) {
                pids[id] = next_pid++;
                arbiter->on_spawned(id, pids[id], UniqueFd());
            }
            arbiter->settle();
        }
    }
    void fail_all(int error) {
        for (const ChildId id : std::exchange(keeper.asked, {}))
            arbiter->on_spawn_failed(id, keeper::SpawnStage::Exec, error, 0);
        arbiter->settle();
    }
    void die(ChildId id, int wait_status) {
        pids.erase(id);
        arbiter->on_exited(id, wait_status, rusage{});
        arbiter->settle();
    }
    // Every process that was sent a stop or kill signal obeys.
    void obey() {
        for (const auto& signal : std::exchange(keeper.sent, {}))
            if (signal.stopping && pids.contains(signal.id)) {
                pids.erase(signal.id);
                arbiter->on_exited(signal.id, signal.signo, rusage{});
            }
        arbiter->settle();
    }
    void pass(Duration time) {
        clock.advance(time);
        arbiter->on_time();
        arbiter->settle();
    }
    std::vector<int> wids(const std::string& name) {
        std::vector<int> out;
        for (const Process* process : at(name).active()) out.push_back(process->wid);
        std::sort(out.begin(), out.end());
        return out;
    }
    ChildId child(const std::string& name, int wid) {
        for (const Process* process : at(name).active())
            if (process->wid == wid) return process->id;
        return 0;
    }
};

}  // namespace circus::supervise
