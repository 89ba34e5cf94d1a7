#include "stream/last_lines.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "stream/cursor.hpp"
#include "stream/lines.hpp"

namespace circus::stream {

namespace {

// Memory is given back by the piece: a small part of what there is.
constexpr std::size_t kMostOfPiece = 4096;

// Where the first piece of a text ends: behind a line.
std::size_t end_of_piece(std::string_view text) {
    if (text.size() <= kMostOfPiece) return text.size();
    std::size_t newline = text.rfind('\n', kMostOfPiece - 1);
    if (newline == text.npos) newline = text.find('\n', kMostOfPiece);
    return newline == text.npos ? text.size() : newline + 1;
}

bool is_wanted(pid_t pid, const TailQuery& query) {
    return !query.pid || pid == *query.pid;
}

// Calls `see` with each line, without its newline, until that says false. False: it did.
template <class See>
bool each_line(std::string_view text, const See& see) {
    while (!text.empty()) {
        const std::size_t newline = text.find('\n');
        if (!see(text.substr(0, newline))) return false;
        text.remove_prefix(newline == text.npos ? text.size() : newline + 1);
    }
    return true;
}

}  // namespace

LastLines::LastLines() : mark_(random_mark()) {}

void LastLines::append(PipeId pipe, pid_t pid, std::string_view first, std::string_view second) {
    if (first.empty() && second.empty()) return;
    const double time = SystemClock().wall();
    const std::lock_guard lock(mutex_);
    Process& process = processes_[pipe];
    process.pid = pid;
    each_text(first, second, [&](std::string_view text) { take(process, time, text); });
    while (process.bytes > kMost) drop_first(process);
}

void LastLines::take(Process& process, double time, std::string_view text) {
    constexpr std::size_t kMostText = kMost - sizeof(Piece);
    // What would be gone at the end of this call is counted and not copied.
    if (text.size() > kMostText) {
        std::size_t begin = text.size() - kMostText;
        const std::size_t newline = text.find('\n', begin - 1);
        if (newline < text.size() - 1) begin = newline + 1;
        next_ += count_newlines(text.substr(0, begin));
        text.remove_prefix(begin);
    }
    while (!text.empty()) {
        const std::string_view part = text.substr(0, end_of_piece(text));
        const std::uint64_t lines = count_newlines(part) + (part.back() == '\n' ? 0 : 1);
        process.pieces.push_back({next_, lines, time, std::string(part)});
        process.bytes += process.pieces.back().cost();
        next_ += lines;
        text.remove_prefix(part.size());
    }
}

std::size_t LastLines::drop_first(Process& process) {
    const std::size_t cost = process.pieces.front().cost();
    process.bytes -= cost;
    process.pieces.pop_front();
    return cost;
}

void LastLines::left(PipeId pipe) {
    const std::lock_guard lock(mutex_);
    const auto at = processes_.find(pipe);
    if (at == processes_.end()) return;
    gone_.push_back(pipe);
    gone_bytes_ += at->second.bytes;
    while (gone_bytes_ > kMost) {
        const auto oldest = processes_.find(gone_.front());
        gone_bytes_ -= drop_first(oldest->second);
        if (!oldest->second.pieces.empty()) continue;
        processes_.erase(oldest);
        gone_.pop_front();
    }
}

Tail LastLines::read(const TailQuery& query) const {
    const std::lock_guard lock(mutex_);
    if (query.cursor.empty() || query.lines == 0) return last(query);
    if (const auto next = next_in(query.cursor, mark_)) return after(query, std::min(*next, next_));
    Tail all = after(query, 0);
    all.skipped = 0;  // nobody was promised them
    return all;
}

std::vector<LastLines::Kept> LastLines::kept_from(std::uint64_t number) const {
    std::vector<Kept> kept;
    for (const auto& [pipe, process] : processes_)
        for (auto piece = process.pieces.rbegin(); piece != process.pieces.rend() && piece->end() > number;
             ++piece)
            kept.push_back({&*piece, process.pid});
    std::sort(kept.begin(), kept.end(),
              [](const Kept& a, const Kept& b) { return a.piece->first < b.piece->first; });
    return kept;
}

Tail LastLines::last(const TailQuery& query) const {
    auto kept = kept_from(0);
    std::erase_if(kept, [&query](const Kept& each) { return !is_wanted(each.pid, query); });
    std::size_t at = kept.size(), bytes = 0;
    for (std::uint64_t lines = 0; at > 0 && lines < query.lines; lines += kept[--at].piece->lines) {
        bytes += kept[at - 1].piece->text.size();
        if (bytes > kMaxAnswer) break;
    }
    Tail tail;
    for (; at < kept.size(); ++at)
        each_line(kept[at].piece->text, [&, &each = kept[at]](std::string_view line) {
            tail.lines.push_back({each.pid, each.piece->time, std::string(line)});
            return true;
        });
    const std::size_t surplus = tail.lines.size() - std::min(tail.lines.size(), query.lines);
    tail.lines.erase(tail.lines.begin(), tail.lines.begin() + static_cast<std::ptrdiff_t>(surplus));
    tail.cursor = cursor_of(mark_, next_);
    return tail;
}

Tail LastLines::after(const TailQuery& query, std::uint64_t number) const {
    Tail tail;
    std::uint64_t end = number, seen = 0;
    std::size_t bytes = 0;
    bool is_all = true;
    for (const Kept& each : kept_from(number)) {
        std::uint64_t at = each.piece->first;
        is_all = each_line(each.piece->text, [&](std::string_view line) {
            if (at++ < number) return true;
            if (is_wanted(each.pid, query)) {
                bytes += line.size();
                if (tail.lines.size() == query.lines || (bytes > kMaxAnswer && !tail.lines.empty()))
                    return false;
                tail.lines.push_back({each.pid, each.piece->time, std::string(line)});
            }
            ++seen;
            end = at;
            return true;
        });
        if (!is_all) break;
    }
    if (is_all) end = next_;
    tail.skipped = end - number - seen;
    tail.cursor = cursor_of(mark_, end);
    return tail;
}

}  // namespace circus::stream
