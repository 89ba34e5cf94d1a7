#include "supervise/deaths.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "sys/signals.hpp"

namespace circus::supervise {

namespace {

using model::Known;

constexpr std::size_t kMaxLastLine = 200;  // bytes of it in an event

Json known(Known what) {
    return what == Known::Unknown ? Json() : Json(what == Known::Yes);
}

std::vector<std::string> lines_of(std::string_view text) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    return text.empty() ? std::vector<std::string>() : split(text, '\n');
}

// The last that says something.
std::string last_line_of(std::string_view text) {
    text = trim(text);
    const std::size_t newline = text.rfind('\n');
    if (newline != text.npos) text.remove_prefix(newline + 1);
    return std::string(text.substr(0, kMaxLastLine));
}

// Where it could not be started; null: before the keeper was asked to.
Json stage_of(const Death& death) {
    if (death.stage == 0) return {};
    return keeper::to_string(static_cast<keeper::SpawnStage>(death.stage - 1));
}

// What the record and the event have in common.
Json facts_of(const Death& death, const std::string& why) {
    const bool by_signal = death.code < 0;
    return {{"wid", death.wid},
            {"time", death.time},
            {"age", death.age},
            {"exit_code", by_signal || death.is_failed_spawn() ? Json() : Json(death.code)},
            {"signal", by_signal ? Json(sys::signal_name(-death.code)) : Json()},
            {"by_circusd", by_signal ? known(death.verdict.ours) : Json()},
            {"core", death.dumped_core},
            {"oom", known(death.verdict.oom)},
            {"reason", model::to_string(death.verdict.reason)},
            {"why", why.empty() ? Json() : Json(why)},
            {"max_rss", death.max_rss},
            {"cpu_user", death.user_time},
            {"cpu_system", death.system_time}};
}

}  // namespace

void Deaths::died(Dead dead) {
    const ChildId child = dead.death.child;
    fresh_.push_back(child);
    if (dead.pipes == 0) drained_.push_back(child);
    open_.emplace(child, Open{std::move(dead), {}});
}

void Deaths::not_started(const FailedSpawn& failed) {
    Death death;
    death.time = failed.time;
    death.wid = failed.wid;
    death.code = failed.error;
    if (failed.stage) death.stage = static_cast<std::uint8_t>(static_cast<unsigned>(*failed.stage) + 1);
    if (book_) book_->add_failed_spawn(failed.watcher, death, failed.why);
    Tally& tally = sums_of(failed.watcher);
    ++tally.spawns_failed;
    keep(failed.watcher, tally);
    events_.publish(failed.name, "spawn_failed",
                    {{"wid", death.wid},
                     {"time", death.time},
                     {"stage", stage_of(death)},
                     {"errno", death.code == 0 ? Json() : Json(death.code)},
                     {"reason", failed.why}});
}

Tally& Deaths::sums_of(std::uint64_t watcher) {
    const auto [at, is_new] = tallies_.try_emplace(watcher);
    if (is_new && book_) {
        at->second = book_->tally(watcher);
        at->second.ended.clear();
    }
    return at->second;
}

void Deaths::keep(std::uint64_t watcher, const Tally& tally) {
    if (book_) book_->keep(watcher, tally);
}

void Deaths::spawned(std::uint64_t watcher) {
    Tally& tally = sums_of(watcher);
    ++tally.spawned;
    keep(watcher, tally);
}

Tally Deaths::tally(std::uint64_t watcher) const {
    if (book_) return book_->tally(watcher);
    const auto at = tallies_.find(watcher);
    return at == tallies_.end() ? Tally() : at->second;
}

void Deaths::forget(std::uint64_t watcher) {
    tallies_.erase(watcher);
    if (book_) book_->forget(watcher);
}

