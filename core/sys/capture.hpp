// Capture: memory that a child writes its output into as if it were a file, and that is read when the child
// is gone. It cannot grow: what does not fit is an error of the child's write(2).
#pragma once

#include <cstddef>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace circus::sys {

// Room for `size` bytes.
Result<UniqueFd> make_capture(std::size_t size);
// What was written, up to the first NUL.
std::string read_capture(int fd);

}  // namespace circus::sys
