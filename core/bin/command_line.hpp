// circusd's command line, as words to a struct. What is wrong with it is said here, with the remedy.
#pragma once

#include <optional>

#include "bin/arbiter_main.hpp"

namespace circus::bin {

struct CommandLine {
    ArbiterOptions arbiter;
    bool check = false;
    bool is_arbiter = false;       // started by the keeper
    int resume = -1;               // the keeper of another binary has become this one
    std::optional<int> exit_code;  // said already what there is to say: end with it
};

CommandLine parse_command_line(int argc, char** argv);

}  // namespace circus::bin
