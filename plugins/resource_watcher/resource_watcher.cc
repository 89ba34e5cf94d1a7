// Replaces the process of a watcher that uses too much, or too little, in several looks in a row.
//
// One look every loop_rate: `stats` of the watcher. With per = "process" each process has its counts, by pid;
// with per = "watcher" the sums have, and the process that is furthest out is taken. What is at fault gets a
// `kill`, which circusd follows by a new process; a child at fault gets child_signal. The next look at a
// process that was taken comes when another one has its place.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <circus/plugin.hpp>
#include <circus/statsd.hpp>
#include <circus/values.hpp>

#include "limits.hpp"

namespace {

using circus::Json;
using namespace resource_watcher;

constexpr const char* kOptions =
    R"({
    "watcher": {"type": "string", "doc": "whose processes are looked at; must be given"},
    "loop_rate": {"type": "number", "default": 60, "min": 0.1, "doc": "seconds between two looks"},
    "max_cpu": {"type": "number", "default": 90, "min": 0, "doc": "per cent of one core; 0: no limit"},
    "min_cpu": {"type": "number", "min": 0, "doc": "per cent of one core"},
    "max_mem": {"type": ["number", "string"], "default": 90,
                "doc": "per cent of all memory, or an amount as \"10M\"; 0: no limit"},
    "min_mem": {"type": ["number", "string"], "doc": "per cent of all memory, or an amount as \"10M\""},
    "max_mem_abs": {"type": ["integer", "string"], "doc": "bytes, or an amount as \"10M\""},
    "min_mem_abs": {"type": ["integer", "string"], "doc": "bytes, or an amount as \"10M\""},
    "health_threshold": {"type": "number", "default": 75, "min": 0,
                         "doc": "the mean of the per cents of cpu and memory; 0: no limit"},
    "max_count": {"type": "integer", "default": 3, "min": 0,
                  "doc": "so many looks in a row may break a limit, the next one has a consequence"},
    "per": {"type": "string", "default": "process", "choices": ["process", "watcher"],
            "doc": "limits are for each process, or for the sum of a watcher's"},
    "process_children": {"type": "boolean", "default": false,
                         "doc": "look at the children of the processes, too, each by itself"},
    "child_signal": {"type": ["integer", "string"], "default": "SIGTERM",
                     "doc": "what a child at fault gets"},
    "host": {"type": "string", "doc": "a StatsD server, which is told of each fault; none: nothing is sent"},
    )" CIRCUS_STATSD_OPTIONS "}";

std::optional<double> number_of(const Json& object, const char* key) {
    const auto at = object.find(key);
    return at != object.end() && at->is_number() ? std::optional(at->get<double>()) : std::nullopt;
}

class ResourceWatcher final : public circus::Plugin {
  public:
    using Plugin::Plugin;

    void start() override {
        watcher_ = config().value("watcher", "");
        if (watcher_.empty())
            throw circus::Failure(CIRCUS_E_INVALID,
                                  "the option \"watcher\" is missing: whose processes to look at");
        limits_.max_cpu = unless_zero(config().at("max_cpu").get<double>());
        limits_.min_cpu = number_of(config(), "min_cpu");
        limits_.health = unless_zero(config().at("health_threshold").get<double>());
        read_memory("max_mem", limits_.max_mem, limits_.max_bytes);
        read_memory("min_mem", limits_.min_mem, limits_.min_bytes);
        read_bytes("max_mem_abs", limits_.max_bytes);
        read_bytes("min_mem_abs", limits_.min_bytes);
        const auto signo = circus::signal_of(config().at("child_signal"));
        if (!signo) throw bad("child_signal", "no signal; write 15 or \"SIGTERM\"");
        child_signal_ = *signo;
        if (config().contains("host"))
            statsd_.emplace(host(), circus::Statsd::options_of(config()),
                            [this](auto delay, auto task) { return after(delay, std::move(task)); });
        timer_ = every(circus::period_of(config().at("loop_rate").get<double>()), [this] { look(); });
    }

