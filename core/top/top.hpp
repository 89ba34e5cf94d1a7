// circus-top from its arguments to its exit code: what runs in a stack and how loaded it is, live, read off
// the public stats stream; a Circus in Python has the same one.
#pragma once

#include <string>
#include <vector>

#include "control/client.hpp"

namespace circus::top {

struct Options {
    std::string endpoint;     // control
    control::MaybeKeys keys;  // of a tcp endpoint that wants CURVE
    double timeout = 5;       // seconds, of --once and of the first question
    bool once = false;
    bool json = false;
    bool by_processes = true;
    std::string sort = "name";
    std::string filter;
};

// 0; 1: no answer, or no figures; 2: what the options ask for does not go here.
int run_top(const Options& options);

}  // namespace circus::top
