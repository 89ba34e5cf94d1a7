// The files of the page, in the library itself: assets.cc is made of them when the plugin is built.
#pragma once

#include <string_view>

namespace console {

struct Asset {
    std::string_view name, type, tag, body;  // tag: changes with the body
};

const Asset* find_asset(std::string_view name);  // null: there is none

}  // namespace console
