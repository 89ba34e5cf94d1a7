// Bus: where events go. publish() queues; drain(), at the end of the loop's turn, hands each event to the
// in-process subscribers whose glob matches its topic, in the order of their subscription, and to the
// publisher (the PUB socket, in the product). Nothing is called back from inside publish().
//
// Loop's thread only. An event published from within a subscriber is delivered in the same drain, after those
// before it; a subscriber may unsubscribe itself or others. Bounded: beyond kMaxQueued undelivered events the
// oldest are dropped and counted.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "bus/event.hpp"

namespace circus::bus {

class Bus {
  public:
    using Subscriber = std::function<void(const Event&)>;
    using SubscriptionId = std::uint64_t;
    static constexpr std::size_t kMaxQueued = 100'000;

    // `publisher` gets every event; may be empty.
    Bus(const Clock& clock, Subscriber publisher) : clock_(clock), publisher_(std::move(publisher)) {}

    // Topic watcher.RES.EVENT; "time" is added where there is none. Subscribers also get "watcher", the name
    // as written; of Circus's own events PUB sends Circus's fields alone, without a "wid" that is given.
    void publish(std::string_view watcher, std::string_view event, Json payload);
    // Any topic, the payload an object. `inside`: for subscribers only.
    void publish_topic(std::string topic, Json payload, bool inside = false);
    SubscriptionId subscribe(std::string glob, Subscriber subscriber);  // fnmatch(3) on the topic
    void unsubscribe(SubscriptionId id);  // not called any more once this returns
    void drain();
    std::uint64_t dropped() const { return dropped_; }

  private:
    void enqueue(Event event);

    struct Subscription {
        std::string glob;
        Subscriber subscriber;
    };

    const Clock& clock_;
    Subscriber publisher_;
    std::deque<Event> queue_;
    std::map<SubscriptionId, Subscription> subscriptions_;
    SubscriptionId next_id_ = 1;
    std::uint64_t dropped_ = 0;
    bool draining_ = false;
};

}  // namespace circus::bus
