// metrics: what circusd has counted and what its processes use, for Prometheus. This file is the plugin's
// side on circusd's loop, and it is small on purpose: it asks four commands when it is told to, and hands
// the texts of the answers on; they are read, and the page is made and served, by Exporter on a thread of its
// own.
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <circus/plugin.hpp>

#include "exporter.hpp"
#include "settings.hpp"

namespace metrics {

namespace {

constexpr const char* kOptions = R"({
    "listen": {"type": "string", "default": "127.0.0.1:9464", "doc": "ADDRESS:PORT; port 0: any free one; empty: none, only the console's /metrics"},
    "remote": {"type": "boolean", "default": false, "doc": "listen may be an address that other machines reach; nobody is asked who he is"}
})";

struct Question {
    const char* command;
    const char* properties;
    std::string Exporter::Texts::*answer;
};
constexpr std::array<Question, 4> kQuestions{{
    {"figures", "{}", &Exporter::Texts::figures},
    {"listsockets", R"({"figures": true})", &Exporter::Texts::sockets},
    {"plugins", "{}", &Exporter::Texts::plugins},
    {"gauge", "{}", &Exporter::Texts::gauges},
}};

class Metrics final : public circus::Plugin {
  public:
    static constexpr const char* kNeeds[] = {CIRCUS_EXT_COMMANDS, nullptr};
    using Plugin::Plugin;

    void start() override {
        const Settings settings = Settings::parse(config());
        exporter_ = std::make_unique<Exporter>(settings, calls());
        offer_command();
        exporter_->start();
        if (!settings.listens()) return;
        host().info("metrics at " + exporter_->url());
        if (!settings.is_loopback)
            host().warning("metrics: " + settings.host +
                           " can be reached from other machines, and whoever reaches it may read");
    }

    void stop() override {
        if (exporter_) exporter_->stop();
    }

  private:
    using Json = circus::Json;

    // What the exporter's thread calls.
    Exporter::Calls calls() {
        const auto ask_soon = [this] {
            try {
                post([this] { ask_all(); });
                return true;
            } catch (const circus::Failure&) {
                return false;
            }
        };
        return {ask_soon, [this](circus_level level, const std::string& line) { host().log(level, line); }};
    }

    // What the console forwards GET /metrics to. Of several plugins the first has it.
    void offer_command() {
        try {
            command_ = command(
                "metrics.http",
                [this](const Json& asked, const circus::Deferred& later) { return answer(asked, later); },
                {{"summary", "the page of metrics, as the console's /metrics shows it"}});
        } catch (const circus::Failure& refused) {
            if (refused.status() != CIRCUS_E_CONFLICT) throw;
            host().info("metrics: the console's /metrics is another plugin's");
        }
    }

    circus::Answer answer(const Json& asked, const circus::Deferred& later) {
        exporter_->scrape(asked.value("accept", std::string()), [later](const Scraped& scraped) {
            later.ok({{"code", scraped.status}, {"type", scraped.type}, {"body", scraped.body}});
        });
        return later;
    }

    void ask_all() {
        texts_ = {};
        open_ = kQuestions.size();
        trouble_.clear();
        for (const Question& question : kQuestions) ask(question);
    }

    // The texts are parsed on the exporter's thread.
    void ask(const Question& question) {
        const auto answered = [this, &question](circus_status status, std::string_view text) {
            take(question, status, std::string(text));
        };
        try {
            call_text(question.command, Json::parse(question.properties), answered);
        } catch (const circus::Failure& refused) {
            take(question, refused.status(), refused.what());
        }
    }

    void take(const Question& question, circus_status status, std::string text) {
        if (status != CIRCUS_OK)
            trouble_ = std::string(question.command) + ": " +
                       (text.empty() ? circus::status_text(status) : text.c_str());
        texts_.*question.answer = std::move(text);
        if (--open_ > 0) return;
        if (trouble_.empty())
            exporter_->deliver(std::move(texts_));
        else
            exporter_->refuse(trouble_);
    }

    std::unique_ptr<Exporter> exporter_;
    Exporter::Texts texts_;
    std::size_t open_ = 0;  // questions that are not answered
    std::string trouble_;
    circus::Registration command_;
};

}  // namespace

}  // namespace metrics

CIRCUS_PLUGIN(metrics::Metrics, "metrics", "1.0", "figures for Prometheus", metrics::kOptions)
