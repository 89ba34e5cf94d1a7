// JSON that somebody else has written: a visitor, or a circusd of which it is not known what it says. Nothing
// here throws for what a text holds.
#pragma once

#include <string>
#include <string_view>

#include <circus/plugin.hpp>

namespace console {

// Discarded: it is no JSON, or nested deeper than anybody needs. Copying and printing a value take stack by
// its depth.
circus::Json parse_foreign(std::string_view text);

// The member of an object, where it is there and of that kind; else `otherwise`, or an empty one.
std::string text_in(const circus::Json& object, const char* key, std::string otherwise = {});
const circus::Json& object_in(const circus::Json& object, const char* key);
const circus::Json& array_in(const circus::Json& object, const char* key);
double number_in(const circus::Json& object, const char* key, double otherwise = 0);

}  // namespace console