  private:
    struct Subject {
        Counts counts;
        bool seen = false;   // before: cpu is the use since then
        bool taken = false;  // its kill is under way
        double born = 0;
    };

    circus::Failure bad(const char* option, const std::string& why) const {
        return {CIRCUS_E_INVALID,
                "the option \"" + std::string(option) + "\" is " + config().at(option).dump() + ": " + why};
    }
    static std::optional<double> unless_zero(double limit) {
        return limit > 0 ? std::optional(limit) : std::nullopt;
    }
    // A number is per cent, also as text, as in Circus; a text with a unit is an amount.
    void read_memory(const char* option, std::optional<double>& percent, std::optional<double>& bytes) const {
        const auto at = config().find(option);
        if (at == config().end()) return;
        const bool has_unit =
            at->is_string() && !at->get_ref<const std::string&>().empty() &&
            std::isalpha(static_cast<unsigned char>(at->get_ref<const std::string&>().back()));
        const auto value = circus::bytes_of(*at);
        if (!value) throw bad(option, "neither per cent nor an amount as \"10M\"");
        (has_unit ? bytes : percent) = unless_zero(*value);
    }
    void read_bytes(const char* option, std::optional<double>& bytes) const {
        const auto at = config().find(option);
        if (at == config().end()) return;
        const auto value = circus::bytes_of(*at);
        if (!value) throw bad(option, "no amount; write bytes or \"10M\"");
        bytes = unless_zero(*value);
    }

    void look() {
        if (std::exchange(looking_, true)) return;  // the last answer is still on its way
        call("stats", {{"name", watcher_}}, [this](circus_status status, const Json& answer) {
            looking_ = false;
            if (status == CIRCUS_OK) {
                complained_ = false;
                judge(answer.at("info"));
                return;
            }
            tell("error");
            const auto why = answer.value("reason", "no reason given");
            if (!std::exchange(complained_, true)) host().warning("no figures of " + watcher_ + ": " + why);
        });
    }

    void judge(const Json& info) {
        std::set<long long> alive;
        const bool by_process = config().at("per") == "process";
        Figures sum{0, 0, 0};
        std::vector<std::pair<long long, Figures>> all;
        for (const auto& [pid, process] : info.items()) {
            if (!process.is_object()) continue;  // it vanished meanwhile
            const auto key = process.at("pid").get<long long>();
            alive.insert(key);
            const Figures figures = figures_of(process, subjects_[key]);
            all.emplace_back(key, figures);
            sum.cpu = *sum.cpu + figures.cpu.value_or(0);
            sum.mem = *sum.mem + figures.mem.value_or(0);
            sum.bytes = *sum.bytes + figures.bytes.value_or(0);
            if (by_process) judge_process(key, figures);
            if (config().at("process_children").get<bool>()) judge_children(key, process, alive);
        }
        if (!by_process && !all.empty()) judge_sum(sum, all);
        std::erase_if(subjects_, [&](const auto& each) { return !alive.contains(each.first); });
    }

    static Figures figures_of(const Json& process, Subject& subject) {
        Figures figures{number_of(process, "cpu"), number_of(process, "mem"), std::nullopt};
        const double born = process.value("create_time", 0.0);
        constexpr double kSame = 2;  // the clock that it is told by may have been set
        if (std::abs(born - subject.born) > kSame) subject = {};
        subject.born = born;
        // At the first look there is no time yet that the use could be the use of.
        if (!std::exchange(subject.seen, true)) figures.cpu.reset();
        if (const auto at = process.find("mem_info1"); at != process.end())
            figures.bytes = circus::bytes_of(*at);
        return figures;
    }

    void judge_process(long long pid, const Figures& figures) {
        Subject& subject = subjects_[pid];
        if (subject.taken) return;
        if (const auto fault = count(subject.counts, figures)) take(pid, *fault, figures);
    }

