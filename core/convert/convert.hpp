// `circusctl convert`: the configuration of another process manager as a stack.toml of this version, with a
// comment for everything that has no counterpart. Reads files, and needs no daemon.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "convert/source.hpp"

namespace circus::convert {

enum class Format { Circus, Supervisor, Procfile, Pm2 };

std::optional<Format> find_format(std::string_view name);  // "circus", "supervisor", "procfile", "pm2"

struct Converted {
    std::string toml;   // usable only if there is no problem
    Problems problems;  // all there are, by file and line
};

// Without a format: by what stands in the file, and by its name.
Converted convert(const std::string& file, std::optional<Format> format);

}  // namespace circus::convert
