#include "crew.hpp"

#include <algorithm>
#include <vector>

#include <circus/values.hpp>

#include "knobs.hpp"

namespace autoscaler {

namespace {

double median_of(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// What it uses itself, and what its children do (`stats` has the direct ones).
std::optional<double> with_children(const Json& process, std::optional<double> (*figure)(const Json&)) {
    auto sum = figure(process);
    if (const auto children = process.find("children"); sum && children != process.end())
        for (const Json& each : *children)
            if (each.is_object()) *sum += figure(each).value_or(0);  // it vanished meanwhile
    return sum;
}
std::optional<double> bytes_in(const Json& process) {
    const auto at = process.find("mem_info1");
    return at == process.end() ? std::nullopt : std::optional<double>(circus::bytes_of(*at));
}
std::optional<double> cpu_in(const Json& process) {
    return number_in(process, "cpu");
}

}  // namespace

void Crew::measured(Known& known, double seconds) {
    constexpr double kWeight = 0.3;
    if (std::exchange(known.is_measured, true)) return;
    measured_boot_ = measured_boot_ ? *measured_boot_ * (1 - kWeight) + seconds * kWeight : seconds;
}

void Crew::became_ready(std::int64_t pid, Time now) {
    const auto born = born_.find(pid);
    if (born != born_.end()) measured(known_[pid], std::chrono::duration<double>(now - born->second).count());
}

bool Crew::judge_ready(Known& known, const Json& process, double age) {
    const auto told = process.find("ready");
    if (told == process.end() || !told->is_boolean())
        return age >= std::chrono::duration<double>(boot_time_).count();
    const bool is_ready = told->get<bool>();
    // One that was ready when it was first seen has no beginning that is known.
    if (is_ready && known.was_seen && !known.was_ready) measured(known, age);
    return is_ready;
}

// The use of all, and then by how many there are: more of them have the same work to do.
void Crew::average_cpu(double used, Time now) {
    uses_.push_back({now, used});
    while (uses_.front().at + Load::kAveraged <= now) uses_.pop_front();
    double sum = 0;
    for (const Use& each : uses_) sum += each.cpu;
    cpu_ = sum / static_cast<double>(uses_.size()) / std::max(1, ready_);
}

void Crew::look(const Json& info, int wanted, Time boot_time, Time now) {
    boot_time_ = measured_boot_
                     ? std::chrono::duration_cast<Time>(std::chrono::duration<double>(*measured_boot_))
                     : boot_time;
    wanted_ = wanted;
    ready_ = booting_ = 0;
    double cpu = 0, rss = 0;
    int cpu_known = 0;
    bool rss_known = true;
    std::vector<double> footprints;
    std::set<int> wids;
    std::set<std::int64_t> alive;
    has_twins_ = false;
    for (const auto& each : info) {
        if (!each.is_object()) continue;  // it vanished meanwhile
        const auto pid = each.at("pid").get<std::int64_t>();
        alive.insert(pid);
        Known& known = known_[pid];
        const auto bytes = with_children(each, bytes_in);
        rss_known = rss_known && bytes.has_value();
        rss += bytes.value_or(0);
        const int wid = each.value("wid", 0);
        if (wid <= wanted && !wids.insert(wid).second) has_twins_ = true;
        const bool is_ready = judge_ready(known, each, each.value("age", 0.0));
        known.was_seen = true;
        const bool was_ready = std::exchange(known.was_ready, is_ready);
        if (wid > wanted) continue;
        ++(is_ready ? ready_ : booting_);
        if (!is_ready) continue;
        if (bytes) footprints.push_back(*bytes);
        if (const auto use = with_children(each, cpu_in); use && was_ready) {
            cpu += *use;
            ++cpu_known;
        }
    }
    alive_ = static_cast<int>(alive.size());
    cpu_.reset();
    if (cpu_known > 0) average_cpu(cpu, now);
    rss_ = rss_known ? std::optional(rss) : std::nullopt;
    rss_worker_ = footprints.empty() ? std::nullopt : std::optional(median_of(std::move(footprints)));
    const auto is_gone = [&](const auto& row) { return !alive.contains(row.first); };
    std::erase_if(known_, is_gone);
}

void Crew::reaped(std::int64_t pid, Time now) {
    const bool was_asked = asked_.erase(pid) > 0;
    const auto born = born_.extract(pid);
    if (was_asked || !born || now - born.mapped() > kShortLife + boot_time_) return;
    young_deaths_.push_back(now);
    while (young_deaths_.size() > kManyDeaths) young_deaths_.pop_front();
    if (young_deaths_.size() == kManyDeaths && young_deaths_.front() + kFlapping >= now) flapping_ = now;
}

Fleet Crew::fleet(Time now) const {
    Fleet fleet;
    fleet.wanted = wanted_;
    fleet.ready = ready_;
    fleet.booting = booting_;
    fleet.boot_time = boot_time_;
    fleet.is_flapping = flapping_ && *flapping_ + kFlapping > now;
    const Time longest = std::min(kLongestReload, kReloadOfOne * std::max(1, wanted_));
    fleet.is_reloading = has_twins_ || (reload_ && *reload_ + longest > now);
    return fleet;
}

}  // namespace autoscaler
