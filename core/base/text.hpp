// Small words about text that several layers share: joining, splitting as a shell does, Circus's name
// matching, Python's quoting (Circus's error texts carry it), "did you mean".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.hpp"

namespace circus {

namespace detail {
inline void append(std::string& out, std::string_view part) {
    out += part;
}
inline void append(std::string& out, char part) {
    out += part;
}
void append_number(std::string& out, double number);  // 2.5, 60: no more digits than it has
template <class N>
requires std::is_arithmetic_v<N>
void append(std::string& out, N part) {
    if constexpr (std::is_floating_point_v<N>)
        append_number(out, static_cast<double>(part));
    else
        out += std::to_string(part);
}
}  // namespace detail

// cat("watcher ", name, ": ", 3, " processes"): texts and numbers in one string.
template <class... Parts>
std::string cat(const Parts&... parts) {
    std::string out;
    (detail::append(out, parts), ...);
    return out;
}

std::string to_lower(std::string_view text);  // ASCII
bool equals_ignoring_case(std::string_view a, std::string_view b);
std::string_view trim(std::string_view text);
std::string join(const std::vector<std::string>& parts, std::string_view between);
std::vector<std::string> split(std::string_view text, char at);  // "a,,b" -> "a", "", "b"

// Words as a POSIX shell splits them: blanks, '…', "…", backslash. No expansion. Unbalanced quotes are an
// error.
Result<std::vector<std::string>> split_words(std::string_view text);

// fnmatch(3) patterns (*, ?, [..]) on the lower-cased texts, as Circus matches watcher names.
bool glob_match(std::string_view pattern, std::string_view text);

// Python's repr() of a text: 'x', with double quotes where it holds single ones, \n and \xNN escaped.
std::string py_repr(std::string_view text);

// The candidate nearest to `text` by edit distance, if near enough to be a slip (at most a third of its
// length).
std::optional<std::string> did_you_mean(std::string_view text, const std::vector<std::string>& candidates);

std::optional<long long> parse_int(std::string_view text);  // the whole text, decimal
std::optional<double> parse_number(std::string_view text);  // the whole text, finite

// 1536 -> "1.50K", 12 -> "12B": two decimals and K M G T P E by 1024, as Circus prints memory.
std::string human_bytes(double bytes);

}  // namespace circus
