// Observer: a plugin that looks after something every loop_rate, a page, a server, a queue, and says of it
// whether it is up, how fast it answers, and that its watcher is to be restarted.
//
// A derived class reads its options in prepare(), begins a look in look(), and ends it, then or later, by one
// good() or bad(). The observer keeps the time: a look that takes longer than `timeout` ends in abandon() and
// is bad. There is one look at a time, and none while a restart is under way.
//
// State: unknown, until up_after good looks in a row make it up, or down_after bad ones make it down. Every
// down_after bad looks in a row ask for a restart, of a watcher that is active only: what an operator has
// stopped stays stopped. There is none within boot_time of the watcher's start, or the observer's: what is
// restarted before it can answer never answers.
//
// Of each look: the gauges LABEL.up (1 or 0), and of a good one LABEL.latency and LABEL.latency_p95 (ms; over
// the last kKept), and the event watcher.WATCHER.LABEL, plugin.LABEL without a watcher: {"result": "ok" or
// "error", "state", "changed", "latency" or "reason", and what the derived class adds}. A bad look sets no
// latency: a gauge that is not known grows old. With a `host`, a StatsD server, Circus's metrics are sent,
// too: METRICS.error, METRICS.request_time and METRICS.restart_on_error, METRICS as "http_stats".
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "circus/plugin.hpp"
#include "circus/statsd.hpp"
#include "circus/values.hpp"

// Rows for a plugin's table of options. "timeout" and the name of the watcher to restart are its own.
#define CIRCUS_OBSERVER_OPTIONS(application)                                                                \
    CIRCUS_STATSD_OPTIONS_OF(application)                                                                   \
    R"(, "host": {"type": "string", "doc": "a StatsD server; not given: nothing is sent"},)"                \
    R"("loop_rate": {"type": "number", "default": 60, "min": 0.1, "doc": "seconds between two looks"},)"    \
    R"("up_after": {"type": "integer", "default": 1, "min": 1, "doc": "so many good looks in a row: up"},)" \
    R"("down_after": {"type": "integer", "default": 1, "min": 1,)"                                          \
    R"( "doc": "so many bad looks in a row: down, and a restart"},)"                                        \
    R"("boot_time": {"type": "number", "default": 10, "min": 0,)"                                           \
    R"( "doc": "seconds that what is restarted has until it answers: no restart within them"},)"            \
    R"("watcher": {"type": "string",)"                                                                      \
    R"( "doc": "whose gauges and events these are; not given: the one that is restarted"},)"                \
    R"("label": {"type": "string", "doc": "what gauges and events begin with; not given: the plugin's name"})"

namespace circus {

// Which of up and down a row of looks amounts to.
class Health {
  public:
    enum class State { Unknown, Up, Down };
    Health(int up_after, int down_after) : up_after_(up_after), down_after_(down_after) {}

    // True: the state is another one than before.
    bool add(bool good) {
        good_ = good ? good_ + 1 : 0;
        bad_ = good ? 0 : bad_ + 1;
        const State before = state_;
        if (good_ >= up_after_) state_ = State::Up;
        if (bad_ >= down_after_) state_ = State::Down;
        return state_ != before;
    }
    // Another down_after bad looks have come together.
    bool is_restart_due() const { return bad_ > 0 && bad_ % down_after_ == 0; }
    State state() const { return state_; }
    const char* name() const {
        return state_ == State::Up ? "up" : state_ == State::Down ? "down" : "unknown";
    }

  private:
    int up_after_, down_after_;
    int good_ = 0, bad_ = 0;
    State state_ = State::Unknown;
};

class Observer : public Plugin {
  public:
    static constexpr const char* kNeeds[] = {CIRCUS_EXT_FDS, CIRCUS_EXT_GAUGES, nullptr};
    static constexpr std::size_t kKept = 20;

    struct Names {
        const char* plugin;
        const char* restart_option;  // the option that names the watcher to restart
        const char* metrics;         // what those for StatsD begin with
        bool counts_status = false;  // METRICS.error.STATUS, too, by the "status" of bad()
    };
    Observer(Host host, Json config, Names names)
        : Plugin(host, std::move(config)),
          health_(this->config().at("up_after").get<int>(), this->config().at("down_after").get<int>()),
          boot_time_(std::chrono::milliseconds(
              static_cast<long long>(std::min(this->config().at("boot_time").get<double>(), 1e9) * 1000))),
          timeout_(period_of(this->config().at("timeout").get<double>())),
          restarts_(this->config().value(names.restart_option, "")),
          watcher_(this->config().value("watcher", restarts_)),
          label_(this->config().value("label", names.plugin)),
          metrics_(names.metrics),
          counts_status_(names.counts_status) {}

    void start() final {
        gauges_ = &host().need<circus_ext_gauges>(CIRCUS_EXT_GAUGES);
        prepare();
        if (config().contains("host"))
            statsd_.emplace(host(), Statsd::options_of(config()),
                            [this](auto delay, auto task) { return after(delay, std::move(task)); });
        started_ = host().now();
        if (!restarts_.empty())
            starts_ = on("watcher.*.start", [this](std::string_view topic, const Json&) {
                if (topic == "watcher." + in_topic(restarts_) + ".start") started_ = host().now();
            });
        timer_ = every(period_of(config().at("loop_rate").get<double>()), [this] { begin(); });
    }
    void stop() final {
        if (std::exchange(looking_, false)) abandon();
        finish();
        statsd_.reset();
    }

