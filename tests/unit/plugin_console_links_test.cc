// Links to other circusds, which the test plays: a ROUTER and a PUB on sockets in a folder of its own.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zmq.hpp>

#include "console/links.hpp"

namespace console {
namespace {

using circus::Json;
using ::testing::HasSubstr;

constexpr auto kWaited = std::chrono::seconds(20);

// A circusd as far as a link sees it; answers only what it is told to.
class PlayedDaemon {
  public:
    explicit PlayedDaemon(const std::string& folder)
        : control_(context_, zmq::socket_type::router), events_(context_, zmq::socket_type::pub) {
        for (zmq::socket_t* const each : {&control_, &events_}) {
            each->set(zmq::sockopt::linger, 0);
            each->set(zmq::sockopt::rcvtimeo, static_cast<int>(std::chrono::milliseconds(kWaited).count()));
        }
        events_at_ = "ipc://" + folder + "/pubsub";
        events_.bind(events_at_);
        options_answer = {{"status", "ok"}, {"options", {{"pubsub_endpoint", events_at_}}}};
        control_.bind("ipc://" + folder + "/endpoint");
    }
    Json options_answer;  // to the link's own question
    struct Asked {
        std::string from;
        Json request;
    };
    // The next request that is not the link's own question, which is answered here.
    Asked next() {
        while (true) {
            zmq::message_t from;
            zmq::message_t body;
            if (!control_.recv(from) || !control_.recv(body)) return {};
            Asked asked{from.to_string(), Json::parse(body.to_string())};
            if (asked.request.at("command") != "globaloptions") return asked;
            answer(asked, options_answer);
        }
    }
    // Whether something else comes than the link's own question, while `is_done` is not true.
    bool is_asked_before(const std::function<bool()>& is_done) {
        const int patience = control_.get(zmq::sockopt::rcvtimeo);
        control_.set(zmq::sockopt::rcvtimeo, 10);
        bool is_asked = false;
        while (!is_asked && !is_done()) is_asked = !next().from.empty();
        control_.set(zmq::sockopt::rcvtimeo, patience);
        return is_asked;
    }
    void answer(const Asked& asked, Json fields) {
        fields["id"] = asked.request.at("id");
        control_.send(zmq::buffer(asked.from), zmq::send_flags::sndmore);
        control_.send(zmq::buffer(fields.dump()), zmq::send_flags::none);
    }
    void publish(const std::string& topic, const std::string& payload) {
        events_.send(zmq::buffer(topic), zmq::send_flags::sndmore);
        events_.send(zmq::buffer(payload), zmq::send_flags::none);
    }

  private:
    zmq::context_t context_{1};
    zmq::socket_t control_, events_;
    std::string events_at_;
};

struct Answered {
    circus_status status;
    Json fields;
};

struct ConsoleLinks : ::testing::Test {
    ConsoleLinks() {
        char made[] = "/tmp/console_links_XXXXXX";
        folder = ::mkdtemp(made);
    }
    ~ConsoleLinks() override {
        if (links) links->stop();
        std::filesystem::remove_all(folder);
    }
    void start() {
        links.emplace(
            std::vector<EndpointSettings>{{"east", "ipc://" + folder + "/endpoint", "", std::nullopt}},
            Links::Heard{[this](std::uint64_t number, circus_status status, std::string json) {
                             note([&] { answers[number] = {status, Json::parse(json)}; });
                         },
                         [this](std::size_t, std::string topic, std::string payload) {
                             if (throws.exchange(false)) throw std::runtime_error("out of order");
                             note([&] { events.emplace_back(std::move(topic), std::move(payload)); });
                         },
                         [this](std::size_t, std::string problem) {
                             note([&] { problems.push_back(std::move(problem)); });
                         }});
        links->start();
    }
    template <class Change>
    void note(const Change& change) {
        const std::lock_guard lock(mutex);
        change();
        changed.notify_all();
    }
    template <class Condition>
    bool wait_for(const Condition& condition) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, kWaited, condition);
    }
    bool is_connected() {
        return wait_for([this] { return !problems.empty() && problems.back().empty(); });
    }
    Answered answer_to(std::uint64_t number) {
        EXPECT_TRUE(wait_for([&] { return answers.contains(number); })) << "no answer to " << number;
        const std::lock_guard lock(mutex);
        return answers[number];
    }

