// One [program:x] or [fcgi-program:x] of supervisord.conf as watchers: one, or one a process where the number
// of the process is part of the command, so that each gets the very number it had.
#pragma once

#include <string>

#include "convert/ini.hpp"
#include "convert/stack.hpp"
#include "convert/supervisor_text.hpp"

namespace circus::convert {

// `kind`: "program" or "fcgi-program". `outer`: the names that every option may use, %(here)s and so on.
void read_program(Stack& stack, const IniSection& section, const std::string& kind, const std::string& name,
                  const std::string& group, const Names& outer);

}  // namespace circus::convert
