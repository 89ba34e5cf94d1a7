#include "plugin/plugins.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "control/properties.hpp"
#include "control/request.hpp"
#include "plugin/instance.hpp"

namespace circus::plugin {

using Answered = control::CommandRegistry::Answered;
using control::Errno;

namespace {

Error refused(std::string why, Errno number = Errno::Message) {
    return {std::move(why), static_cast<int>(number)};
}

// By the names of watchers, in lower case.
Json all_gauges(const Gauges& gauges) {
    Json all = Json::object();
    std::uint64_t seen = 0;
    for (const auto& each : gauges.changed_since(seen))
        if (!all.contains(each.watcher)) all[each.watcher] = gauges.show(each.watcher, {});
    return all;
}

Json with_figures(Json row, const Figures& figures) {
    row["calls"] = figures.calls;
    row["slow"] = figures.slow;
    row["errors"] = figures.errors;
    row["time"] = to_seconds(figures.time);
    return row;
}

std::string text_of(const Json& properties, const char* name) {
    return control::has(properties, name) ? control::text_of(properties, name) : std::string();
}

}  // namespace

Plugins::Plugins(Switchboard& board, HookLibraries& libraries, Make make)
    : board_(board), libraries_(libraries), make_(std::move(make)), stop_deadline_(kStopDeadline) {
    auto& registry = board_.registry();
    const auto add = [&registry](const char* name, control::CommandRegistry::Run run) {
        control::CommandRegistry::Entry entry;
        entry.name = name;
        entry.run = std::move(run);
        [[maybe_unused]] const Status added = registry.add(std::move(entry));
    };
    add("plugins", [this](const Json&, const Answered& answered) { answered(Json{{"plugins", show()}}); });
    add("plugin", [this](const Json& properties, const Answered& answered) { act(properties, answered); });
    add("gauge", [this](const Json& properties, const Answered& answered) { gauge(properties, answered); });
}

Plugins::~Plugins() {
    for (const char* name : {"plugins", "plugin", "gauge"}) board_.registry().remove(name);
    // In the order of their stop.
    while (!entries_.empty()) entries_.pop_back();
}

Plugins::Entry* Plugins::find(std::string_view name) {
    for (const auto& entry : entries_)
        if (!entry->removed && equals_ignoring_case(entry->config.name, name)) return entry.get();
    return nullptr;
}

// ---- wishes ----

void Plugins::configure(const std::vector<config::PluginConfig>& wanted) {
    for (const auto& entry : entries_)
        entry->removed = entry->removed || std::none_of(wanted.begin(), wanted.end(), [&](const auto& each) {
                             return equals_ignoring_case(each.name, entry->config.name);
                         });
    for (const auto& config : wanted) {
        if (Entry* const entry = find(config.name)) {
            change(*entry, config);
            continue;
        }
        auto entry = std::make_unique<Entry>();
        entry->config = config;
        entry->enabled = config.active;
        if (auto saved = restored_.extract(to_lower(config.name)); !saved.empty()) {
            entry->enabled = saved.mapped().enabled.value_or(entry->enabled);
            if (!saved.mapped().quarantine.empty()) confine(*entry, saved.mapped().quarantine);
        }
        entries_.push_back(std::move(entry));
    }
    // Of a library of hooks, or of no plugin any more.
    for (const auto& [name, saved] : std::exchange(restored_, {})) {
        if (!saved.quarantine.empty()) confine_library(name, saved.quarantine);
        board_.keepsakes().forget(name);
    }
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const auto& a, const auto& b) { return a->config.priority > b->config.priority; });
}

void Plugins::change(Entry& entry, const config::PluginConfig& config) {
    const config::PluginConfig before = std::exchange(entry.config, config);
    if (before == config) return;
    config::PluginConfig reoptioned = before;
    reoptioned.options = config.options;
    reoptioned.priority = config.priority;
    reoptioned.name = config.name;
    const bool only_options = reoptioned == config;
    if (before.options == config.options && only_options) return;  // the order, or how it is written
    entry.enabled = config.active;
    entry.quarantined = false;
    const bool failed = !std::exchange(entry.failure, {}).empty();
    if (!entry.runner || failed) return;
    if (!only_options || entry.runner->phase() != Runner::Phase::Running) {
        entry.restart = true;
        return;
    }
    entry.runner->reconfigure(config);
    log::info(cat("plugin ", config.name, ": new options"));
}

void Plugins::act(const Json& properties, const Answered& answered) {
    const std::string action = text_of(properties, "action");
    Entry* const entry = find(text_of(properties, "name"));
    if (!entry && action == "enable" && libraries_.release(text_of(properties, "name")))
        return answered(control::flag_of(properties, "waiting") ? Json{{"state", "active"}} : Json::object());
    if (!entry) return answered(refused(cat("plugin ", text_of(properties, "name"), " not found")));
    if (action == "disable") {
        entry->enabled = false;
    } else if (action == "enable" || action == "restart") {
        entry->restart = action == "restart" && entry->runner;
        entry->enabled = true;
        entry->quarantined = false;
        entry->failure.clear();
    } else {
        return answered(refused(cat("action invalid: ", py_repr(action), "; enable, disable or restart")));
    }
    if (!control::flag_of(properties, "waiting")) return answered(Json::object());
    entry->waiting.push_back(answered);
}

