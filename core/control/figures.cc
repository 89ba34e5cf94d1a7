#include "control/figures.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/clock.hpp"
#include "sys/signals.hpp"

namespace circus::control {

namespace {

constexpr const char* kName = "figures";

Json ends_of(const supervise::Tally& tally) {
    Json rows = Json::array();
    for (const auto& [code, ends] : tally.ended) {
        const std::string cause = code < 0 ? sys::signal_name(-code) : "exit " + std::to_string(code);
        rows.push_back({{"cause", cause}, {"asked", ends.asked}, {"unasked", ends.unasked}});
    }
    return rows;
}

Json replacements_of(const supervise::Tally& tally) {
    Json counts = Json::object();
    for (std::size_t why = 1; why < supervise::kReplaced; ++why)
        if (tally.replaced[why] != 0)
            counts[std::string(to_string(static_cast<supervise::Replaced>(why)))] = tally.replaced[why];
    return counts;
}

Json to_json(const loop::TurnFigures& figures) {
    return {
        {"bounds", loop::TurnFigures::kBounds}, {"turns", figures.turns}, {"busy", to_seconds(figures.busy)}};
}

}  // namespace

Figures::Figures(CommandRegistry& registry, const Sources& sources) : registry_(registry), sources_(sources) {
    CommandRegistry::Entry entry;
    entry.name = kName;
    entry.run = [this](const Json&, const CommandRegistry::Answered& answered) { answered(show()); };
    [[maybe_unused]] const Status added = registry_.add(std::move(entry));
}

Figures::~Figures() {
    registry_.remove(kName);
}

Json Figures::of_watcher(const supervise::Watcher& watcher) const {
    const supervise::Tally tally = watcher.tally();
    Json pids = Json::array();
    for (const supervise::Process* process : watcher.active()) pids.push_back(process->pid);
    const auto output = [&](stream::Channel channel) -> Json {
        const auto counted = sources_.streams.counted(watcher.name(), channel);
        return {{"bytes", counted.bytes}, {"dropped", counted.dropped}};
    };
    return {{"status", to_string(watcher.status())},
            {"wanted", watcher.is_up() ? watcher.numprocesses() : 0},
            {"numprocesses", watcher.numprocesses()},
            {"gave_up", watcher.gave_up_because().empty() ? Json() : Json(watcher.gave_up_because())},
            {"ready", watcher.ready_count()},
            {"pids", std::move(pids)},
            {"spawned", tally.spawned},
            {"spawns_failed", tally.spawns_failed},
            {"ended", ends_of(tally)},
            {"replaced", replacements_of(tally)},
            {"cpu_of_ended", std::chrono::duration<double>(tally.cpu).count()},
            {"stdout", output(stream::Channel::Stdout)},
            {"stderr", output(stream::Channel::Stderr)}};
}

Json Figures::show() const {
    Json watchers = Json::object();
    for (const supervise::Watcher* watcher : sources_.arbiter.watchers())
        watchers[watcher->name()] = of_watcher(*watcher);
    return {{"watchers", std::move(watchers)},
            {"keeper", sources_.keeper},
            {"arbiter", ::getpid()},
            {"version", CIRCUSD_VERSION},
            {"loop", to_json(sources_.turns.figures())},
            {"events_dropped", sources_.bus.dropped()}};
}

}  // namespace circus::control
