#include "stats/process_object.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "sys/identity.hpp"

namespace circus::stats {
namespace {

constexpr auto kShortestInterval = Milliseconds(100);
constexpr auto kForgetAfter = std::chrono::minutes(10);
constexpr auto kSweepEvery = std::chrono::minutes(1);
constexpr auto kTotalEvery = std::chrono::seconds(10);
// A process may change its user and its title. It does so when it begins, as a rule; later a change of either
// is seen a little later.
constexpr double kYoung = 10;  // seconds
constexpr auto kNameEvery = std::chrono::seconds(10);

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

void append_member(std::string& out, std::string_view name) {
    out += ",\"";
    out += name;
    out += "\":";
}

template <class Integer>
void append_integer(std::string& out, Integer value) {
    std::array<char, 24> digits;
    out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
}

void append_word(std::string& out, std::string_view text) {
    ((out += '"') += text) += '"';
}

}  // namespace

std::string quoted(const std::string& text) {
    return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_float(std::string& out, double value) {
    std::array<char, 40> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
    out += text;
    if (text.find_first_of(".en") == std::string_view::npos) out += ".0";
}

std::string ctime_text(std::uint64_t cpu_us) {
    const std::uint64_t seconds = cpu_us / 1'000'000;
    const std::uint64_t second = seconds % 60;
    return cat(seconds / 60 % 60, second < 10 ? ":0" : ":", second, ".",
               std::to_string(cpu_us % 1'000'000).substr(0, 2));
}

void ProcessLooks::close(Last& last) {
    if (last.file) --open_;
    last.file.reset();
}

void ProcessLooks::forget(std::map<pid_t, Last>::iterator at) {
    close(at->second);
    last_.erase(at);
}

// By the file that is open, or by one that is opened now, and kept if the process was looked at a moment ago.
std::optional<sys::ProcessFigures> ProcessLooks::read(Last& last, pid_t pid, TimePoint now, double wall) {
    sys::ProcessFigures figures;
    std::optional<sys::StatFile> opened;
    if (!last.file || !last.file->read(figures)) {
        close(last);  // what was open was reaped; the pid may be another's
        opened = sys::StatFile::open(pid);
        if (!opened || !opened->read(figures)) return std::nullopt;
    }
    if (last.start_ticks != figures.start_ticks) last = Last{};
    last.start_ticks = figures.start_ticks;
    if (last.named == TimePoint{} || last.comm != figures.comm || now - last.named >= kNameEvery ||
        wall - figures.create_time < kYoung) {
        last.comm = figures.comm;
        // The figures again: then the names are those of the same process.
        if (!read_names(last, pid, now) || !(opened ? *opened : *last.file).read(figures))
            return std::nullopt;
    }
    const bool is_watched = last.looked != TimePoint{} && now - last.looked < kKeepOpen;
    if (opened && is_watched && open_ < most_open_) {
        last.file = std::move(opened);
        ++open_;
    }
    last.looked = now;
    return figures;
}

bool ProcessLooks::read_names(Last& last, pid_t pid, TimePoint now) {
    sys::ProcessFigures names;
    if (!sys::read_names(pid, names)) return false;
    last.cmdline = quoted(cmdline_of(names.argv0.empty() ? last.comm : names.argv0));
    last.username = quoted(sys::user_name(names.uid));
    last.named = now;
    return true;
}

void ProcessLooks::measure(Last& last, const sys::ProcessFigures& figures, TimePoint now) {
    const std::uint64_t cpu = cpu_us(figures);
    if (last.measured == TimePoint{}) {
        last.cpu_us = cpu;
        last.measured = now;
    } else if (now - last.measured >= kShortestInterval) {
        // The counters of a process may step back by a tick when a thread of it ends.
        const auto used = static_cast<double>(cpu - std::min(cpu, last.cpu_us));
        last.cpu = rounded(100 * used / (to_seconds(now - last.measured) * 1e6), 10);
        last.cpu_us = cpu;
        last.measured = now;
    }
}

double ProcessLooks::memory_percent(std::uint64_t rss_bytes, TimePoint now) {
    if (total_memory_ <= 0 || now - total_read_ >= kTotalEvery) {
        total_memory_ = static_cast<double>(sys::total_memory_bytes());
        total_read_ = now;
    }
    return total_memory_ > 0 ? rounded(100 * static_cast<double>(rss_bytes) / total_memory_, 1000) : 0.0;
}

bool ProcessLooks::append(std::string& out, pid_t pid, TimePoint now, double wall, bool with_children,
                          const Beside& beside) {
    latest_ = std::max(latest_, now);
    if (latest_ >= next_sweep_) {
        next_sweep_ = latest_ + kSweepEvery;
        forget_gone();
    }
    const auto at = last_.try_emplace(pid).first;
    Last& last = at->second;
    const auto figures = read(last, pid, now, wall);
    if (!figures) {
        forget(at);
        return false;
    }
    measure(last, *figures, now);
    out += R"({"pid":)";
    append_integer(out, pid);
    append_member(out, "cmdline");
    out += last.cmdline;
    append_member(out, "username");
    out += last.username;
    append_member(out, "nice");
    append_integer(out, figures->nice);
    append_member(out, "cpu");
    append_float(out, last.cpu);
    append_member(out, "mem");
    append_float(out, memory_percent(figures->rss_bytes, now));
    append_member(out, "mem_info1");
    append_word(out, human_bytes(static_cast<double>(figures->rss_bytes)));
    append_member(out, "mem_info2");
    append_word(out, human_bytes(static_cast<double>(figures->vms_bytes)));
    append_member(out, "ctime");
    append_word(out, ctime_text(cpu_us(*figures)));
    append_member(out, "create_time");
    append_float(out, figures->create_time);
    append_member(out, "age");
    append_float(out, beside.age.value_or(std::max(wall - figures->create_time, 0.0)));
    if (!beside.members.empty()) (out += ',') += beside.members;
    append_member(out, "children");
    out += '[';
    if (with_children) append_children(out, *figures, now, wall);
    out += "]}";
    return true;
}

void ProcessLooks::append_children(std::string& out, const sys::ProcessFigures& figures, TimePoint now,
                                   double wall) {
    for (const pid_t child : sys::children_of(figures)) {
        const std::size_t before = out.size();
        if (out.back() != '[') out += ',';
        if (!append(out, child, now, wall, false, {})) out.resize(before);
    }
}

std::optional<Json> ProcessLooks::look(pid_t pid, TimePoint now, double wall, bool with_children) {
    std::string text;
    if (!append(text, pid, now, wall, with_children, {})) return std::nullopt;
    return Json::parse(text);
}

void ProcessLooks::forget_gone() {
    for (auto at = last_.begin(); at != last_.end();) {
        const auto here = at++;
        if (latest_ - here->second.looked > kForgetAfter) forget(here);
    }
}

void ProcessLooks::rest(TimePoint now) {
    if (open_ == 0 || now < next_rest_) return;
    next_rest_ = now + kKeepOpen;
    for (auto& [pid, last] : last_)
        if (now - last.looked >= kKeepOpen) close(last);
}

}  // namespace circus::stats
