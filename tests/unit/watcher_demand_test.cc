// on_demand: a watcher that waits for the first connection to a socket it uses.
#include <gmock/gmock.h>

#include "fake_stack.hpp"

namespace circus::supervise {
namespace {

using namespace std::chrono_literals;
using model::WatcherStatus;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;
using Texts = std::vector<std::string>;

struct OnDemandTest : testing::Test, FakeStack {
    config::WatcherConfig& waiting(const std::string& name, const std::string& socket_name) {
        auto& w = watcher(name, 2);
        w.on_demand = w.use_sockets = true;
        w.args = {"$(circus.sockets." + socket_name + ")"};
        return w;
    }
    void socket(const std::string& name, bool reuseport = false) {
        config::SocketConfig s;
        s.name = name;
        s.host = "127.0.0.1";
        s.port = 0;
        s.so_reuseport = reuseport;
        config.sockets.push_back(s);
    }
    int fd(const std::string& name) { return arbiter->sockets().find(name)->fd.get(); }
    void connect_to(const std::string& name) {
        arbiter->on_readable(fd(name));
        arbiter->settle();
    }
    void set(const std::string& name, const std::string& key, Json value) {
        EXPECT_TRUE(arbiter->set_options(at(name), {{key, std::move(value)}}, {}));
        arbiter->settle();
    }
    void stop(const std::string& name) {
        arbiter->stop(at(name), {});
        arbiter->settle();
        obey();
    }
};

TEST_F(OnDemandTest, OnlyThoseThatUseTheSocketThatWasHitStart) {
    socket("a");
    socket("b");
    waiting("one", "a");
    waiting("two", "b");
    waiting("three", "a");
    boot();
    EXPECT_THAT(keeper.asked, IsEmpty());
    EXPECT_EQ(at("one").status(), WatcherStatus::Stopped);
    EXPECT_THAT(readiness.watched, UnorderedElementsAre(fd("a"), fd("b")));
    connect_to("a");
    spawn_all();
    EXPECT_EQ(at("one").status(), WatcherStatus::Active);
    EXPECT_EQ(at("three").status(), WatcherStatus::Active);
    EXPECT_EQ(at("two").status(), WatcherStatus::Stopped);
    EXPECT_THAT(readiness.watched, ElementsAre(fd("b"))) << "what is served is watched no more";
}

TEST_F(OnDemandTest, AfterItsStartItIsAWatcherLikeAnyOther) {
    socket("a");
    waiting("web", "a");
    boot();
    connect_to("a");
    spawn_all();
    clock.advance(10s);
    die(child("web", 1), 0);
    EXPECT_THAT(keeper.asked, SizeIs(1));
    EXPECT_THAT(readiness.watched, IsEmpty());
}

TEST_F(OnDemandTest, StopTakesItBackToWaitingOnceEverythingIsGone) {
    socket("a");
    waiting("web", "a");
    boot();
    connect_to("a");
    spawn_all();
    arbiter->stop(at("web"), {});
    arbiter->settle();
    EXPECT_THAT(readiness.watched, IsEmpty());
    obey();
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
    EXPECT_THAT(readiness.watched, ElementsAre(fd("a")));
    connect_to("a");
    EXPECT_THAT(keeper.asked, SizeIs(2));
}

TEST_F(OnDemandTest, AStartOfAWaitingOneIsThroughAtOnceAndStartsNothing) {
    socket("a");
    waiting("web", "a");
    boot();
    std::optional<Result<OpResult>> answer;
    arbiter->start(at("web"), [&answer](Result<OpResult> result) { answer = std::move(result); });
    arbiter->settle();
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT((*answer)->started, IsEmpty());
    EXPECT_THAT(keeper.asked, IsEmpty());
}

TEST_F(OnDemandTest, WithoutAutostartItWaitsOnlyWhenItIsStarted) {
    socket("a");
    waiting("web", "a").autostart = false;
    boot();
    EXPECT_THAT(readiness.watched, IsEmpty());
    arbiter->start(at("web"), {});
    arbiter->settle();
    EXPECT_THAT(readiness.watched, ElementsAre(fd("a")));
}

TEST_F(OnDemandTest, ARestartOfARunningOneDoesNotWait) {
    socket("a");
    waiting("web", "a");
    boot();
    connect_to("a");
    spawn_all();
    arbiter->restart(at("web"), {});
    arbiter->settle();
    obey();
    EXPECT_THAT(keeper.asked, SizeIs(2));
}

TEST_F(OnDemandTest, TurnedOffWhileItWaitsItIsJustStopped) {
    socket("a");
    waiting("web", "a");
    boot();
    set("web", "on_demand", false);
    EXPECT_THAT(readiness.watched, IsEmpty());
    EXPECT_THAT(keeper.asked, IsEmpty());
}

TEST_F(OnDemandTest, TurnedOffWhileItRunsAStopIsForGood) {
    socket("a");
    waiting("web", "a");
    boot();
    connect_to("a");
    spawn_all();
    set("web", "on_demand", false);
    stop("web");
    EXPECT_THAT(readiness.watched, IsEmpty());
}

TEST_F(OnDemandTest, WithoutRespawnItWaitsAgainWhenAllHaveEndedAndSlowerIfTheyWereShortLived) {
    socket("a");
    auto& web = waiting("web", "a");
    web.respawn = false;
    web.numprocesses = 1;
    boot();
    connect_to("a");
    spawn_all();
    die(child("web", 1), 0);
    EXPECT_THAT(readiness.watched, IsEmpty());
    pass(10ms);
    EXPECT_THAT(readiness.watched, ElementsAre(fd("a")));
    connect_to("a");
    spawn_all();
    pass(2s);
    die(child("web", 1), 0);
    EXPECT_THAT(readiness.watched, ElementsAre(fd("a")));
}

TEST_F(OnDemandTest, AProgramThatCannotStartIsNotTriedForEver) {
    socket("a");
    auto& web = waiting("web", "a");
    web.max_retry = 1;
    boot();
    connect_to("a");
    fail_all(ENOENT);
    EXPECT_EQ(at("web").status(), WatcherStatus::Stopped);
    EXPECT_THAT(readiness.watched, IsEmpty());
    arbiter->start(at("web"), {});
    arbiter->settle();
    EXPECT_THAT(readiness.watched, ElementsAre(fd("a")));
}

TEST_F(OnDemandTest, EachSlotsOwnListenerIsWatchedAndFollowsTheCount) {
    socket("a", true);
    waiting("web", "a");
    boot();
    EXPECT_THAT(readiness.watched, SizeIs(2));
    set("web", "numprocesses", 1);
    EXPECT_THAT(readiness.watched, SizeIs(1));
    arbiter->on_readable(*readiness.watched.begin());
    arbiter->settle();
    EXPECT_THAT(keeper.asked, SizeIs(1));
}

TEST_F(OnDemandTest, QuitAndRemoveEndTheWaiting) {
    socket("a");
    socket("b");
    waiting("one", "a");
    waiting("two", "b");
    boot();
    arbiter->remove(at("one"), false, {});
    arbiter->settle();
    EXPECT_THAT(readiness.watched, ElementsAre(fd("b")));
    arbiter->quit({});
    arbiter->settle();
    EXPECT_THAT(readiness.watched, IsEmpty());
    EXPECT_TRUE(arbiter->is_stopped());
}

TEST_F(OnDemandTest, AHitThatComesLateStartsNothing) {
    socket("a");
    waiting("web", "a");
    boot();
    const int listener = fd("a");
    arbiter->quit({});
    arbiter->on_readable(listener);
    arbiter->settle();
    EXPECT_THAT(keeper.asked, IsEmpty());
}

}  // namespace
}  // namespace circus::supervise
