#include "stats/process_object.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "sys/identity.hpp"

namespace circus::stats {
namespace {

constexpr auto kShortestInterval = Milliseconds(100);
constexpr auto kForgetAfter = std::chrono::minutes(10);
constexpr auto kSweepEvery = std::chrono::minutes(1);

double rounded(double value, double steps_per_unit) {
    return std::round(value * steps_per_unit) / steps_per_unit;
}

std::uint64_t cpu_us(const sys::ProcessFigures& figures) {
    return figures.utime_us + figures.stime_us;
}

// Base name of the first word: of "/usr/bin/x -v" (a title that a process gave itself) "x".
std::string cmdline_of(std::string_view argv0) {
    const std::string_view trimmed = trim(argv0);
    const std::string_view word = trimmed.substr(0, trimmed.find_first_of(" \t\n"));
    return std::string(word.substr(word.find_last_of('/') + 1));
}

// What a process calls itself need not be UTF-8, and JSON would refuse the whole answer for it.
std::string as_utf8(std::string text) {
    const auto is_ascii = [](char c) { return static_cast<signed char>(c) >= 0; };
    if (std::all_of(text.begin(), text.end(), is_ascii)) return text;
    const std::string dumped = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
    return Json::parse(dumped).get<std::string>();
}

double memory_percent(std::uint64_t rss_bytes) {
    const auto total = static_cast<double>(sys::total_memory_bytes());
    return total > 0 ? rounded(100 * static_cast<double>(rss_bytes) / total, 1000) : 0.0;
}

Json to_object(const sys::ProcessFigures& figures, double cpu, double wall) {
    return Json{{"pid", figures.pid},
                {"cmdline", as_utf8(cmdline_of(figures.argv0))},
                {"username", sys::user_name(figures.uid)},
                {"nice", figures.nice},
                {"cpu", cpu},
                {"mem", memory_percent(figures.rss_bytes)},
                {"mem_info1", human_bytes(static_cast<double>(figures.rss_bytes))},
                {"mem_info2", human_bytes(static_cast<double>(figures.vms_bytes))},
                {"ctime", ctime_text(cpu_us(figures))},
                {"create_time", figures.create_time},
                {"age", std::max(wall - figures.create_time, 0.0)},
                {"children", Json::array()}};
}

}  // namespace

std::string ctime_text(std::uint64_t cpu_us) {
    const std::uint64_t seconds = cpu_us / 1'000'000;
    const std::uint64_t second = seconds % 60;
    return cat(seconds / 60 % 60, second < 10 ? ":0" : ":", second, ".",
               std::to_string(cpu_us % 1'000'000).substr(0, 2));
}

double ProcessLooks::cpu_since_last(const sys::ProcessFigures& figures, TimePoint now) {
    const std::uint64_t cpu = cpu_us(figures);
    const auto [found, is_new] = last_.try_emplace(figures.pid);
    Last& last = found->second;
    last.looked = now;
    if (is_new || last.start_ticks != figures.start_ticks) {
        last = {figures.start_ticks, cpu, 0.0, now, now};
    } else if (now - last.measured >= kShortestInterval) {
        // The counters of a process may step back by a tick when a thread of it ends.
        const auto used = static_cast<double>(cpu - std::min(cpu, last.cpu_us));
        last.cpu = rounded(100 * used / (to_seconds(now - last.measured) * 1e6), 10);
        last.cpu_us = cpu;
        last.measured = now;
    }
    return last.cpu;
}

std::optional<Json> ProcessLooks::look(pid_t pid, TimePoint now, double wall, bool with_children) {
    latest_ = std::max(latest_, now);
    if (latest_ >= next_sweep_) {
        next_sweep_ = latest_ + kSweepEvery;
        forget_gone();
    }
    const auto figures = sys::read_figures(pid);
    if (!figures) {
        last_.erase(pid);
        return std::nullopt;
    }
    Json object = to_object(*figures, cpu_since_last(*figures, now), wall);
    if (with_children)
        for (const pid_t child : sys::children_of(*figures))
            if (auto child_object = look(child, now, wall, false))
                object["children"].push_back(std::move(*child_object));
    return object;
}

void ProcessLooks::forget_gone() {
    std::erase_if(last_, [this](const auto& entry) { return latest_ - entry.second.looked > kForgetAfter; });
}

}  // namespace circus::stats
