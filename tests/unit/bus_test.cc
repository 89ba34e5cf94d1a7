#include "bus/bus.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace circus::bus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FixedClock final : public Clock {
  public:
    TimePoint now() const override { return {}; }
    double wall() const override { return 1234.5; }
};

struct BusTest : testing::Test {
    FixedClock clock;
    std::vector<std::string> published;
    Bus bus{clock, [this](const Event& event) { published.push_back(event.topic + " " + event.wire); }};
};

TEST_F(BusTest, ATopicIsTheNameInLowerCaseWithoutBlanks) {
    bus.publish("My Web", "spawn", {{"process_pid", 7}, {"time", 1.5}});
    bus.drain();
    EXPECT_THAT(published, ElementsAre(R"(watcher.my_web.spawn {"process_pid":7,"time":1.5})"));
}

TEST_F(BusTest, TimeIsAddedWhereThereIsNone) {
    bus.publish("web", "start", Json::object());
    bus.drain();
    EXPECT_THAT(published, ElementsAre(R"(watcher.web.start {"time":1234.5})"));
}

TEST_F(BusTest, AnyOtherTopicHasThePayloadItWasGivenAndTheTime) {
    bus.publish_topic("operation.web.stop", Json::object());
    bus.drain();
    EXPECT_THAT(published, ElementsAre(R"(operation.web.stop {"time":1234.5})"));
}

TEST_F(BusTest, WhatStaysInsideReachesTheSubscribersOnly) {
    std::vector<std::string> seen;
    bus.subscribe("operation.*", [&](const Event& e) { seen.push_back(e.topic); });
    bus.publish_topic("operation.web.stop", Json::object(), true);
    bus.drain();
    EXPECT_THAT(seen, ElementsAre("operation.web.stop"));
    EXPECT_THAT(published, IsEmpty());
}

TEST_F(BusTest, SubscribersAreToldTheNameAsWrittenAndTheSlotAndPubIsNot) {
    std::vector<std::string> seen;
    bus.subscribe("watcher.*", [&](const Event& e) { seen.push_back(e.payload); });
    bus.publish("My Web", "reap", {{"process_pid", 7}, {"wid", 2}, {"time", 1.5}});
    bus.drain();
    EXPECT_THAT(seen, ElementsAre(R"({"process_pid":7,"time":1.5,"watcher":"My Web","wid":2})"));
    EXPECT_THAT(published, ElementsAre(R"(watcher.my_web.reap {"process_pid":7,"time":1.5})"));
}

TEST_F(BusTest, NothingIsCalledFromInsidePublish) {
    bus.publish("web", "start", Json::object());
    EXPECT_THAT(published, IsEmpty());
}

TEST_F(BusTest, SubscribersGetWhatTheirGlobMatchesInOrder) {
    std::vector<std::string> seen;
    bus.subscribe("watcher.*.reap", [&](const Event& e) { seen.push_back(e.topic); });
    bus.publish("a", "spawn", Json::object());
    bus.publish("a", "reap", Json::object());
    bus.publish("b", "reap", Json::object());
    bus.drain();
    EXPECT_THAT(seen, ElementsAre("watcher.a.reap", "watcher.b.reap"));
}

TEST_F(BusTest, ASubscriberMayLeaveAndPublishFromWithinItsCallback) {
    int calls = 0;
    Bus::SubscriptionId id = 0;
    id = bus.subscribe("*", [&](const Event&) {
        ++calls;
        bus.unsubscribe(id);
        bus.publish("b", "stop", Json::object());
    });
    bus.publish("a", "stop", Json::object());
    bus.drain();
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(published.size(), 2u);
}

TEST_F(BusTest, BadUtf8InANameDoesNoHarm) {
    bus.publish("w\xff", "updated", {{"text", "\xc3\x28"}});
    bus.drain();
    EXPECT_EQ(published.size(), 1u);
}

TEST_F(BusTest, TheQueueIsBoundedAndCountsWhatItDrops) {
    for (std::size_t i = 0; i < Bus::kMaxQueued + 5; ++i) bus.publish("w", "spawn", {{"time", 1}});
    EXPECT_EQ(bus.dropped(), 5u);
    bus.drain();
    EXPECT_EQ(published.size(), Bus::kMaxQueued);
}

}  // namespace
}  // namespace circus::bus