    std::string folder;
    std::mutex mutex;
    std::condition_variable changed;
    std::map<std::uint64_t, Answered> answers;
    std::vector<std::pair<std::string, std::string>> events;
    std::vector<std::string> problems;
    std::atomic<bool> throws{false};
    std::optional<Links> links;
};

TEST_F(ConsoleLinks, ACommandGoesThereAndItsAnswerComesBack) {
    PlayedDaemon daemon(folder);
    start();
    ASSERT_TRUE(is_connected());
    links->ask(0, 7, "incr", R"({"name":"web"})");
    const auto asked = daemon.next();
    EXPECT_EQ(asked.request.at("command"), "incr");
    EXPECT_EQ(asked.request.at("properties"), Json({{"name", "web"}}));
    daemon.answer(asked, {{"status", "ok"}, {"numprocesses", 2}});
    const Answered good = answer_to(7);
    EXPECT_EQ(good.status, CIRCUS_OK);
    EXPECT_EQ(good.fields, Json({{"status", "ok"}, {"numprocesses", 2}}))
        << "the number is the link's own affair";
}

TEST_F(ConsoleLinks, AnErrorHasItsStatus) {
    PlayedDaemon daemon(folder);
    start();
    ASSERT_TRUE(is_connected());
    const auto status_of = [&](std::uint64_t number, int error, const char* reason) {
        links->ask(0, number, "incr", "{}");
        daemon.answer(daemon.next(), {{"status", "error"}, {"errno", error}, {"reason", reason}});
        return answer_to(number).status;
    };
    EXPECT_EQ(status_of(1, 3, "program x not found"), CIRCUS_E_INVALID);
    EXPECT_EQ(status_of(2, 2, "unknown command"), CIRCUS_E_NOT_FOUND);
    EXPECT_EQ(status_of(3, 5, "not now"), CIRCUS_E_CONFLICT);
    EXPECT_EQ(status_of(4, 6, "server error"), CIRCUS_E_EXCEPTION);
    EXPECT_EQ(status_of(5, 4, "permission denied: not you"), CIRCUS_DENY);
    EXPECT_EQ(status_of(6, 4, "too many open files"), CIRCUS_E_AGAIN);
}

TEST_F(ConsoleLinks, EventsComeFromWhereTheDaemonSaysTheyAre) {
    PlayedDaemon daemon(folder);
    start();
    ASSERT_TRUE(is_connected());
    // Subscribing takes its time: what is published before is nobody's.
    EXPECT_FALSE(daemon.is_asked_before([&] {
        daemon.publish("watcher.web.spawn", R"({"process_pid":5})");
        const std::lock_guard lock(mutex);
        return !events.empty();
    }));
    const std::lock_guard lock(mutex);
    EXPECT_EQ(events.front(),
              std::pair(std::string("watcher.web.spawn"), std::string(R"({"process_pid":5})")));
}

TEST_F(ConsoleLinks, NoCommandWaitsForADaemonThatIsNotThere) {
    start();
    links->ask(0, 1, "stop", "{}");
    const Answered refused = answer_to(1);
    EXPECT_EQ(refused.status, CIRCUS_E_AGAIN);
    EXPECT_EQ(refused.fields.at("reason"), "east: nobody answers at ipc://" + folder + "/endpoint");
    PlayedDaemon daemon(folder);
    ASSERT_TRUE(is_connected());
    links->ask(0, 2, "list", "{}");
    const auto asked = daemon.next();
    EXPECT_EQ(asked.request.at("command"), "list") << "the stop of before must not come";
    daemon.answer(asked, {{"status", "ok"}});
    EXPECT_EQ(answer_to(2).status, CIRCUS_OK);
}

