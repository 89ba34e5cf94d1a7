// [circus] logoutput, read: "-" is standard error, "syslog://HOST:PORT?FACILITY" and
// "syslog:///dev/log?FACILITY" a syslog server, anything else a file.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace circus::config {

struct LogOutput {
    enum class Kind { Stderr, File, Syslog } kind = Kind::Stderr;
    std::string path;  // of the file, or of the server's socket; empty: `host`
    std::string host;  // a name or a number
    int port = 514;
    int facility = 0;  // LOG_USER …, as syslog(3) has it
};

// The error stands behind "logoutput = …: ".
Result<LogOutput> parse_log_output(std::string_view written);

}  // namespace circus::config
