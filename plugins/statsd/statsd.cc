// Counts circusd's events in StatsD: circus.APP.watcher.WATCHER.EVENT, one up for each.
#include <optional>
#include <string>
#include <string_view>

#include <circus/plugin.hpp>
#include <circus/statsd.hpp>

namespace {

using circus::Json;

constexpr const char* kOptions =
    R"({"host": {"type": "string", "default": "localhost", "doc": "the StatsD server, by name or address"},
    )" CIRCUS_STATSD_OPTIONS "}";

class StatsdEvents final : public circus::Plugin {
  public:
    using Plugin::Plugin;

    void start() override {
        statsd_.emplace(host(), circus::Statsd::options_of(config()),
                        [this](auto delay, auto task) { return after(delay, std::move(task)); });
        events_ = on("watcher.*", [this](std::string_view topic, const Json&) {
            constexpr std::string_view kBefore = "watcher.";
            const auto dot = topic.rfind('.');
            if (dot < kBefore.size()) return;
            const auto [bucket, tags] =
                statsd_->of_watcher("", topic.substr(kBefore.size(), dot - kBefore.size()),
                                    circus::Statsd::word(topic.substr(dot + 1)));
            statsd_->count(bucket, 1, tags);
        });
    }

  private:
    std::optional<circus::Statsd> statsd_;
    circus::Registration events_;
};

}  // namespace

CIRCUS_PLUGIN(StatsdEvents, "statsd", "1.0", "counts events in StatsD", kOptions)