TEST_F(ConsoleLinks, WhatWasUnderWayWhenTheConnectionEndedIsAnsweredAndItComesBackByItself) {
    auto daemon = std::make_unique<PlayedDaemon>(folder);
    start();
    ASSERT_TRUE(is_connected());
    links->ask(0, 1, "stop", R"({"waiting":true})");
    EXPECT_EQ(daemon->next().request.at("command"), "stop");
    daemon.reset();
    const Answered lost = answer_to(1);
    EXPECT_EQ(lost.status, CIRCUS_E_AGAIN);
    EXPECT_THAT(lost.fields.at("reason"), HasSubstr("not known whether that was done"));
    EXPECT_TRUE(wait_for([this] { return !problems.back().empty(); }));
    daemon = std::make_unique<PlayedDaemon>(folder);
    ASSERT_TRUE(is_connected());
    links->ask(0, 2, "list", "{}");
    daemon->answer(daemon->next(), {{"status", "ok"}});
    EXPECT_EQ(answer_to(2).status, CIRCUS_OK);
}

TEST_F(ConsoleLinks, AnswersToNobodyAndNonsenseDoNoHarm) {
    PlayedDaemon daemon(folder);
    start();
    ASSERT_TRUE(is_connected());
    links->ask(0, 1, "list", "{}");
    auto asked = daemon.next();
    auto stray = asked;
    stray.request["id"] = 4711;
    daemon.answer(stray, {{"status", "ok"}});
    stray.request["id"] = "text";
    daemon.answer(stray, {{"status", "ok"}});
    daemon.answer(asked, {{"status", "ok"}});
    daemon.answer(asked, {{"status", "error"}, {"reason", "twice"}});
    EXPECT_EQ(answer_to(1).status, CIRCUS_OK);
    links->ask(0, 2, "list", "{}");
    asked = daemon.next();
    daemon.answer(asked, {{"status", "ok"}});
    EXPECT_EQ(answer_to(2).status, CIRCUS_OK);
    EXPECT_EQ(answer_to(1).status, CIRCUS_OK);
}

TEST_F(ConsoleLinks, AnAnswerThatIsNotAsItShouldBeEndsNobody) {
    PlayedDaemon daemon(folder);
    start();
    ASSERT_TRUE(is_connected());
    std::uint64_t number = 0;
    for (const Json& answer : {Json{{"status", "error"}, {"errno", 4}, {"reason", nullptr}},
                               Json{{"status", "error"}, {"errno", "x"}, {"reason", 5}},
                               Json{{"status", Json::array()}}, Json::object()}) {
        links->ask(0, ++number, "incr", R"({"waiting":5})");
        daemon.answer(daemon.next(), answer);
        answer_to(number);
    }
    EXPECT_EQ(answers[1].status, CIRCUS_E_AGAIN);
    EXPECT_EQ(answers[2].status, CIRCUS_E_INVALID);
    EXPECT_EQ(answers[3].status, CIRCUS_OK);
}

// The first thing that a link asks is where the events are.
TEST_F(ConsoleLinks, OneThatDoesNotSayWhereItsEventsAreIsUsedAllTheSame) {
    PlayedDaemon daemon(folder);
    daemon.options_answer = Json{{"status", "error"}, {"reason", nullptr}};
    start();
    ASSERT_TRUE(is_connected());
    links->ask(0, 1, "list", "{}");
    daemon.answer(daemon.next(), {{"status", "ok"}});
    EXPECT_EQ(answer_to(1).status, CIRCUS_OK);
    EXPECT_TRUE(wait_for([this] { return problems.back().ends_with(": an error"); }));
}

TEST_F(ConsoleLinks, WhatIsThrownEndsThatConnectionAndItComesBack) {
    PlayedDaemon daemon(folder);
    start();
    ASSERT_TRUE(is_connected());
    links->ask(0, 1, "stop", "{}");
    daemon.next();
    throws = true;
    EXPECT_FALSE(daemon.is_asked_before([&] {
        daemon.publish("watcher.web.spawn", "{}");
        return !throws;
    }));
    EXPECT_EQ(answer_to(1).status, CIRCUS_E_AGAIN);
    EXPECT_TRUE(wait_for([this] {
        return std::any_of(problems.begin(), problems.end(),
                           [](const std::string& each) { return each.ends_with("out of order"); });
    }));
    ASSERT_TRUE(is_connected());
    links->ask(0, 2, "list", "{}");
    const auto asked = daemon.next();
    EXPECT_EQ(asked.request.at("command"), "list");
    daemon.answer(asked, {{"status", "ok"}});
    EXPECT_EQ(answer_to(2).status, CIRCUS_OK);
}

}  // namespace
}  // namespace console
