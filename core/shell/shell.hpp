// circusctl's prompt: says the version and the status, then takes commands until the end of the input or
// `exit`. `quit` is Circus's command and ends the daemon, not the prompt. On a terminal lines can be edited,
// completed and called back; from a pipe they are read as they come. Whatever a command's exit code, the next
// one is read.
#pragma once

#include "control/command_line.hpp"

namespace circus::shell {

int run_shell(const control::Invocation& own);  // always 0

}  // namespace circus::shell
