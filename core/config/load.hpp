// TOML -> Config. The only folder that sees toml++. All errors of all files are found in one pass and each
// names file:line:column of the key, what is wrong, and the remedy where one is known.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/plugin_catalog.hpp"

namespace circus::config {

struct Diagnostic {
    std::string file;
    int line = 0;  // from 1; 0: the file as a whole
    int column = 0;
    std::string text;
    std::string subject = {};  // of broken_plugins: the plugin's name
    // "stack.toml:3:1: unknown option …"; the file as it was given on the command line or in `include`.
    std::string to_string() const;
};

struct Loaded {
    Config config;  // usable only if errors is empty
    std::vector<Diagnostic> errors;
    std::vector<Diagnostic> warnings;  // what has no effect, or an unknown $(circus.x)
    // Plugins whose library cannot be used: the stack runs without them. They are in the config, unusable.
    std::vector<Diagnostic> broken_plugins;
};

// Reads `file` and what it includes. Never throws. `circus.env.NAME` and `$NAME` come from `environment`
// ("NAME=value"), in the product the daemon's own. User and group names are resolved here, never later.
// `as_pid1`: for a daemon that is PID 1, whose stop_timeout is shorter where the file says nothing.
// `catalog` knows the plugins; null: there are none. It is asked during the call, and may block.
Loaded load(const std::string& file, const std::vector<std::string>& environment, bool as_pid1 = false,
            const PluginCatalog* catalog = nullptr);

// What --check prints when there is no error: each watcher and socket in a line.
std::string summary(const Config& config);

}  // namespace circus::config