  protected:
    using Milliseconds = std::chrono::duration<double, std::milli>;

    virtual void prepare() = 0;
    virtual void look() = 0;
    // The look under way has no end any more: let go of it. Not called from inside look().
    virtual void abandon() = 0;
    // After the last look: join threads, close what has registrations.
    virtual void finish() = 0;
    void good(Milliseconds latency, Json details = Json::object()) {
        const double rounded = std::round(latency.count() * 1000) / 1000;
        if (latencies_.size() == kKept) latencies_.pop_front();
        latencies_.push_back(rounded);
        gauge("latency", rounded);
        gauge("latency_p95", percentile95());
        if (statsd_) statsd_->timing(metrics_ + ".request_time", latency.count(), tags());
        details["latency"] = rounded;
        end(true, std::move(details), {});
    }
    void bad(const std::string& reason, Json details = Json::object()) {
        count("error");
        constexpr long kNoAnswer = 599;  // as Circus counts it
        if (counts_status_) count("error." + std::to_string(details.value("status", kNoAnswer)));
        details["reason"] = reason;
        end(false, std::move(details), reason);
    }
    void gauge(const std::string& name, double value) {
        const std::string& whose = watcher_.empty() ? label_ : watcher_;
        const std::string full = label_ + "." + name;
        gauges_->set(host().raw(), detail::to_abi(whose), detail::to_abi(full), value);
    }
    // The same, and a gauge METRICS.NAME of StatsD.
    void figure(const std::string& name, double value) {
        gauge(name, value);
        if (statsd_) statsd_->gauge(metrics_ + "." + Statsd::word(name), value, tags());
    }
    void count(std::string_view what) {
        if (statsd_) statsd_->count(metrics_ + "." + std::string(what), 1, tags());
    }
    const std::string& label() const { return label_; }
    Failure wrong(const char* option, const std::string& why) const {
        return {CIRCUS_E_INVALID,
                "the option \"" + std::string(option) + "\" is " + config().at(option).dump() + ": " + why};
    }

  private:
    Statsd::Tags tags() const {
        if (watcher_.empty() || !config().at("dogstatsd").get<bool>()) return {};
        return {"watcher:" + Statsd::word(watcher_)};
    }

    void begin() {
        if (looking_ || restarting_) return;
        looking_ = true;
        deadline_ = after(timeout_, [this] {
            abandon();
            bad("no answer within " + config().at("timeout").dump() + " s");
        });
        look();
    }

    void end(bool is_good, Json details, const std::string& reason) {
        if (!std::exchange(looking_, false)) return;
        deadline_.cancel();
        const bool changed = health_.add(is_good);
        if (changed && is_good)
            host().info(subject() + " is up");
        else if (changed)
            host().warning(subject() + " is down: " + reason);
        gauge("up", is_good ? 1 : 0);
        details["result"] = is_good ? "ok" : "error";
        details["state"] = health_.name();
        details["changed"] = changed;
        if (!watcher_.empty()) details["watcher"] = watcher_;
        host().publish(watcher_.empty() ? "plugin." + label_ : "watcher." + in_topic(watcher_) + "." + label_,
                       details);
        const bool has_booted = host().now() - started_ >= boot_time_;
        if (!restarts_.empty() && has_booted && health_.is_restart_due()) restart(reason);
    }

    void restart(const std::string& reason) {
        restarting_ = true;
        call("status", {{"name", restarts_}}, [this, reason](circus_status status, const Json& answer) {
            if (status == CIRCUS_OK && answer.value("status", "") == "active") return ask_restart(reason);
            restarting_ = false;
            if (status != CIRCUS_OK) host().error(restarts_ + ": " + answer.value("reason", "no status"));
        });
    }
    void ask_restart(const std::string& reason) {
        host().warning("restarting " + restarts_ + ": " + subject() + ": " + reason);
        count("restart_on_error");
        call("restart", {{"name", restarts_}, {"waiting", true}},
             [this](circus_status status, const Json& answer) {
                 restarting_ = false;
                 started_ = host().now();
                 if (status != CIRCUS_OK)
                     host().error("restart of " + restarts_ + ": " +
                                  answer.value("reason", "no reason given"));
             });
    }

    std::string subject() const { return watcher_.empty() ? label_ : watcher_ + " (" + label_ + ")"; }
    double percentile95() const {
        std::vector<double> sorted(latencies_.begin(), latencies_.end());
        std::sort(sorted.begin(), sorted.end());
        return sorted[(sorted.size() * 95 + 99) / 100 - 1];
    }
    // A watcher's name as it is in topics: Circus's rule.
    static std::string in_topic(std::string name) {
        for (char& c : name) {
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
            if (c == ' ') c = '_';
        }
        return name;
    }

    Health health_;
    const circus_ext_gauges* gauges_ = nullptr;
    const std::chrono::milliseconds boot_time_, timeout_;
    const std::string restarts_, watcher_, label_, metrics_;
    const bool counts_status_;
    std::optional<Statsd> statsd_;
    bool looking_ = false;
    bool restarting_ = false;
    std::deque<double> latencies_;
    std::chrono::nanoseconds started_{};  // the watcher that is restarted, as far as is known
    Registration timer_, deadline_, starts_;
};

}  // namespace circus
