// circusctl from its arguments to its exit code. core/bin/circusctl_main.cc brings both halves together: what
// is here, and the shell, which takes over where no command is given and gives each of its lines back.
#pragma once

#include <string>
#include <vector>

#include "control/command_line.hpp"

namespace circus::control {

// Reads commands until the end of its input; `own`: what the arguments said. The exit code.
using Shell = int (*)(const Invocation& own);

// `arguments` without the program's name. Writes to stdout and stderr.
int run_circusctl(const std::vector<std::string>& arguments, Shell shell);
// One command of the shell. `own`: what holds where the words say nothing else.
int run_command(const std::vector<std::string>& words, const Invocation& own);

}  // namespace circus::control
