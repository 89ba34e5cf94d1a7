// Sources: the main file and what it includes, read and merged into one document. An included file adds
// sections and fills in options that are missing; it never overrides. Internal to this folder.
#pragma once

#include <string>
#include <vector>

#include "config/document.hpp"
#include "config/load.hpp"

namespace circus::config {

struct Sources {
    Entry document;                  // without `include` and `include_dir`
    std::vector<std::string> files;  // as given; a Position's file is an index of it
    bool readable = true;            // false: the main file could not be read or is not TOML
    std::vector<Diagnostic> errors;
    std::vector<Diagnostic> warnings;
};

Sources read_sources(const std::string& file, const std::vector<std::string>& environment);

}  // namespace circus::config
