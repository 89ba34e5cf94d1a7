#include "state.hpp"

#include <cmath>
#include <iterator>
#include <string>
#include <utility>

#include <circus/plugin.hpp>

namespace autoscaler {

namespace {

constexpr int kVersion = 1;

[[noreturn]] void reject(const std::string& why) {
    throw circus::Failure(CIRCUS_E_INVALID, why);
}

// Two digits: what is kept shall not change with every sample.
double coarse(double value) {
    if (value <= 0) return 0;
    const double unit = std::pow(10, std::floor(std::log10(value)) - 1);
    return std::round(value / unit) * unit;
}

void put(Json& row, const char* name, const std::optional<Time>& time) {
    if (time) row[name] = time->count();
}

// The clock goes on from one arbiter to the next: nothing has happened later than now.
Time past_time(const Json& value, Time now) {
    const Time time(value.get<Time::rep>());
    if (time > now) reject("a time is in the future");
    return time;
}

std::optional<Time> past_time(const Json& row, const char* name, Time now) {
    const auto at = row.find(name);
    return at == row.end() ? std::nullopt : std::optional(past_time(*at, now));
}

std::optional<double> positive(const Json& row, const char* name) {
    const auto at = row.find(name);
    if (at == row.end()) return std::nullopt;
    const auto value = at->get<double>();
    if (!std::isfinite(value) || value <= 0) reject(std::string(name) + " is not above 0");
    return value;
}

Policy::Past past_in(const Json& row, Time now) {
    Policy::Past past;
    if (const auto at = row.find("window"); at != row.end()) past.window = Time(at->get<Time::rep>());
    past.last_growth = past_time(row, "grown", now);
    past.last_shrink = past_time(row, "shrunk", now);
    past.last_regret = past_time(row, "regret", now);
    for (const Json& each : row.value("growths", Json::array()))
        past.growths.push_back({past_time(each.at(0), now), each.at(1).get<int>()});
    return past;
}

// An object; empty: there is nothing to keep.
Json row_of(const Scaled& it) {
    Json row = Json::object();
    if (it.is_paused) row["paused"] = true;
    if (!it.set.empty()) row["set"] = it.set;
    if (const auto boot = it.crew.measured_boot()) row["boot"] = *boot;
    if (const auto rate = it.load.learnt()) row["rate"] = coarse(*rate);
    put(row, "flapping", it.crew.flapping());
    const Policy::Past past = it.policy ? it.policy->past() : it.past.value_or(Policy::Past{});
    put(row, "window", past.window);
    put(row, "grown", past.last_growth);
    put(row, "shrunk", past.last_shrink);
    put(row, "regret", past.last_regret);
    for (const auto& growth : past.growths) row["growths"].push_back({growth.at.count(), growth.workers});
    return row;
}

void read_row(Scaled& it, const Json& row, Time now) {
    const Json set = row.value("set", Json::object());
    for (const auto& [name, value] : set.items())
        if (const auto problem = problem_of(name, value); !problem.empty()) reject(problem);
    const bool is_paused = row.value("paused", false);
    const auto boot = positive(row, "boot"), rate = positive(row, "rate");
    const auto flapping = past_time(row, "flapping", now);
    it.past = past_in(row, now);
    it.set = set;
    it.is_paused = is_paused;
    it.crew.recall(boot, flapping);
    if (rate) it.load.recall(*rate);
}

}  // namespace

void Notebook::open(const Json& state) {
    const auto version = state.find("version");
    const auto rows = state.find("watchers");
    if (version == state.end() || rows == state.end() || !rows->is_object())
        reject("it is no state of this plugin");
    if (*version != kVersion)
        reject("it is of version " + version->dump() + ", not " + std::to_string(kVersion));
    left_ = kept_ = *rows;
}

void Notebook::recall(const std::string& name, Scaled& it, Time now) {
    const auto at = left_.find(name);
    if (at == left_.end()) return;
    const Json row = std::move(*at);
    left_.erase(at);
    read_row(it, row, now);
}

void Notebook::forget_all_but(const Json& names) {
    for (auto row = left_.begin(); row != left_.end();)
        row = names.contains(row.key()) ? std::next(row) : left_.erase(row);
}

std::optional<Json> Notebook::changed(const AllScaled& scaled) {
    Json rows = left_;
    for (const auto& [name, it] : scaled)
        if (Json row = row_of(*it); !row.empty()) rows[name] = std::move(row);
    if (rows == kept_) return std::nullopt;
    kept_ = std::move(rows);
    return Json{{"version", kVersion}, {"watchers", kept_}};
}

}  // namespace autoscaler
