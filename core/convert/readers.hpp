// The four readers. Each adds what it finds to the stack, and every problem of every file to stack.problems;
// none stops at the first.
#pragma once

#include <string>
#include <string_view>

#include "convert/stack.hpp"

namespace circus::convert {

void read_circus_ini(const std::string& file, std::string_view text, Stack& stack);
void read_supervisor(const std::string& file, std::string_view text, Stack& stack);
void read_procfile(const std::string& file, std::string_view text, Stack& stack);  // and the .env beside it
void read_pm2(const std::string& file, std::string_view text, Stack& stack);

}  // namespace circus::convert
