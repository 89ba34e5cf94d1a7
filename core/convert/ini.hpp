// INI files as Python's configparser reads them, with the two programs' own habits: Circus has a reader of
// its own (the first of two options of one name wins, names keep their case, only " ;" begins a comment
// behind a value), supervisord uses the library's (the last wins, names in lower case, " ;" and " #" begin
// one).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "convert/source.hpp"

namespace circus::convert {

enum class IniDialect { Circus, Supervisor };

struct IniOption {
    std::string name;
    std::string value;  // lines that continue it are joined by \n
    Place at;
};

struct IniSection {
    std::string name;
    Place at;
    std::vector<IniOption> options;
    const IniOption* find(std::string_view option) const;
    const std::string* value(std::string_view option) const;  // null: not there
};

struct Ini {
    std::vector<IniSection> sections;  // in the order of their first lines
    std::vector<IniOption> ignored;    // options that an earlier one of their name hides
    const IniSection* find(std::string_view name) const;
};

// Adds the file's sections and options to what was read before, as a second read of configparser does.
void read_ini(const std::string& file, std::string_view text, IniDialect dialect, Ini& into,
              Problems& problems);

}  // namespace circus::convert
