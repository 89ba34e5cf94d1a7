// Schedule: the periods of a log that is rotated by time, and what its old files are called. Pure, but for
// the time zone.
//
// A period begins on the full second, minute, hour or day of the clock on the wall and is `interval` of them
// long, counted from 1970, so it does not matter when circusd was started. A week ends with the day it is
// named after: W0 is over when Monday is.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace circus::stream {

class Schedule {
  public:
    struct Period {
        time_t begin = 0;
        time_t end = 0;  // the first moment that is not of it
        bool holds(time_t when) const { return begin <= when && when < end; }
        bool operator==(const Period&) const = default;
    };

    // `when`: S M H D W0…W6 MIDNIGHT, in any case; nothing else is a schedule.
    static std::optional<Schedule> make(std::string_view when, int interval, bool utc);

    Period period_of(time_t moment) const;
    std::string suffix(time_t begin) const;       // "2026112610"
    bool is_suffix(std::string_view text) const;  // of the right number of digits
    bool operator==(const Schedule&) const = default;

  private:
    enum class Unit { Second, Minute, Hour, Day, Week };
    Schedule(Unit unit, int interval, int weekday, bool utc)
        : unit_(unit), interval_(interval), weekday_(weekday), utc_(utc) {}
    tm broken_down(time_t moment) const;
    time_t midnight(long long day) const;  // the first moment of the day, counted from 1970-01-01

    Unit unit_;
    int interval_;
    int weekday_;  // of Week: its last day, 0 is Monday
    bool utc_;
};

}  // namespace circus::stream
