// A program that is run for its answer, within a deadline. It blocks: for a thread that may, or for a program
// that has nothing else to do; never on the loop. Workers are not started this way, they are the keeper's.
//
// The program runs in a process group of its own with an empty signal mask, default dispositions and nothing
// on its input. At the deadline the group gets SIGKILL. Whatever happens, it is reaped when this returns.
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace circus::sys {

struct ShortRun {
    bool in_time = true;         // it ended by itself
    int exit_code = 0;           // where it exited
    int signal = 0;              // where it was killed by one
    std::string output, errors;  // what it wrote, cut off at a megabyte
};

// argv[0] is a path. An error: it could not be started.
Result<ShortRun> run_for_answer(const std::vector<std::string>& argv, Milliseconds deadline);

}  // namespace circus::sys
