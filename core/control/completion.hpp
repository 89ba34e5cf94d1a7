// What may stand at the end of a command line: of circusctl's own prompt, and of the shells, whose completion
// files only hand their line over. Read off the command and the option table; names are asked from the
// daemon. Pure but for `ask`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/json.hpp"

namespace circus::control {

struct Candidate {
    std::string word;
    std::string doc;
    friend bool operator==(const Candidate&, const Candidate&) = default;
};

struct Completion {
    std::string word;                   // what stands there already
    bool files = false;                 // a file's name belongs there
    std::vector<Candidate> candidates;  // each begins with `word`
};

// The answer to a query, at the --endpoint that the line names (empty: none); null: there is none, or an
// error.
using Ask =
    std::function<Json(const std::string& endpoint, const std::string& command, const Json& properties)>;

// A line up to the cursor, without the word circusctl: its whole words, and the one that the cursor is in or
// could begin. Quotes are removed.
struct LineStart {
    std::vector<std::string> words;
    std::string last;
};
LineStart split_line(const std::string& line);

// `more`: commands beside those of the tables.
Completion complete(const LineStart& line, const Ask& ask, const std::vector<Candidate>& more = {});

}  // namespace circus::control
