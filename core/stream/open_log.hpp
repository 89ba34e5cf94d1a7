// Opening a log file: for appending, made where it is missing, and never through a link that somebody else
// planted.
#pragma once

#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace circus::stream {

// Mode 0644 (less the umask), CLOEXEC, never blocking in open: a FIFO without a reader is an error (ENXIO). A
// symbolic link in any part of the path is followed by the rule of sys/trusted_path.hpp alone; otherwise
// ELOOP.
Result<UniqueFd> open_log(const std::string& path);

}  // namespace circus::stream
