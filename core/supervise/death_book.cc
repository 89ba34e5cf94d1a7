#include "supervise/death_book.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <type_traits>
#include <utility>

namespace circus::supervise {

namespace {

constexpr std::uint64_t kBookMagic = 0x4465617468730002;  // and the version of what follows
constexpr std::size_t kMaxText = DeathBook::kMaxWhy + DeathBook::kMaxStderr;

}  // namespace

struct DeathBook::Head {
    std::uint64_t magic;
    std::uint64_t last;                                 // number of the newest record
    std::uint32_t used_rows, used_counters, used_sums;  // from there on none was ever used
};
// 0 as number or watcher: free. It is written last, so that a row that is there is a whole one.
struct DeathBook::Row {
    std::uint64_t number;
    std::uint64_t watcher;
    Death death;
    std::uint16_t why, last;  // bytes of text
};
struct DeathBook::Counter {
    std::uint64_t watcher;
    std::uint64_t count;
    std::int32_t code;
    std::uint16_t reason, asked;
};
// A Tally, without what the counters say.
struct DeathBook::Sums {
    std::uint64_t watcher;
    std::uint64_t spawned, spawns_failed, cpu_us;
    std::array<std::uint64_t, kReplaced> replaced;
};

namespace {

constexpr std::size_t kBookHeadSize = 64;
constexpr std::size_t kRowSize = 96;
constexpr std::size_t kCounterSize = 24;
constexpr std::size_t kSumsSize = 96;
constexpr std::size_t kRowsAt = kBookHeadSize;
constexpr std::size_t kCountersAt = kRowsAt + DeathBook::kRecords * kRowSize;
constexpr std::size_t kSumsAt = kCountersAt + DeathBook::kCounters * kCounterSize;
constexpr std::size_t kTextsAt = (kSumsAt + DeathBook::kTallies * kSumsSize + 4095) / 4096 * 4096;
constexpr std::size_t kBookSize = kTextsAt + DeathBook::kRecords * kMaxText;

// In its place among the other writes: this process may be killed between any two of them.
void store_in_order(std::uint64_t& word, std::uint64_t value) {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    std::atomic_ref(word).store(value, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

// One that was used before, else the next of `most`; nothing: there is no room.
std::optional<std::uint16_t> take_place(std::vector<std::uint16_t>& free, std::uint32_t& used,
                                        std::size_t most) {
    if (free.empty()) return used < most ? std::optional(static_cast<std::uint16_t>(used++)) : std::nullopt;
    const std::uint16_t at = free.back();
    free.pop_back();
    return at;
}

// Of the end of an output, what begins with a line: the rest of one says little.
std::string_view from_a_line_on(std::string_view text, std::size_t most) {
    if (text.size() <= most) return text;
    text.remove_prefix(text.size() - most);
    const std::size_t newline = text.find('\n');
    return newline == text.npos || newline + 1 == text.size() ? text : text.substr(newline + 1);
}

}  // namespace

Result<sys::SharedMemory> DeathBook::make_memory() {
    return sys::SharedMemory::make("circus-deaths", kBookSize, kTextsAt);
}

Result<std::unique_ptr<DeathBook>> DeathBook::open(UniqueFd memory) {
    auto opened = sys::SharedMemory::open(std::move(memory), kBookSize, kTextsAt);
    if (!opened) return opened.error();
    auto book = std::make_unique<DeathBook>(std::move(*opened));
    if (book->head().magic != kBookMagic) return Error{"records of deaths of another version"};
    return book;
}

DeathBook::DeathBook(sys::SharedMemory memory) : memory_(std::move(memory)) {
    static_assert(sizeof(Head) <= kBookHeadSize && sizeof(Row) == kRowSize &&
                  sizeof(Counter) == kCounterSize && sizeof(Sums) == kSumsSize);
    static_assert(std::is_trivially_copyable_v<Death>);
    static_assert(kTallies <= 65536 && kRecords <= 65536 && kCounters <= 65536 && kMaxText <= 65535);
    if (head().magic == 0) head().magic = kBookMagic;
    if (head().magic == kBookMagic) read_index();
}

DeathBook::Head& DeathBook::head() const {
    return *reinterpret_cast<Head*>(memory_.mapped().data());
}

DeathBook::Row& DeathBook::row(std::size_t at) const {
    return *reinterpret_cast<Row*>(memory_.mapped().data() + kRowsAt + at * kRowSize);
}

DeathBook::Counter& DeathBook::counter(std::size_t at) const {
    return *reinterpret_cast<Counter*>(memory_.mapped().data() + kCountersAt + at * kCounterSize);
}

DeathBook::Sums& DeathBook::sums(std::size_t at) const {
    return *reinterpret_cast<Sums*>(memory_.mapped().data() + kSumsAt + at * kSumsSize);
}

// No further than to the last that was ever used: looking at the rest would take memory for it.
void DeathBook::read_index() {
    for (std::size_t at = 0; at < head().used_rows; ++at) {
        const Row& each = row(at);
        const auto place = static_cast<std::uint16_t>(at);
        if (each.number == 0) {
            free_rows_.push_back(place);
            continue;
        }
        histories_[each.watcher].rows.push_back(place);
        inherited_ = std::max(inherited_, each.death.child);
    }
    for (std::size_t at = 0; at < head().used_counters; ++at) {
        const auto place = static_cast<std::uint16_t>(at);
        if (counter(at).watcher == 0)
            free_counters_.push_back(place);
        else
            histories_[counter(at).watcher].counters.push_back(place);
    }
    for (std::size_t at = 0; at < head().used_sums; ++at) {
        const auto place = static_cast<std::uint16_t>(at);
        if (sums(at).watcher == 0)
            free_sums_.push_back(place);
        else
            histories_[sums(at).watcher].sums = place;
    }
    for (auto& [watcher, history] : histories_)
        std::sort(history.rows.begin(), history.rows.end(),
                  [this](std::size_t a, std::size_t b) { return row(a).number < row(b).number; });
}

std::uint16_t DeathBook::take_row(History& history) {
    const auto take_oldest = [](History& of) {
        const std::uint16_t at = of.rows.front();
        of.rows.erase(of.rows.begin());
        return at;
    };
    if (history.rows.size() >= kPerWatcher) return take_oldest(history);
    if (const auto at = take_place(free_rows_, head().used_rows, kRecords)) return *at;
    const auto most = std::max_element(
        histories_.begin(), histories_.end(),
        [](const auto& a, const auto& b) { return a.second.rows.size() < b.second.rows.size(); });
    return take_oldest(most->second);
}

DeathBook::Added DeathBook::add(std::uint64_t watcher, const Death& death, std::string_view why) {
    History& history = histories_[watcher];
    // Told to the arbiter before, which ended before it had said that it knows.
    if (death.child <= inherited_)
        if (const Row* known = find(history, death.child))
            return known->death.is_complete ? Added::Known : Added::Incomplete;
    write(watcher, history, death, why);
    count(watcher, history, death);
    return Added::New;
}

void DeathBook::add_failed_spawn(std::uint64_t watcher, Death death, std::string_view why) {
    History& history = histories_[watcher];
    why = why.substr(0, kMaxWhy);
    death.verdict = {model::DeathReason::NotStarted};
    death.is_complete = true;
    count(watcher, history, death);
    Row* const last = history.rows.empty() ? nullptr : &row(history.rows.back());
    if (!last || !last->death.is_failed_spawn() || last->death.code != death.code ||
        last->death.stage != death.stage || text_of(history.rows.back(), 0, last->why) != why)
        return write(watcher, history, death, why);
    death.times = last->death.times + 1;
    const std::uint64_t number = last->number;
    store_in_order(last->number, 0);
    last->death = death;
    store_in_order(last->number, number);
}

void DeathBook::write(std::uint64_t watcher, History& history, const Death& death, std::string_view why) {
    const std::uint16_t at = take_row(history);
    Row& place = row(at);
    store_in_order(place.number, 0);
    why = why.substr(0, kMaxWhy);
    if (!why.empty() && !memory_.write_at(kTextsAt + at * kMaxText, why)) why = {};
    place.watcher = watcher;
    place.death = death;
    place.why = static_cast<std::uint16_t>(why.size());
    place.last = 0;
    store_in_order(place.number, ++head().last);
    history.rows.push_back(at);
}

// From the newest on, near which it is looked for as a rule.
DeathBook::Row* DeathBook::find(const History& history, ChildId child) const {
    for (auto at = history.rows.rbegin(); at != history.rows.rend(); ++at)
        if (row(*at).death.child == child) return &row(*at);
    return nullptr;
}

void DeathBook::count(std::uint64_t watcher, History& history, const Death& death) {
    const auto reason = static_cast<std::uint16_t>(death.verdict.reason);
    const std::uint16_t asked = death.asked ? 1 : 0;
    for (const std::uint16_t at : history.counters) {
        Counter& known = counter(at);
        if (known.code != death.code || known.reason != reason || known.asked != asked) continue;
        ++known.count;
        return;
    }
    const auto at = take_place(free_counters_, head().used_counters, kCounters);
    if (!at) return;  // so many ways of ending in so many watchers there are not
    Counter& added = counter(*at);
    added.count = 1;
    added.code = death.code;
    added.reason = reason;
    added.asked = asked;
    store_in_order(added.watcher, watcher);
    history.counters.push_back(*at);
}

void DeathBook::complete(std::uint64_t watcher, ChildId child, bool keeps_stderr, std::string_view last) {
    const auto history = histories_.find(watcher);
    if (history == histories_.end()) return;
    Row* const place = find(history->second, child);
    if (!place) return;
    last = from_a_line_on(last, kMaxStderr);
    const auto at = static_cast<std::size_t>(place - &row(0));
    if (!last.empty() && !memory_.write_at(kTextsAt + at * kMaxText + kMaxWhy, last)) last = {};
    place->last = static_cast<std::uint16_t>(last.size());
    place->death.keeps_stderr = keeps_stderr;
    place->death.is_complete = true;
}

void DeathBook::forget(std::uint64_t watcher) {
    const auto history = histories_.find(watcher);
    if (history == histories_.end()) return;
    for (const std::uint16_t at : history->second.rows) {
        store_in_order(row(at).number, 0);
        free_rows_.push_back(at);
    }
    for (const std::uint16_t at : history->second.counters) {
        store_in_order(counter(at).watcher, 0);
        free_counters_.push_back(at);
    }
    if (const auto at = history->second.sums) {
        store_in_order(sums(*at).watcher, 0);
        free_sums_.push_back(*at);
    }
    histories_.erase(history);
}

std::string DeathBook::text_of(std::size_t at, std::size_t from, std::size_t size) const {
    return size == 0 ? std::string() : memory_.read_at(kTextsAt + at * kMaxText + from, size);
}

std::vector<DeathBook::Record> DeathBook::last(std::uint64_t watcher, std::size_t count) const {
    std::vector<Record> records;
    const auto history = histories_.find(watcher);
    if (history == histories_.end()) return records;
    const auto& rows = history->second.rows;
    records.reserve(std::min(count, rows.size()));
    for (std::size_t i = rows.size() - std::min(count, rows.size()); i < rows.size(); ++i) {
        const Row& place = row(rows[i]);
        records.push_back(
            {place.death, text_of(rows[i], 0, place.why), text_of(rows[i], kMaxWhy, place.last)});
    }
    return records;
}

std::vector<DeathBook::Count> DeathBook::counts(std::uint64_t watcher) const {
    std::vector<Count> counts;
    const auto history = histories_.find(watcher);
    if (history == histories_.end()) return counts;
    for (const std::uint16_t at : history->second.counters) {
        const Counter& known = counter(at);
        counts.push_back({static_cast<model::DeathReason>(known.reason), known.code, known.count});
    }
    return counts;
}

void DeathBook::keep(std::uint64_t watcher, const Tally& tally) {
    auto& at = histories_[watcher].sums;
    const bool is_new = !at;
    if (is_new) at = take_place(free_sums_, head().used_sums, kTallies);
    if (!at) return;  // so many watchers there are not
    Sums& place = sums(*at);
    place.spawned = tally.spawned;
    place.spawns_failed = tally.spawns_failed;
    place.cpu_us = static_cast<std::uint64_t>(tally.cpu.count());
    place.replaced = tally.replaced;
    if (is_new) store_in_order(place.watcher, watcher);
}

Tally DeathBook::tally(std::uint64_t watcher) const {
    Tally tally;
    const auto history = histories_.find(watcher);
    if (history == histories_.end()) return tally;
    if (const auto at = history->second.sums) {
        const Sums& place = sums(*at);
        tally.spawned = place.spawned;
        tally.spawns_failed = place.spawns_failed;
        tally.cpu = std::chrono::microseconds(place.cpu_us);
        tally.replaced = place.replaced;
    }
    for (const std::uint16_t at : history->second.counters) {
        const Counter& known = counter(at);
        if (known.reason == static_cast<std::uint16_t>(model::DeathReason::NotStarted)) continue;
        auto& ends = tally.ended[known.code];
        (known.asked != 0 ? ends.asked : ends.unasked) += known.count;
    }
    return tally;
}

}  // namespace circus::supervise
