// A file that must not be there yet: what is there may have been edited.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>

#include "base/result.hpp"

namespace circus::control {

// Makes it, with that mode less the umask, and writes the text, all of it or none; the error names the file.
Status write_new_file(const std::string& path, std::string_view text, mode_t mode = 0666);

}  // namespace circus::control
