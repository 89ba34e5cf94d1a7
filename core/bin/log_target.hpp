// LogTarget: where the lines of the daemon's own log go: standard error, a file, or a syslog server. Used by
// the log's thread alone, which may wait here for as long as a reader is slow; everybody else goes on. What a
// target cannot take is lost, and the log says so.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "config/log_output.hpp"

namespace circus::bin {

struct LogRecord {
    std::chrono::system_clock::time_point at;
    log::Level level;
    std::string_view text;
};

// The line, without its end. `text`: "2026-11-26 09:30:00.123 circusd[12] [info] text", control characters
// escaped; `json`: an object with time, level, pid and message.
std::string text_line(const LogRecord& record);
std::string plain_text(const LogRecord& record);  // text_line() from "text" on
std::string json_line(const LogRecord& record);

class LogTarget {
  public:
    virtual ~LogTarget() = default;
    // An error: the line is lost. `give_up` is asked again and again while the target takes nothing.
    virtual Status write(const LogRecord& record, bool json, const std::function<bool()>& give_up) = 0;
    // Somebody renamed the file, or the server was started anew. An error: it goes on as it was.
    virtual Status reopen() = 0;
};

// An error names the file. A syslog server that does not answer is none: it may come yet. Does not block but
// for a local disk; a host is looked up with the first line.
Result<std::unique_ptr<LogTarget>> open_log_target(const config::LogOutput& output);

// The two kinds.
Result<std::unique_ptr<LogTarget>> open_file_target(const std::string& path);  // empty: standard error
std::unique_ptr<LogTarget> make_syslog_target(const config::LogOutput& output);

}  // namespace circus::bin
