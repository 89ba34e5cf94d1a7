// Construction and operations. Facts are in arbiter_facts.cc, arbiter_settle.cc drains.
#include "supervise/arbiter.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "config/option_table.hpp"
#include "supervise/reconfiguration.hpp"

namespace circus::supervise {

namespace {
Error busy(const char* name) {
    return {cat("arbiter is already running ", name, " command"), static_cast<int>(Errno::Command)};
}
}  // namespace

Arbiter::Arbiter(config::Config config, Ports ports)
    : config_(std::move(config)),
      keeper_(ports.keeper),
      demand_(ports.readiness),
      deaths_(ports.deaths, ports.events, std::move(ports.oom)),
      stack_{ports.keeper,
             ports.streams,
             ports.events,
             ports.clock,
             sockets_,
             config_.circus,
             std::move(ports.environment),
             std::move(ports.random),
             ports.original_nofile,
             std::move(ports.instance),
             ports.hooks,
             ports.hook_libraries,
             ports.drain,
             ports.notify,
             ports.probes,
             &deaths_},
      worker_(ports.worker),
      memory_(ports.worker),
      loads_(ports.worker, sockets_),
      safety_pass_(ports.clock.now() + from_seconds(config_.circus.check_delay)),
      reconfiguration_(std::make_unique<Reconfiguration>(*this, ports.worker, ports.daemon)) {
    sockets_.on_close([this](int fd) { demand_.closing(fd); });
    for (const auto& watcher : config_.watchers) insert(watcher, identity_of(watcher));
}

Arbiter::~Arbiter() = default;

std::unique_ptr<Watcher> Arbiter::make_watcher(config::WatcherConfig config, Identity identity) {
    return std::make_unique<Watcher>(
        std::move(config), std::move(identity), stack_,
        [this](Done done, Result<OpResult> result) {
            finished_.emplace_back(std::move(done), std::move(result));
        },
        [this](Watcher& self, ChildId id) { owners_[id] = &self; }, [this](Watcher& self) { mark(self); },
        [this](const Watcher& self, std::string& why) { return gate(self, why); });
}

Watcher& Arbiter::insert(config::WatcherConfig config, Identity identity) {
    std::string key = to_lower(config.name);
    auto watcher = make_watcher(std::move(config), std::move(identity));
    watcher->set_serial(next_serial_++);
    Watcher& placed = *watcher;
    watchers_[std::move(key)] = std::move(watcher);
    places_[&placed] = next_place_++;
    unnoted_.push_back(&placed);
    return placed;
}

Status Arbiter::load_hooks() {
    Status first = Ok{};
    for (const auto& [key, watcher] : watchers_)
        if (Status loaded = HookCalls::load(watcher->config(), stack_); !loaded && first) first = loaded;
    return first;
}

Status Arbiter::bind_sockets() {
    return sockets_.bind(config_.sockets, keeper_);
}

void Arbiter::start() {
    std::vector<Watcher*> wanted;
    for (const auto& [key, watcher] : watchers_)
        if (watcher->config().autostart) wanted.push_back(watcher.get());
    // Before the first of them can die. Who takes over knows nothing of before: the first safety pass.
    deaths_.look_at_memory();
    start_all(wanted, {});
}

// ---- queries ----

Watcher* Arbiter::find(std::string_view name) const {
    const auto at = watchers_.find(to_lower(name));
    return at == watchers_.end() || at->second->config().hidden ? nullptr : at->second.get();
}

Watcher* Arbiter::find_hidden(std::string_view name) const {
    const auto at = watchers_.find(to_lower(name));
    return at != watchers_.end() && at->second->config().hidden ? at->second.get() : nullptr;
}

std::vector<Watcher*> Arbiter::watchers() const {
    std::vector<Watcher*> out;
    out.reserve(watchers_.size());
    for (const auto& [key, watcher] : watchers_)
        if (!watcher->config().hidden) out.push_back(watcher.get());
    return out;
}

std::vector<Watcher*> Arbiter::all_watchers() const {
    std::vector<Watcher*> out;
    out.reserve(watchers_.size());
    for (const auto& [key, watcher] : watchers_) out.push_back(watcher.get());
    return out;
}

bool Arbiter::is_stopped() const {
    return quitting_ && removed_.empty() &&
           std::all_of(watchers_.begin(), watchers_.end(),
                       [](const auto& row) { return row.second->is_gone() || row.second->config().hidden; });
}

std::vector<const Process*> Arbiter::all_processes() const {
    std::vector<const Process*> out;
    for (const auto& [key, watcher] : watchers_) watcher->collect(out);
    for (const auto& watcher : removed_) watcher->collect(out);
    return out;
}

// ---- operations on one ----

bool Arbiter::refuse(Done& done) {
    if (!quitting_) return false;
    if (done) finished_.emplace_back(std::move(done), busy("arbiter_stop"));
    return true;
}

void Arbiter::start(Watcher& watcher, Done done) {
    if (refuse(done)) return;
    start_dependencies(watcher);
    watcher.start(std::move(done));
    mark(watcher);
}

void Arbiter::stop(Watcher& watcher, Done done) {
    const std::string key = to_lower(watcher.name());
    for (auto pending = pending_starts_.begin(); pending != pending_starts_.end();) {
        if (pending->key != key) {
            ++pending;
            continue;
        }
        const BatchId batch = pending->batch;
        pending = pending_starts_.erase(pending);
        close_part(batch);
    }
    watcher.stop(std::move(done));
    mark(watcher);
}

void Arbiter::restart(Watcher& watcher, Done done) {
    if (refuse(done)) return;
    if (!watcher.is_up()) start_dependencies(watcher);
    watcher.restart(std::move(done));
    mark(watcher);
}

void Arbiter::reload(Watcher& watcher, const ReloadRequest& request, Done done) {
    if (refuse(done)) return;
    if (!watcher.is_up()) start_dependencies(watcher);
    watcher.reload(request, std::move(done));
    mark(watcher);
}

void Arbiter::set_numprocesses(Watcher& watcher, int count, Done done, Duration drain) {
    if (refuse(done)) return;
    watcher.set_numprocesses(watcher.config().singleton ? std::min(count, 1) : count, drain, std::move(done));
    mark(watcher);
}

void Arbiter::kill(Watcher& watcher, const KillRequest& request, Done done) {
    watcher.kill(request, std::move(done));
    mark(watcher);
}

Status Arbiter::signal(Watcher& watcher, const SignalRequest& request) {
    if (request.child_pid && !request.pid)
        return Error{"cannot specify childpid without pid", static_cast<int>(Errno::Command)};
    watcher.signal(request);
    return Ok{};
}

Status Arbiter::set_options(Watcher& watcher, const std::vector<std::pair<std::string, Json>>& options,
                            Done done) {
    if (quitting_) return busy("arbiter_stop");
    config::WatcherConfig changed = watcher.config();
    bool respawn = false;
    for (const auto& [key, value] : options) {
        const auto effect = config::set_watcher_option(changed, key, value);
        if (!effect)
            return Error{effect.error().text,
                         effect.error().code ? effect.error().code : static_cast<int>(Errno::Message)};
        respawn = respawn || *effect == config::Effect::Respawn || *effect == config::Effect::Restart;
    }
    if (const Status sound = config::check_watcher(changed); !sound) return sound.error();
    if (changed.depends_on != watcher.config().depends_on || changed.respawn != watcher.config().respawn)
        if (const Status sound = check_dependencies_with(changed); !sound) return sound.error();
    if (changed.hooks != watcher.config().hooks)
        if (const Status loaded = HookCalls::load(changed, stack_); !loaded) return loaded.error();
    changed.numprocesses = std::max(0, changed.numprocesses);
    for (std::size_t i = 0; i < options.size(); ++i)
        stack_.events.publish(watcher.name(), "updated", {{"time", stack_.clock.wall()}});
    Identity identity = identity_of(changed);
    watcher.reconfigure(std::move(changed), std::move(identity), respawn, std::move(done));
    mark(watcher);
    return Ok{};
}

Result<Watcher*> Arbiter::add(config::WatcherConfig config) {
    if (quitting_) return busy("arbiter_stop");
    if (watchers_.contains(to_lower(config.name)))
        return Error{cat(py_repr(config.name), " already exist"), static_cast<int>(Errno::Command)};
    if (const Status sound = check_dependencies_with(config); !sound) return sound.error();
    if (const Status loaded = HookCalls::load(config, stack_); !loaded) return loaded.error();
    Identity identity = identity_of(config);
    Watcher& watcher = insert(std::move(config), std::move(identity));
    stack_.events.publish(watcher.name(), "add", {{"time", stack_.clock.wall()}});
    return &watcher;
}

void Arbiter::remove(Watcher& watcher, bool nostop, Done done) {
    stack_.events.publish(watcher.name(), "remove", {{"time", stack_.clock.wall()}});
    const auto at = watchers_.find(to_lower(watcher.name()));
    removed_.push_back(std::move(at->second));
    watchers_.erase(at);
    release_dependents(watcher);
    // Now, not when its processes are gone: by then another watcher may have the name.
    stack_.streams.forget(watcher.name());
    if (nostop) {
        watcher.abandon();
        if (done) finished_.emplace_back(std::move(done), OpResult{});
    } else {
        watcher.disarm();
        stop(watcher, std::move(done));
        watcher.leave();
    }
    mark(watcher);
}

// ---- operations on several ----

Arbiter::BatchId Arbiter::open_batch(std::size_t size, Done done) {
    const BatchId id = next_batch_++;
    if (size == 0) {
        if (done) finished_.emplace_back(std::move(done), OpResult{});
    } else {
        batches_[id] = {size, std::move(done)};
    }
    return id;
}

Done Arbiter::part_of(BatchId batch, const Watcher& watcher) {
    return [this, batch, name = watcher.name()](const Result<OpResult>& result) {
        close_part(batch, result ? std::string() : cat(name, ": ", result.error().text));
    };
}

void Arbiter::close_part(BatchId batch, const std::string& failed) {
    const auto at = batches_.find(batch);
    if (at == batches_.end()) return;
    Batch& it = at->second;
    if (!failed.empty()) it.failed.push_back(failed);
    if (--it.open > 0) return;
    if (it.done) {
        Result<OpResult> result = OpResult{};
        if (!it.failed.empty()) result = Error{join(it.failed, "\n"), static_cast<int>(Errno::Command)};
        finished_.emplace_back(std::move(it.done), std::move(result));
    }
    batches_.erase(at);
}

void Arbiter::start_in_order(const std::vector<std::vector<std::string>>& groups, BatchId batch) {
    TimePoint at = stack_.clock.now();
    for (const auto& group : groups) {
        for (const auto& key : group) {
            pending_starts_.push_back({at, key, batch});
            at += from_seconds(config_.circus.warmup_delay);
        }
    }
    start_due();
}

void Arbiter::start_all(const std::vector<Watcher*>& watchers, Done done) {
    if (refuse(done)) return;
    start_in_order(by_priority(watchers), open_batch(watchers.size(), std::move(done)));
}

void Arbiter::stop_all(const std::vector<Watcher*>& watchers, Done done) {
    StopSequence sequence;
    sequence.groups = by_priority(watchers);
    std::reverse(sequence.groups.begin(), sequence.groups.end());
    sequence.batch = open_batch(watchers.size(), std::move(done));
    stops_.push_back(std::move(sequence));
}

void Arbiter::restart_all(const std::vector<Watcher*>& watchers, Done done) {
    if (refuse(done)) return;
    StopSequence sequence;
    sequence.groups = by_priority(watchers);
    std::reverse(sequence.groups.begin(), sequence.groups.end());
    sequence.batch = open_batch(watchers.size(), std::move(done));
    sequence.then_start = true;
    stops_.push_back(std::move(sequence));
}

void Arbiter::reload_all(const std::vector<Watcher*>& watchers, const ReloadRequest& request, Done done) {
    if (refuse(done)) return;
    const BatchId batch = open_batch(watchers.size(), std::move(done));
    for (const auto& group : by_priority(watchers))
        for (const auto& key : group) reload(*find(key), request, part_of(batch, *find(key)));
}

void Arbiter::quit(Done done, std::optional<Duration> within) {
    if (!quitting_) {
        log::info("stopping everything");
        reconfiguration_->cancel();
        // A restart of several that is under way must not start anything again.
        for (StopSequence& sequence : stops_) sequence.then_start = false;
        for (const auto& pending : std::exchange(pending_starts_, {})) close_part(pending.batch);
        for (const auto& [key, watcher] : watchers_) watcher->disarm();
        for (const auto& watcher : removed_) {
            watcher->stop({});
            mark(*watcher);
        }
    }
    quitting_ = true;
    const TimePoint deadline = stack_.clock.now() + std::min(from_seconds(config_.circus.stop_timeout),
                                                             within.value_or(Duration::max()));
    quit_deadline_ = std::min(quit_deadline_.value_or(deadline), deadline);
    stop_all(watchers(), std::move(done));
}

void Arbiter::quit_now() {
    quit({});
    hurried_ = true;
    quit_deadline_.reset();
    log::warning("sending SIGKILL to everything that is left");
    const auto kill_now = [this](Watcher& watcher) {
        watcher.kill_all_now();
        mark(watcher);
    };
    for (const auto& [key, watcher] : watchers_) kill_now(*watcher);
    for (const auto& watcher : removed_) kill_now(*watcher);
}

void Arbiter::reconfigure(ConfigChange what, ConfigDone done) {
    if (!quitting_)
        reconfiguration_->ask(what, std::move(done));
    else if (done)
        finished_.emplace_back(
            [done = std::move(done)](const Result<OpResult>&) { done(busy("arbiter_stop")); }, OpResult{});
}

std::optional<stream::Tail> Arbiter::tail(const Watcher& watcher, StreamKind kind,
                                          const stream::TailQuery& query) const {
    return stack_.streams.tail(watcher.name(), kind, query);
}

void Arbiter::reopen_logs() {
    stack_.streams.reopen_files();
}

}  // namespace circus::supervise
