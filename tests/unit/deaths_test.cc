// From the end of a worker to its record and its event, with a keeper, streams and a clock turned by hand.
#include "supervise/deaths.hpp"

#include <csignal>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "fake_stack.hpp"

namespace circus::supervise {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;

constexpr int kExit3 = 3 << 8;

struct DeathsTest : testing::Test, FakeStack {
    DeathsTest() {
        auto memory = DeathBook::make_memory();
        EXPECT_TRUE(memory);
        made = std::make_unique<DeathBook>(std::move(*memory));
        book = made.get();
        oom = [this] { return counts; };
    }
    DeathBook::Record last(const std::string& name) {
        auto records = book->last(at(name).serial(), 1);
        EXPECT_THAT(records, SizeIs(1));
        return records.empty() ? DeathBook::Record{} : std::move(records.front());
    }
    std::string reason(const std::string& name) {
        return std::string(model::to_string(last(name).death.verdict.reason));
    }
    config::WatcherConfig& with_stderr(const std::string& name) {
        auto& it = watcher(name);
        it.stderr_stream.emplace();
        it.stderr_stream->class_name = "FileStream";
        it.stderr_stream->filename = "/x";
        return it;
    }

    std::unique_ptr<DeathBook> made;
    model::OomCounts counts{0, 0};
};

TEST_F(DeathsTest, ARecordHoldsWhatTheKeeperToldOfTheEnd) {
    watcher("web");
    boot_running();
    clock.advance(2500ms);
    rusage usage{};
    usage.ru_maxrss = 2048;
    usage.ru_utime = {1, 500'000};
    usage.ru_stime = {0, 250'000};
    arbiter->on_exited(child("web", 1), kExit3, usage);
    arbiter->settle();
    const Death death = last("web").death;
    EXPECT_EQ(death.pid, 1001);
    EXPECT_EQ(death.wid, 1);
    EXPECT_EQ(death.code, 3);
    EXPECT_EQ(death.age, 2.5);
    EXPECT_EQ(death.max_rss, 2048U * 1024);
    EXPECT_EQ(death.user_time, 1.5);
    EXPECT_EQ(death.system_time, 0.25);
    EXPECT_TRUE(death.is_complete);
    EXPECT_FALSE(death.keeps_stderr);
    EXPECT_EQ(reason("web"), "exit");
}

TEST_F(DeathsTest, AReplacementDoesNotWaitForWhatItsPredecessorWrote) {
    with_stderr("web");
    boot_running();
    clock.advance(2s);
    die(child("web", 1), kExit3);
    EXPECT_THAT(keeper.asked, SizeIs(1)) << "the replacement is asked for";
    EXPECT_FALSE(last("web").death.is_complete);
    EXPECT_THAT(events.deaths, IsEmpty());
    streams.written[1] = "oops\n";
    streams.finishing.at(0)();
    arbiter->settle();
    EXPECT_TRUE(last("web").death.is_complete);
    EXPECT_EQ(last("web").written, "oops\n");
    ASSERT_THAT(events.deaths, SizeIs(1));
    const Json event = Json::parse(events.deaths.front());
    EXPECT_EQ(event.at("last_line"), "oops");
    EXPECT_EQ(event.at("process_pid"), 1001);
    EXPECT_EQ(event.at("exit_code"), 3);
    EXPECT_TRUE(event.at("signal").is_null());
}

TEST_F(DeathsTest, WhatCircusdStopsWasAsked) {
    watcher("web");
    boot_running();
    arbiter->stop(at("web"), {});
    arbiter->settle();
    obey();
    EXPECT_EQ(last("web").death.code, -SIGTERM);
    EXPECT_EQ(last("web").death.verdict.ours, model::Known::Yes);
    EXPECT_EQ(reason("web"), "asked");
}

TEST_F(DeathsTest, ASignalIsOursOnlyIfCircusdSentIt) {
    watcher("web");
    boot_running();
    die(child("web", 1), SIGUSR1);
    EXPECT_EQ(reason("web"), "killed");
    pass(1s);
    spawn_all();
    SignalRequest request;
    request.signo = SIGUSR1;
    EXPECT_TRUE(arbiter->signal(at("web"), request));
    die(child("web", 1), SIGUSR1);
    EXPECT_EQ(reason("web"), "signal");
}

TEST_F(DeathsTest, TooMuchMemoryIsTheReasonAndSaysWhy) {
    watcher("web").memory_max.bytes = 1000;
    boot_running();
    at("web").on_memory({{child("web", 1), 5000}});
    arbiter->settle();
    die(child("web", 1), SIGKILL);
    EXPECT_EQ(reason("web"), "memory");
    EXPECT_THAT(last("web").why, testing::HasSubstr("more than memory_max"));
}

TEST_F(DeathsTest, MaxAgeIsAReason) {
    watcher("web").max_age = 10;
    boot_running();
    pass(60s);
    spawn_all();
    obey();
    EXPECT_EQ(reason("web"), "max_age");
}

TEST_F(DeathsTest, ASigkillFromNobodyWhileTheKernelCountsOneIsTheKernels) {
    watcher("web");
    boot_running();
    die(child("web", 1), SIGKILL);
    EXPECT_EQ(reason("web"), "killed");
    EXPECT_EQ(last("web").death.verdict.oom, model::Known::No);
    pass(1s);
    spawn_all();
    counts = {1, 1};
    die(child("web", 1), SIGKILL);
    EXPECT_EQ(reason("web"), "oom");
    EXPECT_EQ(last("web").death.verdict.oom, model::Known::Yes);
}

TEST_F(DeathsTest, ARemovedWatcherTakesItsRecordsAlong) {
    watcher("web");
    boot_running();
    const auto serial = at("web").serial();
    die(child("web", 1), SIGKILL);
    pass(1s);
    spawn_all();
    arbiter->remove(at("web"), false, {});
    arbiter->settle();
    obey();
    EXPECT_THAT(book->last(serial, 100), IsEmpty());
    EXPECT_THAT(book->counts(serial), IsEmpty());
    EXPECT_THAT(events.deaths, SizeIs(2)) << "that of the last one is told all the same";
}

TEST_F(DeathsTest, TheNextArbiterGoesOnWithTheRecords) {
    watcher("web");
    boot_running();
    clock.advance(2s);
    die(child("web", 1), kExit3);
    spawn_all();
    take_over();
    clock.advance(2s);
    die(child("web", 1), SIGSEGV);
    EXPECT_THAT(book->last(at("web").serial(), 100), SizeIs(2));
    EXPECT_EQ(reason("web"), "crash");
}

TEST_F(DeathsTest, WhatTheArbiterBeforeWasStoppingWasAskedAndWhoSentTheSignalStaysOpen) {
    watcher("web");
    boot_running();
    arbiter->kill(at("web"), {}, {});
    arbiter->settle();
    const ChildId id = child("web", 1);
    take_over({id});
    die(id, SIGTERM);
    EXPECT_EQ(reason("web"), "asked");
    EXPECT_EQ(last("web").death.verdict.ours, model::Known::Unknown);
}

TEST_F(DeathsTest, CountsAddUpByReasonCodeAndSignal) {
    const Json json = to_json(std::vector<DeathBook::Count>{{model::DeathReason::Exit, 1, 4},
                                                            {model::DeathReason::Exit, 0, 2},
                                                            {model::DeathReason::Asked, 0, 3},
                                                            {model::DeathReason::Killed, -SIGKILL, 5}});
    EXPECT_EQ(json.at("total"), 14);
    EXPECT_EQ(json.at("reasons"), Json({{"asked", 3}, {"exit", 6}, {"killed", 5}}));
    EXPECT_EQ(json.at("exit_codes"), Json({{"0", 5}, {"1", 4}}));
    EXPECT_EQ(json.at("signals"), Json({{"SIGKILL", 5}}));
}

TEST_F(DeathsTest, LinesAreThoseThatWereWrittenAlsoOneWithoutItsEnd) {
    DeathBook::Record record;
    record.death.keeps_stderr = true;
    record.written = "one\n\nthree";
    EXPECT_EQ(to_json(record).at("stderr"), Json({"one", "", "three"}));
    record.written.clear();
    EXPECT_EQ(to_json(record).at("stderr"), Json::array());
    record.death.keeps_stderr = false;
    EXPECT_TRUE(to_json(record).at("stderr").is_null());
}

TEST_F(DeathsTest, WithoutABookTheEventIsLeft) {
    book = nullptr;
    watcher("web");
    boot_running();
    die(child("web", 1), kExit3);
    EXPECT_THAT(events.deaths, SizeIs(1));
}

}  // namespace
}  // namespace circus::supervise
