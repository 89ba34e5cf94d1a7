#include "feed.hpp"

#include <algorithm>
#include <fnmatch.h>

#include <circus/plugin.hpp>

namespace console {

void Feed::add(std::string topic, std::string_view payload) {
    std::string text = "{\"seq\":" + std::to_string(end()) + ",\"topic\":" + circus::detail::dump(topic) +
                       ",\"payload\":" + std::string(payload) + "}";
    events_.push_back({std::move(topic), std::move(text)});
    if (events_.size() <= most_) return;
    events_.pop_front();
    ++first_;
}

std::uint64_t Feed::last(std::size_t count) const {
    return end() - std::min<std::uint64_t>(count, events_.size());
}

Feed::Batch Feed::read(std::uint64_t& next, const std::string& glob, std::size_t most) const {
    Batch batch;
    if (next < first_) {
        batch.lost = first_ - next;
        next = first_;
    }
    std::size_t count = 0;
    for (; next < end() && count < most; ++next) {
        const Event& event = events_[static_cast<std::size_t>(next - first_)];
        if (!glob.empty() && fnmatch(glob.c_str(), event.topic.c_str(), 0) != 0) continue;
        batch.text += (count++ == 0 ? "[" : ",") + event.text;
    }
    if (count > 0) batch.text += ']';
    return batch;
}

}  // namespace console
