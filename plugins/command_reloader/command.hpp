// Which files a watcher's command is: the program, looked for in PATH as the daemon does, and where the
// program is an interpreter its script.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace command_reloader {

struct CommandFile {
    std::string path;  // absolute
    bool program = false;
    bool operator<(const CommandFile& other) const { return path < other.path; }
};

// `options` is the answer of the command of that name, `path` the daemon's PATH.
std::vector<CommandFile> files_of(const nlohmann::json& options, const std::string& path);

// As a POSIX shell splits words; what it would expand stays as it is.
std::vector<std::string> split_words(std::string_view text);

}  // namespace command_reloader
