// VirtualEnv: where the programs and modules of a Python virtual environment are. It reads directories: look
// when a configuration arrives, not at a spawn.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace circus::config {

struct VirtualEnv {
    std::string root;  // absolute
    std::string bin;
    std::string site_packages;
    std::vector<std::string> more_modules;  // what the .pth files in site_packages name
};

// `py_ver` as "3.11"; empty: the one it has. The error is a reason, to be put behind the option's value.
Result<VirtualEnv> find_virtual_env(const std::string& root, const std::string& py_ver);

}  // namespace circus::config