// False: the arbiter before has told of it already.
bool Deaths::add(const Dead& dead) {
    const auto added = book_ ? book_->add(dead.watcher, dead.death, dead.why) : DeathBook::Added::New;
    if (added == DeathBook::Added::New) {
        Tally& tally = sums_of(dead.watcher);
        if (dead.replaced != Replaced::No) ++tally.replaced[static_cast<std::size_t>(dead.replaced)];
        tally.cpu += std::chrono::duration_cast<std::chrono::microseconds>(
            std::chrono::duration<double>(dead.death.user_time + dead.death.system_time));
        if (!book_) {
            auto& ends = tally.ended[dead.death.code];
            ++(dead.death.asked ? ends.asked : ends.unasked);
        }
        keep(dead.watcher, tally);
    }
    return added != DeathBook::Added::Known;
}

void Deaths::drained(ChildId child, const std::optional<std::string>& last) {
    const auto at = open_.find(child);
    if (at == open_.end()) return;
    if (last) at->second.last = last;
    if (--at->second.dead.pipes == 0) drained_.push_back(child);
}

void Deaths::look_at_memory() {
    if (oom_) ledger_.refresh(oom_());
}

void Deaths::settle() {
    if (!fresh_.empty()) judge(std::exchange(fresh_, {}));
    for (const ChildId child : std::exchange(drained_, {})) {
        auto open = open_.extract(child);
        if (!open.empty()) complete(open.mapped());
    }
}

void Deaths::judge(std::vector<ChildId> fresh) {
    const auto victims =
        static_cast<std::uint64_t>(std::count_if(fresh.begin(), fresh.end(), [this](ChildId child) {
            return model::may_be_oom(open_.at(child).dead.reaped);
        }));
    Known oom = victims == 0 ? Known::No : Known::Unknown;
    if (victims != 0 && oom_) oom = ledger_.attribute(oom_(), victims);
    std::erase_if(fresh, [&](ChildId child) {
        Dead& dead = open_.at(child).dead;
        dead.death.verdict = model::judge_death(dead.reaped, oom);
        return add(dead);
    });
    // What is left the arbiter before has told of already.
    for (const ChildId child : fresh) open_.erase(child);
}

void Deaths::complete(Open& open) {
    Dead& dead = open.dead;
    if (book_) book_->complete(dead.watcher, dead.death.child, open.last.has_value(), open.last.value_or(""));
    Json event = facts_of(dead.death, dead.why);
    event["process_pid"] = dead.death.pid;
    event["last_line"] = open.last ? Json(last_line_of(*open.last)) : Json();
    events_.publish(dead.name, "death", std::move(event));
}

Json to_json(const DeathBook::Record& record) {
    Json json = facts_of(record.death, record.why);
    json["pid"] = record.death.pid;
    json["complete"] = record.death.is_complete;
    json["stderr"] = record.death.keeps_stderr ? Json(lines_of(record.written)) : Json();
    if (!record.death.is_failed_spawn()) return json;
    json["pid"] = Json();  // there was none
    json["stage"] = stage_of(record.death);
    json["errno"] = record.death.code == 0 ? Json() : Json(record.death.code);
    json["times"] = record.death.times;
    return json;
}

Json to_json(const std::vector<DeathBook::Count>& counts) {
    Json exit_codes = Json::object(), signals = Json::object(), reasons = Json::object();
    std::uint64_t total = 0, not_started = 0;
    const auto add = [](Json& to, const std::string& key, std::uint64_t count) {
        to[key] = to.value(key, std::uint64_t{0}) + count;
    };
    for (const DeathBook::Count& each : counts) {
        if (each.reason == model::DeathReason::NotStarted) {
            not_started += each.count;
            continue;
        }
        total += each.count;
        add(reasons, std::string(model::to_string(each.reason)), each.count);
        if (each.code < 0)
            add(signals, sys::signal_name(-each.code), each.count);
        else
            add(exit_codes, std::to_string(each.code), each.count);
    }
    return {{"total", total},
            {"reasons", reasons},
            {"exit_codes", exit_codes},
            {"signals", signals},
            {"not_started", not_started}};
}

}  // namespace circus::supervise
