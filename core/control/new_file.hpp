// A file that must not be there yet: what is there may have been edited.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace circus::control {

// Makes it and writes the text, all of it or none; the error names the file.
Status write_new_file(const std::string& path, std::string_view text);

}  // namespace circus::control
