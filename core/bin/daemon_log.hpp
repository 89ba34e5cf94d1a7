// The daemon's own log: spdlog, asynchronous. A full pipe, a full disk or a syslog server behind it costs
// lines, never time: the queue is bounded, the oldest lines give way, and how many were lost is said as soon
// as a line gets through. open_log() and close_log() once, before and after the loop; the others on the
// loop's thread; lines from any thread.
#pragma once

#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "bin/log_target.hpp"

namespace circus::bin {

// `level`: debug, info, warning, error, critical. `format`: text, json.
Status open_log(const std::string& level, const std::string& format, std::unique_ptr<LogTarget> target);
// All three from the next line on.
void set_log_level(const std::string& level);
void set_log_format(const std::string& format);
void set_log_target(std::unique_ptr<LogTarget> target);
void reopen_log();
// Waits until what was logged before is where it belongs. False: it is not within that time.
bool flush_log(Milliseconds limit);
// A last half second, then lines are dropped. False: the log's thread hangs in a disk or a name server; end
// the process without the destructors of its statics (_exit).
bool close_log();

}  // namespace circus::bin