Json Plugins::saved() const {
    Json saved = Json::object();
    const auto keep = [&](const std::string& name) {
        const std::string& kept = board_.keepsakes().of(name);
        if (!kept.empty()) saved[name]["kept"] = kept;
    };
    for (const auto& entry : entries_) {
        if (entry->removed) continue;
        if (entry->enabled != entry->config.active) saved[entry->config.name]["enabled"] = entry->enabled;
        if (entry->quarantined) saved[entry->config.name]["quarantine"] = entry->failure;
        keep(entry->config.name);
    }
    for (const auto& library : libraries_.quarantined()) saved[library.name]["quarantine"] = library.why;
    for (const auto& [name, row] : restored_) {
        if (row.enabled) saved[name]["enabled"] = *row.enabled;
        if (!row.quarantine.empty()) saved[name]["quarantine"] = row.quarantine;
        keep(name);
    }
    return saved;
}

void Plugins::restore(const Json& saved) {
    for (const auto& [name, each] : saved.items()) {
        Saved& row = restored_[to_lower(name)];
        if (each.contains("enabled")) row.enabled = each.at("enabled").get<bool>();
        row.quarantine = each.value("quarantine", "");
        if (!row.quarantine.empty()) libraries_.bar(name, row.quarantine);
        if (each.contains("kept")) board_.keepsakes().restore(name, each.at("kept").get<std::string>());
    }
}

void Plugins::quarantine(const std::string& name, const std::string& why) {
    if (Entry* const entry = find(name)) return confine(*entry, why);
    restored_[to_lower(name)].quarantine = why;
    libraries_.bar(name, why);
}

void Plugins::confine(Entry& entry, const std::string& why) {
    entry.quarantined = true;
    entry.quarantine_told = false;
    entry.failure = why;
    forget(entry);
    log::error(cat("plugin ", entry.config.name, " is in quarantine: ", why, "; circusctl plugin ",
                   entry.config.name, " enable tries it again"));
}

void Plugins::confine_library(const std::string& name, const std::string& why) {
    if (!libraries_.quarantine(name, why)) return;
    untold_libraries_.push_back(name);
    log::error(cat("library ", name, " is in quarantine: ", why, "; its hooks fail; circusctl plugin ", name,
                   " enable tries it again"));
}

// At the end of all it may go on in another arbiter: it is no decision of anybody about the plugin.
void Plugins::forget(const Entry& entry) {
    if (!stopping_) board_.keepsakes().forget(entry.config.name);
}

void Plugins::tell_quarantines() {
    for (const auto& entry : entries_)
        if (entry->quarantined && !std::exchange(entry->quarantine_told, true))
            tell(entry->config.name, "quarantine", entry->failure);
    const auto untold = std::exchange(untold_libraries_, {});
    for (const auto& library : libraries_.quarantined())
        if (std::any_of(untold.begin(), untold.end(), [&library](const std::string& name) {
                return equals_ignoring_case(name, library.name);
            }))
            tell(library.name, "quarantine", library.why);
}

void Plugins::gauge(const Json& properties, const Answered& answered) {
    const std::string watcher = text_of(properties, "watcher");
    const std::string name = text_of(properties, "name");
    const auto value = properties.find("value");
    const bool is_question = value == properties.end() || value->is_null();
    if (watcher.empty()) {
        if (!is_question || !name.empty()) return answered(refused("whose gauge? 'watcher' is missing"));
        return answered(Json{{"gauges", all_gauges(board_.services().gauges)}});
    }
    if (is_question) return answered(Json{{"gauges", board_.services().gauges.show(watcher, name)}});
    const auto number = value->is_number()   ? std::optional(value->get<double>())
                        : value->is_string() ? parse_number(value->get_ref<const std::string&>())
                                             : std::nullopt;
    if (!number || !std::isfinite(*number)) return answered(refused("'value' isn't a number"));
    if (name.empty()) return answered(refused("which gauge? 'name' is missing"));
    board_.services().gauges.set(watcher, name, *number, "a client");
    answered(Json::object());
}

void Plugins::stop(Milliseconds deadline) {
    stopping_ = true;
    stop_deadline_ = std::min(stop_deadline_, deadline);
}

bool Plugins::is_stopped() const {
    return stopping_ && std::none_of(entries_.begin(), entries_.end(),
                                     [](const auto& entry) { return entry->runner != nullptr; });
}

// ---- carrying out ----

bool Plugins::may_stop(const Entry& entry) const {
    return !stopping_ || std::none_of(entries_.begin(), entries_.end(), [&entry](const auto& other) {
        return other->runner && other->config.priority < entry.config.priority;
    });
}

