// The arbiter as it saves itself, and as it begins where another one has ended.
//
// What is wanted is saved before anything is done about it, what came of it after (settle()). So a successor
// finds a wish that nothing was done about yet, and does it, or processes whose wish it knows.
#include <algorithm>
#include <csignal>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "config/saved.hpp"
#include "supervise/arbiter.hpp"
#include "supervise/reconfiguration.hpp"
#include "supervise/saved_state.hpp"
#include "supervise/spawn_plan.hpp"

namespace circus::supervise {

// ---- saving ----

// Whether it differs from what was noted last, decides whether anything is to be saved.
void Arbiter::note(const Watcher& watcher, bool removed) {
    Noted& noted = noted_[&watcher];
    if (noted.version != watcher.config_version()) {
        noted.version = watcher.config_version();
        noted.config = to_bytes({{"serial", watcher.serial()},
                                 {"config", config::to_saved(watcher.config())},
                                 {"identity", to_saved(watcher.identity())}});
        unsaved_ = true;
    }
    Json state = watcher.saved();
    if (removed) state["removed"] = true;
    std::string bytes = to_bytes(state);
    if (bytes == noted.state) return;
    noted.state = std::move(bytes);
    unsaved_ = true;
}

void Arbiter::note(const std::vector<Watcher*>& watchers) {
    for (const Watcher* watcher : watchers)
        note(*watcher, std::any_of(removed_.begin(), removed_.end(),
                                   [watcher](const auto& each) { return each.get() == watcher; }));
}

void Arbiter::note_overall() {
    if (noted_config_version_ != config_version_) {
        noted_config_version_ = config_version_;
        noted_config_ = to_bytes(config::to_saved(config_));
        unsaved_ = true;
    }
    if (noted_sockets_version_ != sockets_.version()) {
        noted_sockets_version_ = sockets_.version();
        noted_sockets_ = to_bytes(sockets_.saved());
        unsaved_ = true;
    }
    Json pending = Json::array();
    for (const PendingStart& each : pending_starts_)
        pending.push_back({each.key, each.at.time_since_epoch().count()});
    for (const std::string& key : reconfiguration_->unstarted()) pending.push_back({to_lower(key), 0});
    Json stops = Json::array();
    for (const StopSequence& each : stops_)
        stops.push_back({{"groups", each.groups}, {"at", each.at}, {"then_start", each.then_start}});
    std::string overall = to_bytes({{"quitting", quitting_},
                                    {"exit_code", exit_code_},
                                    {"restarting", reconfiguration_->is_restarting()},
                                    {"pending", std::move(pending)},
                                    {"stops", std::move(stops)}});
    if (overall == noted_overall_) return;
    noted_overall_ = std::move(overall);
    unsaved_ = true;
}

void Arbiter::save_wanted() {
    note(std::exchange(unnoted_, {}));
    note(dirty_);
    save();
}

void Arbiter::save() {
    note_overall();
    if (!std::exchange(unsaved_, false)) return;
    std::string state;
    append_record(state, RecordKind::Config, noted_config_);
    append_record(state, RecordKind::Sockets, noted_sockets_);
    append_record(state, RecordKind::Overall, noted_overall_);
    // In the order of the configuration, which is one within a priority.
    std::vector<std::pair<std::size_t, const Noted*>> rows;
    for (const auto& [watcher, noted] : noted_) rows.emplace_back(places_.at(watcher), &noted);
    std::sort(rows.begin(), rows.end());
    for (const auto& [place, noted] : rows) {
        append_record(state, RecordKind::Watcher, noted->config);
        append_record(state, RecordKind::WatcherState, noted->state);
    }
    keeper_.save(state);
}

// ---- taking over ----

Status Arbiter::restore(Inheritance inheritance) {
    const auto records = read_records(inheritance.state);
    if (!records) return records.error();
    stack_.next_id = inheritance.last_child + 1;
    try {
        Json overall = Json::object();
        std::optional<Json> about;
        for (const Record& record : *records) {
            switch (record.kind) {
                case RecordKind::Config:
                    config::from_saved(from_bytes(record.bytes), config_);
                    ++config_version_;
                    break;
                case RecordKind::Sockets:
                    if (Status bound = sockets_.restore(from_bytes(record.bytes),
                                                        std::move(inheritance.listeners), keeper_);
                        !bound)
                        return bound;
                    break;
                case RecordKind::Overall:
                    overall = from_bytes(record.bytes);
                    break;
                case RecordKind::Watcher:
                    about = from_bytes(record.bytes);
                    break;
                case RecordKind::Plugins:
                    break;
                case RecordKind::WatcherState:
                    if (about) restore_watcher(*about, from_bytes(record.bytes));
                    break;
            }
        }
        adopt(std::move(inheritance.children));
        for (const auto& [key, watcher] : watchers_) watcher->resume();
        for (const auto& watcher : removed_) {
            watcher->resume();
            // What an isolated plugin had to do with the arbiter before ended with it.
            if (watcher->config().hidden) watcher->kill_all_now();
        }
        resume(overall);
    } catch (const Json::exception& wrong) {
        return Error{cat("the state of the arbiter before makes no sense: ", wrong.what())};
    }
    return Ok{};
}

void Arbiter::restore_watcher(const Json& about, const Json& state) {
    config::WatcherConfig config;
    Identity identity;
    config::from_saved(about.at("config"), config);
    from_saved(about.at("identity"), identity);
    const bool removed = state.value("removed", false) || config.hidden;
    std::unique_ptr<Watcher> watcher = make_watcher(std::move(config), std::move(identity));
    watcher->set_serial(about.at("serial").get<std::uint64_t>());
    next_serial_ = std::max(next_serial_, watcher->serial() + 1);
    watcher->restore(state);
    places_[watcher.get()] = next_place_++;
    if (removed)
        removed_.push_back(std::move(watcher));
    else
        watchers_[to_lower(watcher->name())] = std::move(watcher);
}

void Arbiter::adopt(std::vector<InheritedChild> children) {
    std::map<std::uint64_t, Watcher*> by_serial;
    for (const auto& [key, watcher] : watchers_) by_serial[watcher->serial()] = watcher.get();
    for (const auto& watcher : removed_) by_serial[watcher->serial()] = watcher.get();
    std::sort(children.begin(), children.end(),
              [](const auto& a, const auto& b) { return a.facts.id < b.facts.id; });
    std::size_t count = 0;
    for (InheritedChild& child : children) {
        const auto owner = by_serial.find(child.facts.note.owner);
        if (child.facts.note.is_hook != 0 || owner == by_serial.end()) {
            // Whoever asked it is gone; or it is of a watcher that had not been noted yet.
            keeper_.signal(child.facts.id, SIGKILL, keeper::Scope::Tree, 0, true);
            continue;
        }
        ++count;
        adopt_pipes(*owner->second, child.facts);
        owner->second->adopt(child.facts, std::move(child.pidfd));
    }
    adopt_lost_pipes();
    log::info(cat("took over ", count, " processes of ", watchers_.size(), " watchers"));
}

void Arbiter::adopt_pipes(Watcher& watcher, const keeper::ChildMessage& child) {
    for (const PipeId pipe : child.note.pipes) {
        if (pipe == 0) continue;
        const auto kind = stack_.streams.inherited_kind(pipe);
        if (!kind) continue;
        const auto& stream =
            *kind == StreamKind::Stdout ? watcher.config().stdout_stream : watcher.config().stderr_stream;
        // A class that was taken from it meanwhile.
        if (!stream) continue;
        if (const Status adopted = stack_.streams.adopt(pipe, stream_of(*stream, child.note.wid)); !adopted)
            log::error(cat("watcher ", watcher.name(), ": ", adopted.error().text));
        else {
            watcher.watch_inherited(child.id, pipe);
            stack_.streams.start(pipe, child.pid);
        }
    }
}

// Of processes that have ended: what they wrote last.
void Arbiter::adopt_lost_pipes() {
    for (const InheritedPipe& pipe : stack_.streams.inherited()) {
        const Watcher* watcher = nullptr;
        if (const auto at = watchers_.find(to_lower(pipe.watcher)); at != watchers_.end())
            watcher = at->second.get();
        for (const auto& removed : removed_)
            if (!watcher && equals_ignoring_case(removed->name(), pipe.watcher)) watcher = removed.get();
        const std::optional<config::StreamConfig>* stream = nullptr;
        if (watcher)
            stream = pipe.kind == StreamKind::Stdout ? &watcher->config().stdout_stream
                                                     : &watcher->config().stderr_stream;
        if (!stream || !*stream || !stack_.streams.adopt(pipe.id, stream_of(**stream, pipe.wid))) {
            stack_.streams.discard(pipe.id);
            continue;
        }
        stack_.streams.start(pipe.id, 0);
        stack_.streams.finish(pipe.id, [](const std::optional<std::string>&) {});
    }
}

void Arbiter::resume(const Json& overall) {
    const TimePoint now = stack_.clock.now();
    for (const Json& each : overall.value("pending", Json::array())) {
        const TimePoint at{Duration(each.at(1).get<Duration::rep>())};
        pending_starts_.push_back({std::max(at, now), each.at(0).get<std::string>(), open_batch(1, {})});
    }
    for (const Json& each : overall.value("stops", Json::array())) {
        StopSequence sequence;
        std::size_t size = 0;
        sequence.groups = each.at("groups").get<std::vector<std::vector<std::string>>>();
        for (const auto& group : sequence.groups) size += group.size();
        sequence.at = each.at("at").get<std::size_t>();
        sequence.then_start = each.at("then_start").get<bool>();
        sequence.batch = open_batch(size, {});
        stops_.push_back(std::move(sequence));
    }
    for (const auto& [key, watcher] : watchers_)
        if (watcher->is_held_back()) held_.insert(watcher.get());
    exit_code_ = overall.value("exit_code", 0);
    if (overall.value("quitting", false)) return quit({});
    if (overall.value("restarting", false)) {
        log::warning("a restart of everything was under way: it goes on with the configuration there was");
        start();
    }
}

}  // namespace circus::supervise
