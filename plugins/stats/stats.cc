// stats: the aggregator. Each interval it asks circusd for the figures of all processes, of circusd itself
// and of the sockets, and publishes them on stats_endpoint in Circus's shape, for circus-top and whoever
// subscribes.
//
// A round is three calls, one after the other; a tick that finds one under way is left out, so a circusd that
// is busy is asked less often instead of more.
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <circus/plugin.hpp>

#include "frames.hpp"
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

  private:
    void open(const std::string& endpoint) {
        publisher_ = std::make_unique<Publisher>(endpoint);
        ticks_ = every(interval_, [this] { look(); });
        look();
    }

    void look() {
        if (looking_) return;
        looking_ = true;
        frames_.clear();
        call("stats", Json::object(), [this](circus_status status, const Json& answer) {
            if (!arrived(status, answer)) return;
            add_watchers(frames_, answer.at("infos"));
            look_at_daemon();
        });
    }

    void look_at_daemon() {
        call("dstats", Json::object(), [this](circus_status status, const Json& answer) {
            if (!arrived(status, answer)) return;
            add_daemon(frames_, answer.at("info"));
            look_at_sockets();
        });
    }

    void look_at_sockets() {
        call("listsockets", {{"figures", true}}, [this](circus_status status, const Json& answer) {
            if (!arrived(status, answer)) return;
            reads_.add_to(frames_, answer.at("sockets"));
            publisher_->send(frames_);
            looking_ = false;
        });
    }

    // False: this round is over without a word; the next tick tries again.
    bool arrived(circus_status status, const Json& answer) {
        if (status == CIRCUS_OK) return true;
        looking_ = false;
        host().warning("no figures: " + answer.dump());
        return false;
    }

    std::chrono::milliseconds interval_{};
    std::unique_ptr<Publisher> publisher_;
    bool looking_ = false;
    Frames frames_;
    Reads reads_;
    circus::Registration ticks_;
};

}  // namespace

}  // namespace stats

CIRCUS_PLUGIN(stats::Stats, "stats", "1.0", "publishes what processes and sockets do", stats::kOptions)
