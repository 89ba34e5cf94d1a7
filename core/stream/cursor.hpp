// Cursor: where a reader of kept lines goes on, as the answer to `logs` has it: the mark of what keeps them,
// which no other has, and the number of the next line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace circus::stream {

std::string random_mark();
std::string cursor_of(std::string_view mark, std::uint64_t next);
// The number in it. Nothing: it is none of that mark.
std::optional<std::uint64_t> next_in(std::string_view cursor, std::string_view mark);

}  // namespace circus::stream
