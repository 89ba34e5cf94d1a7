// The files a conversion reads: where something stands in them, and what is wrong there.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace circus::convert {

struct Place {
    std::string file;               // as given on the command line, or in an include
    int line = 0;                   // from 1; 0: the file as a whole
    std::string to_string() const;  // "circus.ini:3"
};

struct Problem {
    Place at;
    std::string text;
    std::string to_string() const;  // "circus.ini:3: no such signal"
};
using Problems = std::vector<Problem>;

// The whole file, without a byte order mark and with \n at the end of each line.
Result<std::string> read_source(const std::string& path);

// `path` as seen from the file `from`: absolute, or relative to its directory.
std::string beside(const std::string& from, const std::string& path);

// The files a pattern names, sorted; the pattern is relative to the directory of `from`.
std::vector<std::string> files_beside(const std::string& from, const std::string& pattern);

}  // namespace circus::convert
