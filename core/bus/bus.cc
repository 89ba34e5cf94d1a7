#include "bus/bus.hpp"

#include <fnmatch.h>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace circus::bus {

std::string resource(std::string_view watcher_name) {
    std::string out = to_lower(watcher_name);
    for (char& c : out)
        if (c == ' ') c = '_';
    return out;
}

namespace {
// A name may hold any bytes; the text must be UTF-8.
std::string text_of(const Json& payload) {
    return payload.dump(-1, ' ', false, Json::error_handler_t::replace);
}
}  // namespace

void Bus::publish(std::string_view watcher, std::string_view event, Json payload) {
    if (!payload.contains("time")) payload["time"] = clock_.wall();
    Json wire = payload;
    if (event == "spawn" || event == "reap") wire.erase("wid");  // Circus's own: its fields alone
    payload["watcher"] = watcher;
    enqueue({cat("watcher.", resource(watcher), ".", event), text_of(payload), text_of(wire)});
}

void Bus::publish_topic(std::string topic, Json payload, bool inside) {
    if (!payload.contains("time")) payload["time"] = clock_.wall();
    std::string text = text_of(payload);
    enqueue({std::move(topic), text, inside ? std::string() : text});
}

void Bus::enqueue(Event event) {
    if (queue_.size() >= kMaxQueued) {
        queue_.pop_front();
        ++dropped_;
    }
    queue_.push_back(std::move(event));
}

Bus::SubscriptionId Bus::subscribe(std::string glob, Subscriber subscriber) {
    const SubscriptionId id = next_id_++;
    subscriptions_[id] = {std::move(glob), std::move(subscriber)};
    return id;
}

void Bus::unsubscribe(SubscriptionId id) {
    subscriptions_.erase(id);
}

void Bus::drain() {
    if (draining_) return;
    draining_ = true;
    while (!queue_.empty()) {
        const Event event = std::move(queue_.front());
        queue_.pop_front();
        if (publisher_ && !event.wire.empty()) publisher_(event);
        // By id, looked up anew: a subscriber may change the table under our feet.
        std::vector<SubscriptionId> ids;
        for (const auto& [id, subscription] : subscriptions_)
            if (fnmatch(subscription.glob.c_str(), event.topic.c_str(), 0) == 0) ids.push_back(id);
        for (const SubscriptionId id : ids) {
            const auto at = subscriptions_.find(id);
            if (at == subscriptions_.end()) continue;
            const Subscriber subscriber = at->second.subscriber;  // outlives its own unsubscribe
            subscriber(event);
        }
    }
    draining_ = false;
}

}  // namespace circus::bus