void Plugins::settle() {
    for (const auto& entry : entries_) advance(*entry);
    std::erase_if(entries_, [](const auto& entry) {
        return entry->removed && !entry->runner && entry->waiting.empty();
    });
}

void Plugins::advance(Entry& entry) {
    const bool wanted = entry.enabled && !entry.removed && !stopping_;
    if (entry.runner)
        if (const auto refusal = entry.runner->take_refusal()) {
            entry.restart = true;
            if (!refusal->empty())
                log::error(cat("plugin ", entry.config.name, ": ", *refusal, "; it is restarted"));
        }
    if (entry.runner && entry.runner->phase() == Runner::Phase::Ended) {
        const std::string why = entry.runner->error();
        entry.runner.reset();
        if (!why.empty()) {
            fail(entry, why);
        } else {
            entry.restart = false;
            forget(entry);
            log::info(cat("plugin ", entry.config.name, ": stopped"));
            tell(entry.config.name, "stop");
        }
    }
    if (entry.runner && entry.runner->phase() != Runner::Phase::Stopping && (!wanted || entry.restart) &&
        may_stop(entry))
        entry.runner->stop(stop_deadline_);
    // One that stops at once is gone now.
    if (entry.runner && entry.runner->phase() == Runner::Phase::Ended) return advance(entry);
    if (!entry.runner && wanted && entry.failure.empty()) begin(entry);
    answer(entry);
}

void Plugins::begin(Entry& entry) {
    entry.restart = false;
    if (!entry.config.unusable.empty()) return fail(entry, entry.config.unusable);
    entry.runner = make_(entry.config);
    if (entry.runner->phase() == Runner::Phase::Ended) {
        const std::string why = entry.runner->error();
        entry.runner.reset();
        return fail(entry, why);
    }
    log::info(cat("plugin ", entry.config.name, ": ", entry.config.use, " ", entry.config.version,
                  entry.config.isolate ? ", in a process of its own" : ""));
    tell(entry.config.name, "start");
}

void Plugins::fail(Entry& entry, const std::string& why) {
    entry.restart = false;
    entry.failure = why;
    forget(entry);
    log::error(cat("plugin ", entry.config.name, ": ", why, "; going on without it"));
    tell(entry.config.name, "failure", why);
}

void Plugins::tell(const std::string& name, const char* event, const std::string& error) {
    Json payload = Json::object();
    if (!error.empty()) payload["error"] = error;
    board_.services().bus.publish_topic(cat("plugin.", bus::resource(name), ".", event), std::move(payload));
}

bool Plugins::is_settled(const Entry& entry) {
    if (entry.restart) return false;
    if (!entry.runner) return true;
    return entry.runner->phase() == Runner::Phase::Running;
}

void Plugins::answer(Entry& entry) {
    if (entry.waiting.empty() || !is_settled(entry)) return;
    for (const auto& answered : std::exchange(entry.waiting, {})) {
        if (entry.failure.empty())
            answered(Json{{"state", state_of(entry)}});
        else
            answered(refused(cat("plugin ", entry.config.name, ": ", entry.failure), Errno::Command));
    }
}

bool Plugins::deliver(Milliseconds budget) {
    const TimePoint until = Monotonic::now() + budget;
    bool more = false;
    // In turn, so that one that is flooded does not eat the others' time.
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        Entry& entry = *entries_[(next_ + i) % entries_.size()];
        if (!entry.runner) continue;
        more = entry.runner->deliver(until) || more;
    }
    if (!entries_.empty()) next_ = (next_ + 1) % entries_.size();
    return more;
}

// ---- to see ----

std::string Plugins::state_of(const Entry& entry) {
    if (!entry.runner && entry.quarantined) return "quarantined";
    if (!entry.runner) return entry.failure.empty() ? "disabled" : "failed";
    switch (entry.runner->phase()) {
        case Runner::Phase::Starting:
            return "starting";
        case Runner::Phase::Running:
            return "active";
        case Runner::Phase::Stopping:
        case Runner::Phase::Ended:
            break;
    }
    return "stopping";
}

Json Plugins::show() const {
    Json rows = Json::object();
    for (const auto& entry : entries_) {
        const Figures figures = entry->runner ? entry->runner->figures() : Figures{};
        Json row = {
            {"state", state_of(*entry)},         {"use", entry->config.use},
            {"file", entry->config.file},        {"version", entry->config.version},
            {"summary", entry->config.summary},  {"mode", entry->config.isolate ? "isolated" : "in-process"},
            {"priority", entry->config.priority}};
        if (!entry->failure.empty()) row["error"] = entry->failure;
        rows[entry->config.name] = with_figures(std::move(row), figures);
    }
    for (const auto& library : libraries_.quarantined())
        rows[library.name] = with_figures({{"state", "quarantined"},
                                           {"use", library.file},
                                           {"file", library.file},
                                           {"version", ""},
                                           {"summary", "a library of hooks"},
                                           {"mode", "in-process"},
                                           {"priority", 0},
                                           {"error", library.why}},
                                          library.figures);
    return rows;
}

}  // namespace circus::plugin
