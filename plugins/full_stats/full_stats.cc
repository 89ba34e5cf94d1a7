// Sends the figures of all watchers to StatsD, as gauges: circus.APP.watcher._stats.WATCHER.GAUGE.
//
// One look every loop_rate, by `stats`. A figure that is not known ("N/A") is left out of maximum and sum.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <circus/plugin.hpp>
#include <circus/statsd.hpp>
#include <circus/values.hpp>

namespace {

using circus::Json;

constexpr const char* kOptions =
    R"({"loop_rate": {"type": "number", "default": 60, "min": 0.1, "doc": "seconds between two looks"},
    "host": {"type": "string", "default": "localhost", "doc": "the StatsD server, by name or address"},
    )" CIRCUS_STATSD_OPTIONS "}";

class FullStats final : public circus::Plugin {
  public:
    using Plugin::Plugin;

    void start() override {
        statsd_.emplace(host(), circus::Statsd::options_of(config()),
                        [this](auto delay, auto task) { return after(delay, std::move(task)); });
        timer_ = every(circus::period_of(config().at("loop_rate").get<double>()), [this] { look(); });
    }

  private:
    struct Figure {
        double most = 0, sum = 0;
        bool known = false;
        void add(std::optional<double> value) {
            if (!value) return;
            most = known ? std::max(most, *value) : *value;
            sum += *value;
            known = true;
        }
    };

    void look() {
        if (std::exchange(looking_, true)) return;  // the last answer is still on its way
        call("stats", {{"children", false}}, [this](circus_status status, const Json& answer) {
            looking_ = false;
            if (status != CIRCUS_OK) {
                statsd_->count("_stats.error");
                return;
            }
            for (const auto& [name, processes] : answer.at("infos").items())
                if (!name.starts_with("plugin:")) tell(name, processes);
        });
    }

    void tell(const std::string& watcher, const Json& processes) {
        Figure cpu, percent, bytes;
        int count = 0;
        for (const Json& process : processes) {
            if (!process.is_object()) continue;  // it vanished meanwhile
            ++count;
            cpu.add(number_of(process, "cpu"));
            percent.add(number_of(process, "mem"));
            if (const auto at = process.find("mem_info1"); at != process.end())
                bytes.add(circus::bytes_of(*at));
        }
        gauge(watcher, "watchers_num", count);
        const std::pair<const char*, const Figure*> figures[] = {
            {"cpu", &cpu}, {"mem_pct", &percent}, {"mem", &bytes}};
        for (const auto& [name, figure] : figures) {
            if (!figure->known) continue;
            gauge(watcher, std::string(name) + "_max", figure->most);
            gauge(watcher, std::string(name) + "_sum", figure->sum);
        }
    }
    static std::optional<double> number_of(const Json& process, const char* key) {
        const auto at = process.find(key);
        return at != process.end() && at->is_number() ? std::optional(at->get<double>()) : std::nullopt;
    }
    void gauge(const std::string& watcher, const std::string& name, double value) {
        const auto [bucket, tags] = statsd_->of_watcher("_stats", watcher, name);
        statsd_->gauge(bucket, value, tags);
    }

    std::optional<circus::Statsd> statsd_;
    bool looking_ = false;
    circus::Registration timer_;
};

}  // namespace

CIRCUS_PLUGIN(FullStats, "full_stats", "1.0", "sends the figures of all watchers to StatsD", kOptions)