    void judge_children(long long parent, const Json& process, std::set<long long>& alive) {
        for (const Json& child : process.value("children", Json::array())) {
            if (!child.is_object()) continue;
            const auto key = child.at("pid").get<long long>();
            alive.insert(key);
            Subject& subject = subjects_[key];
            const Figures figures = figures_of(child, subject);
            const auto fault = count(subject.counts, figures);
            if (!fault) continue;
            subject.counts.reset();
            const Json properties{
                {"name", watcher_}, {"pid", parent}, {"childpid", key}, {"signum", child_signal_}};
            act("signal", "child " + std::to_string(key) + " of process " + std::to_string(parent), *fault,
                figures, properties);
        }
    }

    void judge_sum(const Figures& sum, const std::vector<std::pair<long long, Figures>>& all) {
        const auto fault = count(sum_, sum);
        if (!fault) return;
        sum_.reset();
        const auto weight = [&](const Figures& f) {
            const double cpu = f.cpu.value_or(0), mem = f.mem.value_or(0);
            switch (*fault) {
                case Fault::OverCpu:
                    return cpu;
                case Fault::UnderCpu:
                    return -cpu;
                case Fault::OverMemory:
                    return f.bytes.value_or(mem);
                case Fault::UnderMemory:
                    return -f.bytes.value_or(mem);
                case Fault::OverHealth:
                    return cpu + mem;
            }
            return 0.0;
        };
        const auto worst = std::max_element(all.begin(), all.end(), [&](const auto& a, const auto& b) {
            return weight(a.second) < weight(b.second);
        });
        take(worst->first, *fault, sum);
    }

    std::optional<Fault> count(Counts& counts, const Figures& figures) {
        const auto faults = faults_of(figures, limits_);
        for (std::size_t i = 0; i < kFaults; ++i)
            if (faults[i]) tell(kFaultNames[i]);
        return counts.add(faults, config().at("max_count").get<int>());
    }

    // Its kill is answered when it is gone, or when it was not to be.
    void take(long long pid, Fault fault, const Figures& figures) {
        Subject& subject = subjects_[pid];
        if (std::exchange(subject.taken, true)) return;
        subject.counts.reset();
        act("kill", "process " + std::to_string(pid), fault, figures,
            {{"name", watcher_}, {"pid", pid}, {"waiting", true}}, pid);
    }

    void act(const char* command, const std::string& what, Fault fault, const Figures& figures,
             const Json& properties, long long taken = 0) {
        const auto text = [](std::optional<double> value) {
            return value ? Json(std::round(*value * 10) / 10).dump() : std::string("unknown");
        };
        const auto name = std::string(kFaultNames[static_cast<std::size_t>(fault)]);
        host().warning(watcher_ + ": " + what + ": " + name + " (cpu " + text(figures.cpu) + " %, memory " +
                       text(figures.mem) + " %), sending " + command);
        tell("restarting");
        call(command, properties, [=, this](circus_status status, const Json& answer) {
            if (const auto at = subjects_.find(taken); at != subjects_.end()) at->second.taken = false;
            if (status != CIRCUS_OK)
                host().error(watcher_ + ": " + command + " of " + what + ": " +
                             answer.value("reason", "no reason given"));
        });
    }

    void tell(std::string_view metric) {
        if (!statsd_) return;
        const auto [bucket, tags] = statsd_->of_watcher("_resource_watcher", watcher_, metric);
        statsd_->count(bucket, 1, tags);
    }

    std::string watcher_;
    Limits limits_;
    int child_signal_ = 0;
    std::optional<circus::Statsd> statsd_;
    std::map<long long, Subject> subjects_;  // by pid
    Counts sum_;
    bool looking_ = false;
    bool complained_ = false;
    circus::Registration timer_;
};

}  // namespace

CIRCUS_PLUGIN(ResourceWatcher, "resource_watcher", "1.0",
              "replaces the process of a watcher that uses too much or too little", kOptions)
