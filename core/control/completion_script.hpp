// The completion files of the shells. Each hands the line up to the cursor to `circusctl complete` and offers
// what comes back, so all of them, and circusctl's own prompt, know the same commands: the table's, and what
// the daemon's plugins brought.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "control/completion.hpp"

namespace circus::control {

Result<std::string> completion_script(std::string_view shell);  // bash, zsh, fish
// `circusctl complete LINE`: `words` or `files`, then a line per candidate, its meaning behind a tab.
std::string completion_text(const std::string& line, const Ask& ask);

}  // namespace circus::control
