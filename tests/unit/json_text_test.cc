#include "base/json_text.hpp"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace circus {
namespace {

std::string nested(int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') +
           std::string(static_cast<std::size_t>(depth), ']');
}

TEST(JsonText, WhatIsNestedTooDeepIsNotParsed) {
    EXPECT_TRUE(parse_json(nested(kDeepestJson)).is_array());
    EXPECT_TRUE(parse_json(nested(kDeepestJson + 1)).is_discarded());
    EXPECT_TRUE(parse_json(std::string(130000, '[')).is_discarded());
    EXPECT_TRUE(is_too_deep(R"({"a": [{"b": 1}]})", 2));
    EXPECT_FALSE(is_too_deep(R"({"a": [{"b": 1}]})", 3));
}

TEST(JsonText, BracketsOfATextAndThoseThatAreClosedDoNotCount) {
    EXPECT_EQ(parse_json(R"(["[[[[", "\"[[[[", [1], [2], [3]])", 2).size(), 5U);
    EXPECT_TRUE(parse_json("{").is_discarded());
    EXPECT_TRUE(parse_json("").is_discarded());
}

}  // namespace
}  // namespace circus
