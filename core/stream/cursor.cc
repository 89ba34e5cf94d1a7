#include "stream/cursor.hpp"

#include <random>

#include "base/text.hpp"

namespace circus::stream {

std::string random_mark() {
    std::random_device source;
    return cat(source());
}

std::string cursor_of(std::string_view mark, std::uint64_t next) {
    return cat(mark, ".", next);
}

std::optional<std::uint64_t> next_in(std::string_view cursor, std::string_view mark) {
    const std::size_t dot = cursor.find('.');
    if (dot == cursor.npos || cursor.substr(0, dot) != mark) return std::nullopt;
    const auto number = parse_int(cursor.substr(dot + 1));
    if (!number || *number < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*number);
}

}  // namespace circus::stream
