#include "stream/ring.hpp"

#include <algorithm>

#include "stream/cursor.hpp"
#include "stream/lines.hpp"

namespace circus::stream {

namespace {

bool is_wanted(const Tail::Line& line, const TailQuery& query) {
    return !query.pid || line.pid == *query.pid;
}

}  // namespace

Ring::Ring(std::size_t lines) : mark_(random_mark()), capacity_(lines) {}

void Ring::resize(std::size_t lines) {
    const std::lock_guard lock(mutex_);
    capacity_ = lines;
    trim();
}

void Ring::append(pid_t pid, double time, std::string_view text) {
    const std::lock_guard lock(mutex_);
    // Lines that would be overwritten within this call are counted and not kept.
    const std::size_t count = count_newlines(text);
    if (count > capacity_) {
        first_ += lines_.size();
        lines_.clear();
        bytes_ = 0;
        for (std::size_t surplus = count - capacity_; surplus > 0; --surplus, ++first_)
            text.remove_prefix(text.find('\n') + 1);
    }
    while (!text.empty()) {
        const std::size_t newline = text.find('\n');
        const std::string_view line = text.substr(0, newline);
        lines_.push_back({pid, time, std::string(line)});
        bytes_ += line.size();
        text.remove_prefix(newline == text.npos ? text.size() : newline + 1);
    }
    trim();
}

void Ring::trim() {
    while (lines_.size() > capacity_ || (bytes_ > kMaxBytes && lines_.size() > 1)) {
        bytes_ -= lines_.front().text.size();
        lines_.pop_front();
        ++first_;
    }
}

Tail Ring::read(const TailQuery& query) const {
    const std::lock_guard lock(mutex_);
    Tail tail;
    std::size_t at = query.cursor.empty() ? first_of_last(query) : first_after(query, tail);
    std::size_t bytes = 0;
    for (; at < lines_.size() && tail.lines.size() < query.lines; ++at) {
        const Tail::Line& line = lines_[at];
        if (!is_wanted(line, query)) continue;
        bytes += line.text.size();
        if (bytes > kMaxAnswer && !tail.lines.empty()) break;
        tail.lines.push_back(line);
    }
    // Nothing asked for: then the end is where the next question goes on.
    if (query.lines == 0) at = lines_.size();
    tail.cursor = cursor_of(mark_, first_ + at);
    return tail;
}

std::size_t Ring::first_after(const TailQuery& query, Tail& tail) const {
    const auto number = next_in(query.cursor, mark_);
    if (!number) return 0;
    const std::uint64_t next = std::min(*number, first_ + lines_.size());
    if (next >= first_) return static_cast<std::size_t>(next - first_);
    tail.skipped = first_ - next;
    return 0;
}

std::size_t Ring::first_of_last(const TailQuery& query) const {
    std::size_t at = lines_.size(), found = 0, bytes = 0;
    while (at > 0 && found < query.lines) {
        const Tail::Line& line = lines_[at - 1];
        if (is_wanted(line, query)) {
            bytes += line.text.size();
            if (bytes > kMaxAnswer && found > 0) break;
            ++found;
        }
        --at;
    }
    return at;
}

}  // namespace circus::stream
