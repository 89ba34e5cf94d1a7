// metrics: what circusd has counted and what its processes use, for Prometheus. This file is the plugin's
// side on circusd's loop, and it is small on purpose: it asks four commands when it is told to, and hands
// the texts of the answers on; they are read, and the page is made and served, by Exporter on a thread of its
// own.
#include <array>
#include <map>
#include <memory>
#include <string>
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
    ~Metrics() override {
        // Those whose answers never came: the host has dropped them.
        for (const auto& each : asked_) delete each.second;
    }
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

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
    struct Asked {
        Metrics* metrics;
        const Question* question;
        std::uint64_t number;
    };

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

    // call() of the SDK would parse the answer, on the loop; the text is all that is needed here.
    void ask(const Question& question) {
        auto asked = std::make_unique<Asked>(Asked{this, &question, ++last_number_});
        const auto answered = [](void* user, circus_status status, circus_str json) {
            const std::unique_ptr<Asked> mine(static_cast<Asked*>(user));
            Metrics& self = *mine->metrics;
            self.asked_.erase(mine->number);
            circus::guard_task(self.host().raw(), [&] {
                self.take(*mine->question, status, std::string(circus::detail::from_abi(json)));
            });
        };
        const circus_host* const raw = host().raw();
        const circus_status status =
            raw->call(raw, circus::detail::to_abi(question.command),
                      circus::detail::to_abi(question.properties), answered, asked.get());
        if (status != CIRCUS_OK) return take(question, status, {});
        asked_.emplace(asked->number, asked.get());
        static_cast<void>(asked.release());
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
    std::uint64_t last_number_ = 0;
    std::map<std::uint64_t, Asked*> asked_;
    circus::Registration command_;
};

}  // namespace

}  // namespace metrics

CIRCUS_PLUGIN(metrics::Metrics, "metrics", "1.0", "figures for Prometheus", metrics::kOptions)
