// The parts of docs/config.md and docs/commands.md that are written from the option and command tables. Each
// stands in its file between two comments, and what is around them is written by hand:
//
//   <!-- table: watcher options -->
//   …
//   <!-- end of table -->
//
// circus-docgen fills them in (`cmake --build build --target docs`); a test fails where they are stale.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace circus::control {

// Names of all parts; each belongs into one of the files.
std::vector<std::string_view> manual_parts();
// `page` with each part in it written anew. An error names the line of a mark that is no part's, or is not
// closed.
Result<std::string> fill_manual(const std::string& page);
// The names of the parts that `page` has a place for.
std::vector<std::string> parts_of(const std::string& page);

}  // namespace circus::control
