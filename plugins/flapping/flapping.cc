// Stops a watcher whose workers die again and again, and tries it anew after a while.
//
// For each watcher: Watching; Stopping, from the `stop` that was called to its answer; Resting, until the
// retry is due. An operation that the plugin did not call (operation.*: somebody's start, stop, restart,
// reload) leads from everywhere to Watching, with a clean history: what the operator wants goes.
//
// What a watcher overrides is read, with numprocesses, by `options` before each judgement, once for all the
// deaths that wait for one; so nothing is remembered that could be out of date.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <circus/plugin.hpp>
#include <circus/values.hpp>

#include "history.hpp"

namespace {

using circus::Json;
using flapping::History;
using flapping::Limits;

constexpr const char* kOptions = R"({
    "attempts": {"type": "integer", "default": 2, "min": 1, "max": 1000,
                 "doc": "deaths of one worker slot that are flapping, when they come within the window"},
    "window": {"type": "number", "default": 1, "min": 0,
               "doc": "seconds of running in which they come; waiting between two tries is not counted"},
    "retry_in": {"type": "number", "default": 7, "min": 0,
                 "doc": "seconds until a watcher that was stopped for flapping is started again"},
    "max_retry": {"type": "integer", "default": 5, "min": -1,
                  "doc": "so many times it is started again, then it stays stopped; -1: for ever"},
    "active": {"type": "boolean", "default": true, "doc": "false: leave it alone; for single watchers"}
})";

std::string seconds_text(double seconds) {
    std::string text = Json(seconds).dump();
    if (text.ends_with(".0")) text.resize(text.size() - 2);
    return text;
}

class Flapping final : public circus::Plugin {
  public:
    using Plugin::Plugin;

    void start() override {
        spawned_ = on("watcher.*.spawn", [this](std::string_view, const Json& event) {
            const auto name = event.at("watcher").get<std::string>();
            if (name.starts_with("plugin:")) return;  // one of circusd's own
            auto& it = watched_[name];
            if (!it) it = std::make_shared<Watched>();
            it->history.spawned(event.at("process_pid"), event.at("wid"), host().now());
        });
        killed_ = on("watcher.*.kill", [this](std::string_view, const Json& event) {
            if (const auto it = find(event.at("watcher"))) it->history.killed(event.at("process_pid"));
        });
        reaped_ = on("watcher.*.reap", [this](std::string_view topic, const Json& event) {
            const auto it = find(event.at("watcher"));
            if (!it || !it->history.reaped(event.at("process_pid"), host().now())) return;
            it->resource = topic.substr(0, topic.size() - std::string_view(".reap").size());
            ask(event.at("watcher").get<std::string>());
        });
        removed_ = on("watcher.*.remove", [this](std::string_view, const Json& event) {
            watched_.erase(event.at("watcher").get<std::string>());
        });
        operation_ = on("operation.*", [this](std::string_view topic, const Json& event) {
            if (const auto it = find(event.at("watcher")))
                on_operation(*it, topic.substr(topic.rfind('.') + 1));
        });
    }
    // The options are read when they are needed; a watcher that rests goes on resting.
    void reconfigure(const Json&) override {}

    void stop() override {
        for (const auto& [name, it] : watched_)
            if (it->state != State::Watching)
                host().warning(name + " was stopped for flapping and is not started again: the plugin ends");
    }

  private:
    enum class State { Watching, Stopping, Resting };
    struct Watched {
        History history;
        State state = State::Watching;
        std::string resource;  // "watcher.RES"
        int tries = 0;
        bool asking = false;     // `options` is on its way
        bool ask_again = false;  // something died since it was asked
        int own_stops = 0;       // called, and not heard of yet
        int own_starts = 0;
        std::size_t reported = 0;  // slots that the log told of
        circus::Registration retry;
    };
    struct Settings {
        Limits limits;
        double retry_in;
        int max_retry;
        bool active, on_demand;
    };

    // Null: nothing of it was spawned yet, or it was removed meanwhile.
    std::shared_ptr<Watched> find(const std::string& name) const {
        const auto at = watched_.find(name);
        return at == watched_.end() ? nullptr : at->second;
    }

    static void on_operation(Watched& it, std::string_view operation) {
        int& own = operation == "stop" ? it.own_stops : it.own_starts;
        if ((operation == "stop" || operation == "start") && own > 0) {
            --own;
            return;
        }
        it.retry.cancel();
        it.state = State::Watching;
        it.tries = 0;
        it.reported = 0;
        it.history.forget_deaths();
    }

    void ask(const std::string& name) {
        Watched& it = *find(name);
        if (it.state != State::Watching) return;
        if (std::exchange(it.asking, true)) {
            it.ask_again = true;
            return;
        }
        call("options", {{"name", name}}, [this, name](circus_status status, const Json& answer) {
            const auto asked = find(name);
            if (!asked) return;
            asked->asking = false;
            if (std::exchange(asked->ask_again, false)) ask(name);
            if (status == CIRCUS_OK && asked->state == State::Watching)
                judge(name, *asked, settings(answer.at("options")));
        });
    }

