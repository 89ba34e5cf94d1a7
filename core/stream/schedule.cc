#include "stream/schedule.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace circus::stream {

namespace {

// Towards minus infinity, to a multiple of `step`.
long long floor_to(long long value, long long step) {
    const long long rest = value % step;
    return value - (rest < 0 ? rest + step : rest);
}

}  // namespace

std::optional<Schedule> Schedule::make(std::string_view when, int interval, bool utc) {
    const std::string word = to_lower(when);
    interval = std::max(interval, 1);
    if (word == "s") return Schedule(Unit::Second, interval, 0, utc);
    if (word == "m") return Schedule(Unit::Minute, interval, 0, utc);
    if (word == "h") return Schedule(Unit::Hour, interval, 0, utc);
    if (word == "d" || word == "midnight") return Schedule(Unit::Day, interval, 0, utc);
    if (word.size() == 2 && word[0] == 'w' && word[1] >= '0' && word[1] <= '6')
        return Schedule(Unit::Week, interval, word[1] - '0', utc);
    return std::nullopt;
}

tm Schedule::broken_down(time_t moment) const {
    tm parts{};
    if (utc_)
        gmtime_r(&moment, &parts);
    else
        localtime_r(&moment, &parts);
    return parts;
}

time_t Schedule::midnight(long long day) const {
    if (utc_) return static_cast<time_t>(day * 86400);
    tm parts{};
    parts.tm_year = 70;
    parts.tm_mday = static_cast<int>(1 + day);
    parts.tm_isdst = -1;
    return mktime(&parts);
}

Schedule::Period Schedule::period_of(time_t moment) const {
    const tm parts = broken_down(moment);
    const long long local = moment + (utc_ ? 0 : parts.tm_gmtoff);
    if (unit_ == Unit::Day || unit_ == Unit::Week) {
        const long long length = unit_ == Unit::Day ? interval_ : 7LL * interval_;
        // The first day of the week that holds 1970-01-01, a Thursday.
        const long long offset = unit_ == Unit::Day ? 0 : (weekday_ + 1 - 3) % 7;
        const long long day = floor_to(local, 86400) / 86400;
        const long long first = floor_to(day - offset, length) + offset;
        return {midnight(first), midnight(first + length)};
    }
    const long long unit = unit_ == Unit::Second ? 1 : unit_ == Unit::Minute ? 60 : 3600;
    const long long length = unit * interval_;
    const long long begin = floor_to(local, length) - (local - moment);
    return {static_cast<time_t>(begin), static_cast<time_t>(begin + length)};
}

std::string Schedule::suffix(time_t begin) const {
    const char* const format = unit_ == Unit::Second   ? "%Y%m%d%H%M%S"
                               : unit_ == Unit::Minute ? "%Y%m%d%H%M"
                               : unit_ == Unit::Hour   ? "%Y%m%d%H"
                                                       : "%Y%m%d";
    const tm parts = broken_down(begin);
    char text[32];
    return {text, std::strftime(text, sizeof text, format, &parts)};
}

bool Schedule::is_suffix(std::string_view text) const {
    return text.size() == suffix(0).size() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace circus::stream
