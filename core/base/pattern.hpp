// A regular expression as Python's re writes it, matched at the beginning of a text (re.match) or anywhere in
// it (re.search). Patterns come from clients, so this is an automaton and no backtracking: time is bounded by
// pattern × text, memory by kMaxStates. Known: literals, ., [..], \d \w \s and their opposites, escapes,
// groups
// ((…), (?:…)), |, * + ? {m,n} (greedy or not: only whether there is a match is asked), ^ $. Not known, an
// error: look-around, back-references and other (?…).
#pragma once

#include <bitset>
#include <cstddef>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace circus {

class Pattern {
  public:
    static Result<Pattern> compile(std::string_view text);
    bool matches_beginning_of(std::string_view text) const { return matches(text, false); }
    bool matches_part_of(std::string_view text) const { return matches(text, true); }

  private:
    friend class PatternParser;
    using Bytes = std::bitset<256>;
    struct State {
        enum class Kind { Bytes, Split, Begin, End, Match } kind = Kind::Match;
        Bytes bytes{};
        int next = -1;
        int other = -1;  // Split
    };
    bool matches(std::string_view text, bool anywhere) const;
    void enter(std::vector<int>& active, std::vector<bool>& seen, int state, std::size_t at,
               std::size_t size) const;

    std::vector<State> states_;
    int start_ = 0;
};

}  // namespace circus