    Settings settings(const Json& options) const {
        const auto own = [&](const char* name) -> const Json& {
            const auto at = options.find(std::string("flapping.") + name);
            return at == options.end() ? config().at(name) : *at;
        };
        using Seconds = std::chrono::duration<double>;
        const double window = std::min(own("window").get<double>(), 1e9);
        return {{own("attempts").get<int>(), std::chrono::duration_cast<flapping::Time>(Seconds(window)),
                 options.at("numprocesses").get<int>()},
                own("retry_in").get<double>(),
                own("max_retry").get<int>(),
                own("active").get<bool>() && options.value("respawn", true),
                options.value("on_demand", false)};
    }

    void judge(const std::string& name, Watched& it, const Settings& set) {
        if (!set.active) {
            it.history.forget_deaths();
            return;
        }
        if (it.history.take_healthy(set.limits)) it.tries = 0;
        const std::vector<int> bad = it.history.flapping(set.limits, host().now());
        const bool all = bad.size() == static_cast<std::size_t>(std::max(set.limits.slots, 1));
        // A watcher that starts on demand would wait for the next connection at once: its back-off is enough.
        if (!all || set.on_demand) {
            // While the others have not proved themselves they may be next: nothing to tell yet.
            const bool is_clear = all || it.history.others_are_healthy(bad, set.limits, host().now());
            if (bad.size() > it.reported && is_clear) {
                tell(name, it, bad, set);
                it.reported = bad.size();
            }
            it.reported = std::min(it.reported, bad.size());
            return;
        }
        rest(name, it, set);
    }

    void tell(const std::string& name, const Watched& it, const std::vector<int>& bad, const Settings& set) {
        std::string wids;
        for (const int wid : bad) wids += (wids.empty() ? "" : ", ") + std::to_string(wid);
        host().warning(name + ": flapping in wid " + wids + " of " + std::to_string(set.limits.slots) +
                       (set.on_demand ? "; it starts on demand and is left to its back-off"
                                      : "; the others run, so it is not stopped"));
        host().publish(it.resource + ".flapping", {{"watcher", name}, {"state", "slots"}, {"wids", bad}});
    }

    // Stops it, for a while or for good.
    void rest(const std::string& name, Watched& it, const Settings& set) {
        const bool for_good = set.max_retry >= 0 && it.tries >= set.max_retry;
        it.tries = for_good ? 0 : it.tries + 1;
        it.reported = 0;
        it.history.forget_deaths();
        it.state = State::Stopping;
        ++it.own_stops;
        Json event{{"watcher", name}, {"state", for_good ? "stopped" : "retry"}};
        if (for_good) {
            host().error(name + ": flapping, and started again " + std::to_string(set.max_retry) +
                         " times: it stays stopped");
        } else {
            host().warning(name + ": flapping, stopped; retry " + std::to_string(it.tries) + " in " +
                           seconds_text(set.retry_in) + " s");
            event["retry"] = it.tries;
            event["retry_in"] = set.retry_in;
        }
        host().publish(it.resource + ".flapping", event);
        const Json properties{{"name", name}, {"match", "simple"}, {"waiting", true}};
        call("stop", properties, [=, this](circus_status status, const Json& answer) {
            const auto stopped = find(name);
            if (!stopped) return;
            if (status != CIRCUS_OK) {
                stopped->own_stops = 0;
                host().error(name + ": cannot be stopped: " + answer.value("reason", "no reason given"));
            }
            if (stopped->state != State::Stopping) return;  // somebody else decided
            if (status != CIRCUS_OK || for_good) {
                stopped->state = State::Watching;
                return;
            }
            stopped->state = State::Resting;
            stopped->retry = after(circus::period_of(set.retry_in), [this, name] { retry(name); });
        });
    }

    void retry(const std::string& name) {
        const auto it = find(name);
        if (!it || it->state != State::Resting) return;
        it->state = State::Watching;
        ++it->own_starts;
        host().info(name + ": started again after flapping");
        call("start", {{"name", name}, {"match", "simple"}},
             [=, this](circus_status status, const Json& answer) {
                 if (status == CIRCUS_OK) return;
                 it->own_starts = 0;
                 host().error(name +
                              ": cannot be started again: " + answer.value("reason", "no reason given"));
             });
    }

    std::map<std::string, std::shared_ptr<Watched>> watched_;
    circus::Registration spawned_, killed_, reaped_, removed_, operation_;
};

}  // namespace

CIRCUS_PLUGIN(Flapping, "flapping", "1.0", "stops watchers whose workers die too often, and tries again",
              kOptions)
