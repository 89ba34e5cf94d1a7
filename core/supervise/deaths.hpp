// Deaths: what becomes of the facts about a worker that has ended: a record in the book, and the event
// `death` when the record is complete.
//
// A death goes: died() when it was reaped; settle(), at the end of that turn, when its replacement has been
// asked for, finds out why it ended, and writes the record; drained() for each of its pipes, by which time
// what it wrote last is known; and the settle() after the last of them completes the record and publishes.
// Nobody waits for any of it.
//
// Owned by Arbiter; the loop's thread only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "keeper/wire.hpp"
#include "model/death.hpp"
#include "model/oom.hpp"
#include "supervise/death_book.hpp"
#include "supervise/ports.hpp"

namespace circus::supervise {

class Deaths {
  public:
    // `book` null: there was no memory for one, and only the events are left. `oom` empty: nobody can tell.
    Deaths(DeathBook* book, EventPort& events, std::function<model::OomCounts()> oom)
        : book_(book), events_(events), oom_(std::move(oom)) {}

    struct Dead {
        std::uint64_t watcher = 0;  // its serial
        std::string name;           // … and its name
        Death death;                // without a verdict
        model::Reaped reaped;
        std::string why;        // what circusd ended it for; empty: nothing in particular
        std::size_t pipes = 0;  // that are still read
        Replaced replaced = Replaced::No;
    };
    void died(Dead dead);
    // A process that could not be spawned.
    struct FailedSpawn {
        std::uint64_t watcher = 0;
        std::string name;
        std::int32_t wid = 0;
        double time = 0;                          // seconds since the epoch
        std::optional<keeper::SpawnStage> stage;  // nothing: it did not come so far
        int error = 0;                            // errno, or 0
        std::string why;
    };
    void not_started(const FailedSpawn& failed);
    void spawned(std::uint64_t watcher);
    // Since circusd was started; without a book, since this arbiter runs.
    Tally tally(std::uint64_t watcher) const;
    // One of its pipes is at its end; `last`: the last that came of it, if it was its stderr. Of others than
    // those that died(), too.
    void drained(ChildId child, const std::optional<std::string>& last);
    void settle();
    void look_at_memory();  // now and then (OomLedger)
    void forget(std::uint64_t watcher);
    const DeathBook* book() const { return book_; }

  private:
    struct Open {
        Dead dead;
        std::optional<std::string> last;
    };
    void judge(std::vector<ChildId> fresh);
    bool add(const Dead& dead);
    Tally& sums_of(std::uint64_t watcher);
    void keep(std::uint64_t watcher, const Tally& tally);
    void complete(Open& open);

    DeathBook* const book_;
    EventPort& events_;
    const std::function<model::OomCounts()> oom_;
    model::OomLedger ledger_;
    std::unordered_map<ChildId, Open> open_;
    std::unordered_map<std::uint64_t, Tally> tallies_;  // `ended` only where there is no book
    std::vector<ChildId> fresh_, drained_;
};

// A record as clients see it, and the counts of a watcher.
Json to_json(const DeathBook::Record& record);
Json to_json(const std::vector<DeathBook::Count>& counts);

}  // namespace circus::supervise
