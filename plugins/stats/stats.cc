// stats: the aggregator. Each interval it asks circusd for the figures of all processes, of circusd itself
// and of the sockets, and has them published on stats_endpoint in Circus's shape, for circus-top and whoever
// subscribes.
//
// While nobody subscribes nothing is asked. The first round after that is only what the next one counts from.
// A round is three calls, one after the other; a tick that finds one under way is left out, so a circusd that
// is busy is asked less often instead of more.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <circus/plugin.hpp>

#include "publisher.hpp"

namespace stats {

namespace {

constexpr const char* kOptions = R"({
    "endpoint": {"type": "string", "default": "", "doc": "where to publish; empty: [circus] stats_endpoint"},
    "interval": {"type": "number", "default": 1.0, "doc": "seconds between two looks, 0.1 at least"}
})";

class Stats final : public circus::Plugin {
  public:
    using Plugin::Plugin;

    void start() override {
        const double seconds = config().at("interval").get<double>();
        if (!(seconds >= 0.1 && seconds <= 86400))
            throw circus::Failure(CIRCUS_E_INVALID, "interval must be between 0.1 and 86400 seconds");
        interval_ = std::chrono::milliseconds(static_cast<long long>(seconds * 1000));
        const auto endpoint = config().at("endpoint").get<std::string>();
        if (!endpoint.empty()) return open(endpoint);
        call("globaloptions", {{"option", "stats_endpoint"}},
             [this](circus_status status, const Json& answer) {
                 if (status != CIRCUS_OK) return host().error("no stats_endpoint: " + answer.dump());
                 open(answer.at("options").at("stats_endpoint").get<std::string>());
             });
    }

    void stop() override {
        publisher_.reset();  // and its thread
    }

  private:
    using Answer = std::string Publisher::Round::*;

    void open(const std::string& endpoint) {
        const auto wanted = [this](bool is_wanted) {
            try {
                post([this, is_wanted] { on_wanted(is_wanted); });
            } catch (const circus::Failure&) {
                return;  // circusd takes nothing any more: it stops
            }
        };
        publisher_ = std::make_unique<Publisher>(
            endpoint, Publisher::Calls{wanted, [this](circus_level level, const std::string& line) {
                                           host().log(level, line);
                                       }});
    }

    void on_wanted(bool is_wanted) {
        ticks_ = {};
        if (!is_wanted) return;
        is_first_ = true;
        ticks_ = every(interval_, [this] { look(); });
        look();
    }

    void look() {
        if (looking_) return;
        looking_ = true;
        round_ = {};
        round_.is_first = std::exchange(is_first_, false);
        ask("stats", {{"children", false}}, &Publisher::Round::processes, [this] {
            ask("dstats", Json::object(), &Publisher::Round::daemon, [this] {
                ask("listsockets", {{"figures", true}}, &Publisher::Round::sockets, [this] {
                    looking_ = false;
                    if (publisher_) publisher_->publish(std::move(round_));
                });
            });
        });
    }

    // An error: this round is over without a word more; the next tick tries again.
    void ask(const char* command, const Json& properties, Answer answer, std::function<void()> then) {
        call_text(command, properties,
                  [this, answer, then = std::move(then)](circus_status status, std::string_view text) {
                      if (status == CIRCUS_OK) {
                          round_.*answer = text;
                          return then();
                      }
                      looking_ = false;
                      is_first_ = is_first_ || round_.is_first;
                      host().warning("no figures: " + std::string(text));
                  });
    }

    std::chrono::milliseconds interval_{};
    std::unique_ptr<Publisher> publisher_;
    bool looking_ = false, is_first_ = false;
    Publisher::Round round_;
    circus::Registration ticks_;
};

}  // namespace

}  // namespace stats

CIRCUS_PLUGIN(stats::Stats, "stats", "1.0", "publishes what processes and sockets do", stats::kOptions)
