// DeathBook: the records of the workers that have ended or could not be spawned, the last kPerWatcher of each
// watcher, and how many ended how since circusd was started (Tally). It lies in shared memory that the keeper
// holds, so the next arbiter reads on in it, and a watcher is known there by its serial.
//
// A record is made when its process was reaped and is complete when what the process wrote last is known.
// Bounded: kRecords in all; when there is no room, the watcher that has most gives its oldest. What is used
// of that memory grows with the records there are; what processes wrote is read from it when it is asked for,
// and belongs to nobody's memory meanwhile.
//
// Used by Deaths, on the loop's thread. One process at a time: two would take each other's places.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/death.hpp"
#include "supervise/ports.hpp"
#include "supervise/tally.hpp"
#include "sys/shared_memory.hpp"

namespace circus::supervise {

// As it lies in memory.
struct Death {
    ChildId child = 0;
    double time = 0;            // when it was reaped, seconds since the epoch
    double age = 0;             // seconds
    std::uint64_t max_rss = 0;  // bytes
    double user_time = 0, system_time = 0;
    std::int32_t pid = 0;
    std::int32_t wid = 0;
    std::int32_t code =
        0;  // exit status, or minus the signal's number; of one that was not started errno, or 0
    model::DeathVerdict verdict{};
    bool dumped_core = false;
    bool is_complete = false;
    bool keeps_stderr = false;  // it had a stream, so what it wrote is known
    bool asked = false;         // circusd was ending it
    std::uint8_t stage = 0;     // of one that was not started: the SpawnStage and 1; 0: not so far
    std::uint32_t times = 1;    // … and how often in a row, for the same reason

    bool is_failed_spawn() const { return verdict.reason == model::DeathReason::NotStarted; }
};

class DeathBook {
  public:
    static constexpr std::size_t kPerWatcher = 100;
    static constexpr std::size_t kRecords = 2048;
    static constexpr std::size_t kCounters = 16384;
    static constexpr std::size_t kTallies = 4096;
    static constexpr std::size_t kMaxWhy = 256;      // bytes of a text that says why it was ended
    static constexpr std::size_t kMaxStderr = 1792;  // … and of what it wrote last

    static Result<sys::SharedMemory> make_memory();
    // That of the arbiter before. An error: it is of a circusd that keeps it in another way.
    static Result<std::unique_ptr<DeathBook>> open(UniqueFd memory);
    explicit DeathBook(sys::SharedMemory memory);  // of make_memory()

    int fd() const { return memory_.fd(); }
    enum class Added { New, Incomplete, Known };
    // Keeps and counts it, if it is New. Else its end was told twice: it is in it already.
    Added add(std::uint64_t watcher, const Death& death, std::string_view why);
    // A spawn that failed, with its reason. What fails again and again has one record, that of the last time:
    // it must not push out those of processes that did run.
    void add_failed_spawn(std::uint64_t watcher, Death death, std::string_view why);
    // Nothing where the record is not there any more.
    void complete(std::uint64_t watcher, ChildId child, bool keeps_stderr, std::string_view last);
    void forget(std::uint64_t watcher);  // it was removed

    struct Record {
        Death death;
        std::string why;      // circusd ended it; empty: it did not, or there is no more to say
        std::string written;  // the last on its stderr, from the beginning of a line on
    };
    std::vector<Record> last(std::uint64_t watcher, std::size_t count) const;  // the oldest first
    struct Count {
        model::DeathReason reason{};
        int code = 0;
        std::uint64_t count = 0;
    };
    std::vector<Count> counts(std::uint64_t watcher) const;  // in no order
    // What is in it but `ended`, which the counts of the records are.
    void keep(std::uint64_t watcher, const Tally& tally);
    Tally tally(std::uint64_t watcher) const;

  private:
    struct Head;
    struct Row;
    struct Counter;
    struct Sums;
    struct History {
        std::vector<std::uint16_t> rows;  // the oldest first
        std::vector<std::uint16_t> counters;
        std::optional<std::uint16_t> sums;
    };
    Head& head() const;
    Row& row(std::size_t at) const;
    Counter& counter(std::size_t at) const;
    Sums& sums(std::size_t at) const;
    void read_index();
    Row* find(const History& history, ChildId child) const;  // null: it is not there (any more)
    std::uint16_t take_row(History& history);
    void write(std::uint64_t watcher, History& history, const Death& death, std::string_view why);
    void count(std::uint64_t watcher, History& history, const Death& death);
    std::string text_of(std::size_t at, std::size_t from, std::size_t size) const;

    sys::SharedMemory memory_;
    std::map<std::uint64_t, History> histories_;  // by the watcher's serial; of those that have one
    std::vector<std::uint16_t> free_rows_, free_counters_, free_sums_;
    ChildId inherited_ = 0;  // the highest in a record of an arbiter before
};

}  // namespace circus::supervise
