// Lost: an option of another program that has no counterpart here, and what to do instead: the comment that
// stands in its place. Each format's reader has a table of them.
#pragma once

#include <string_view>

namespace circus::convert {

struct Lost {
    std::string_view name;
    std::string_view advice;
};

}  // namespace circus::convert
