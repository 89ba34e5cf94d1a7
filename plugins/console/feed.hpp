// Feed: the last events, numbered. Who reads keeps the number of the next one it wants: however slow a reader
// is, it costs nothing but this ring, and what has left it before it was read is counted. On the console's
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace console {

class Feed {
  public:
    explicit Feed(std::size_t most) : most_(most) {}
    // `payload`: JSON.
    void add(std::string topic, std::string_view payload);
    std::uint64_t end() const { return first_ + events_.size(); }  // the number of the next one to come
    // The number from which the last `count` are read.
    std::uint64_t last(std::size_t count) const;

    struct Batch {
        std::string text;        // JSON, an array of {"seq", "topic", "payload"}; empty: there is none
        std::uint64_t lost = 0;  // so many had left before `next`
    };
    // From `next` on, those whose topic matches `glob` (empty: all), `most` at the most. Moves `next` on.
    Batch read(std::uint64_t& next, const std::string& glob, std::size_t most) const;

  private:
    struct Event {
        std::string topic, text;
    };
    std::size_t most_;
    std::uint64_t first_ = 0;  // the number of the oldest one kept
    std::deque<Event> events_;
};

}  // namespace console
