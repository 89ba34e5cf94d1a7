// Reading, checking and staging. reconfiguration_switch.cc carries out.
#include "supervise/reconfiguration.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/arbiter.hpp"

namespace circus::supervise {

namespace {

Error stopping() {
    return {"arbiter is already running arbiter_stop command", static_cast<int>(Errno::Command)};
}

Error unusable(std::string why) {
    return {std::move(why), static_cast<int>(Errno::Exception)};
}

}  // namespace

// What the two threads share: the worker's fills it, then the loop's takes it.
struct Reconfiguration::Reading {
    bool bind = false;
    std::vector<StagedSockets::Present> present;
    config::Loaded loaded;
    Identities identities;
    std::optional<Result<StagedSockets>> sockets;

    void run(const DaemonPort& daemon) {
        loaded = daemon.read();
        if (!loaded.errors.empty()) return;
        for (const auto& watcher : loaded.config.watchers)
            identities.emplace(to_lower(watcher.name), identity_of(watcher));
        if (bind) sockets = StagedSockets::stage(std::move(present), loaded.config.sockets);
    }
};

Reconfiguration::Reconfiguration(Arbiter& arbiter, WorkerPort* worker, DaemonPort* daemon)
    : arbiter_(arbiter), worker_(worker), daemon_(daemon) {}

Reconfiguration::~Reconfiguration() = default;

void Reconfiguration::ask(ConfigChange what, ConfigDone done) {
    if (!worker_ || !daemon_) {
        end({std::move(done)}, unusable("there is no configuration to read again"));
        return;
    }
    queue_.emplace_back(what, std::move(done));
    if (!busy_) begin();
}

void Reconfiguration::begin() {
    busy_ = true;
    what_ = queue_.front().first;
    // The file is read after all of these have asked, so it holds what each of them means.
    while (!queue_.empty() && queue_.front().first == what_) {
        waiters_.push_back(std::move(queue_.front().second));
        queue_.pop_front();
    }
    // Not a unique_ptr: when circusd ends while the worker's thread hangs in a look-up, the thread outlives
    // us.
    const auto reading = std::make_shared<Reading>();
    reading->bind = what_ != ConfigChange::Preview;
    if (reading->bind) reading->present = arbiter_.sockets_.present();
    worker_->run([reading, daemon = daemon_] { reading->run(*daemon); },
                 [this, reading, turn = ++turn_] {
                     if (turn == turn_) on_read(*reading);
                 });
}

void Reconfiguration::on_read(Reading& reading) {
    const char* const what = what_ == ConfigChange::Restart ? "restart" : "reloadconfig";
    if (what_ != ConfigChange::Preview)
        for (const auto& warning : reading.loaded.warnings)
            log::warning(cat(what, ": ", warning.to_string()));
    if (!reading.loaded.errors.empty()) {
        std::vector<std::string> lines;
        for (const auto& error : reading.loaded.errors) lines.push_back(error.to_string());
        return fail(unusable(join(lines, "\n")));
    }
    if (reading.sockets && !*reading.sockets) return fail(unusable(reading.sockets->error().text));
    Staged staged = stage(reading);
    if (const Status loaded = load_hooks(staged.wanted); !loaded) return fail(unusable(loaded.error().text));
    if (const std::string broken = broken_plugins(staged, reading.loaded); !broken.empty())
        return fail(unusable(broken));
    if (what_ == ConfigChange::Preview) {
        end(std::exchange(waiters_, {}), std::move(staged.plan));
        return next();
    }
    if (const Status ready = daemon_->stage(arbiter_.config_.circus, staged.file.circus); !ready)
        return fail(unusable(ready.error().text));
    staged_ = std::move(staged);
    if (what_ == ConfigChange::Reload) {
        carry_out();
        return next();
    }
    log::info("restarting everything");
    arbiter_.stop_all(arbiter_.watchers(), [this, turn = turn_](const Result<OpResult>&) {
        if (turn == turn_) on_all_stopped();
    });
}

Reconfiguration::Staged Reconfiguration::stage(Reading& reading) const {
    Staged staged;
    staged.file = std::move(reading.loaded.config);
    staged.identities = std::move(reading.identities);
    if (reading.sockets) staged.sockets = std::move(**reading.sockets);
    const config::Config now = running();
    if (what_ == ConfigChange::Restart) {
        staged.wanted = staged.file;
        staged.difference = config::diff(now, staged.wanted);
        staged.plan = plan_of_restart(staged.difference, staged.file);
    } else {
        staged.wanted = config::merge(arbiter_.config_, now, staged.file);
        staged.difference = config::diff(now, staged.wanted);
        staged.plan = plan_of(staged.difference, now, staged.file, [this](const std::string& name) {
            const Watcher* watcher = arbiter_.find(name);
            return watcher && watcher->is_up();
        });
    }
    // What only a new circusd can put into force is not in force.
    staged.file.circus = config::in_force(arbiter_.config_.circus, staged.file.circus);
    for (const auto& warning : reading.loaded.warnings) staged.plan.warnings.push_back(warning.to_string());
    return staged;
}

Status Reconfiguration::load_hooks(const config::Config& wanted) const {
    for (const auto& config : wanted.watchers) {
        const Watcher* const watcher = arbiter_.find(config.name);
        if (watcher && watcher->config().hooks == config.hooks) continue;
        if (Status loaded = HookCalls::load(config, arbiter_.stack_); !loaded) return loaded;
    }
    return Ok{};
}

config::Config Reconfiguration::running() const {
    config::Config now;
    now.circus = arbiter_.config_.circus;
    now.sockets = arbiter_.config_.sockets;
    now.plugins = arbiter_.config_.plugins;
    for (const Watcher* watcher : arbiter_.watchers()) now.watchers.push_back(watcher->config());
    return now;
}

// Of the plugins that would start anew. One that is broken as it was before keeps nobody from a change.
std::string Reconfiguration::broken_plugins(const Staged& staged, const config::Loaded& loaded) {
    std::vector<std::string> lines;
    for (const auto& broken : loaded.broken_plugins)
        for (const auto& change : staged.difference.plugins)
            if (change.name == broken.subject && change.change != config::Change::Kept)
                lines.push_back(broken.to_string());
    return join(lines, "\n");
}

void Reconfiguration::fail(const Error& error) {
    for (const auto& line : split(error.text, '\n'))
        log::error(cat("the configuration cannot be used, nothing was changed: ", line));
    end(std::exchange(waiters_, {}), error);
    next();
}

void Reconfiguration::next() {
    busy_ = false;
    if (!queue_.empty()) begin();
}

void Reconfiguration::end(std::vector<ConfigDone> waiters, const Result<ConfigPlan>& result) {
    for (ConfigDone& done : waiters)
        if (done)
            arbiter_.finished_.emplace_back(
                [done = std::move(done), result](const Result<OpResult>&) { done(result); }, OpResult{});
}

std::vector<std::string> Reconfiguration::unstarted() const {
    std::vector<std::string> names;
    for (const auto& [id, run] : runs_) names.insert(names.end(), run.to_start.begin(), run.to_start.end());
    return names;
}

void Reconfiguration::cancel() {
    ++turn_;
    if (staged_) daemon_->drop();
    staged_.reset();
    std::vector<ConfigDone> waiters = std::exchange(waiters_, {});
    for (auto& [what, done] : std::exchange(queue_, {})) waiters.push_back(std::move(done));
    for (auto& [id, run] : std::exchange(runs_, {}))
        for (ConfigDone& done : run.waiters) waiters.push_back(std::move(done));
    end(std::move(waiters), stopping());
}

}  // namespace circus::supervise
