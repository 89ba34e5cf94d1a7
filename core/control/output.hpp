// Where circusctl's words go: answers to standard output, complaints to standard error.
#pragma once

#include <string>

#include "control/command_line.hpp"

namespace circus::control {

void print(const std::string& text);
void say(const std::string& line);
int complain(const std::string& text, Exit exit);  // the exit code
int complain(const Error& error);                  // with its own code, one of Exit
// What was said is really written; else a complaint, unless nobody reads it any more.
int finish(int exit);

}  // namespace circus::control
