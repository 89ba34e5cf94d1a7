#include "base/pattern.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace circus {
namespace {

bool matches(const char* pattern, const std::string& text) {
    const auto compiled = Pattern::compile(pattern);
    EXPECT_TRUE(compiled) << pattern;
    return compiled && compiled->matches_beginning_of(text);
}

TEST(Pattern, AnywhereInATextItMatchesAsPythonsReSearch) {
    struct Row {
        const char* pattern;
        const char* text;
        bool hit;
    };
    const std::vector<Row> rows = {
        {"ready", "is ready now", true},
        {"^ready", "is ready", false},
        {"ready$", "is ready", true},
        {"ready$", "ready now", false},
        {"", "", true},
        {"a|b", "xxb", true},
        {"ab+c", "xabbbcx", true},
        {"ab+c", "xacx", false},
        {"\\d+ connections", "got 12 connections", true},
    };
    for (const Row& row : rows) {
        const auto compiled = Pattern::compile(row.pattern);
        ASSERT_TRUE(compiled) << row.pattern;
        EXPECT_EQ(compiled->matches_part_of(row.text), row.hit) << row.pattern << " in " << row.text;
    }
}

TEST(Pattern, MatchesAsPythonsReMatch) {
    struct Row {
        const char* pattern;
        const char* text;
        bool hit;
    };
    const std::vector<Row> rows = {
        {"web", "web", true},         {"web", "web2", true},
        {"web", "myweb", false},      {"web$", "web2", false},
        {"^web$", "web", true},       {"", "x", true},
        {"w.b", "wxb", true},         {"a|b", "b", true},
        {"a|b", "c", false},          {"a*b", "aaab", true},
        {"a+b", "b", false},          {"a?b", "b", true},
        {"(ab)+$", "ababab", true},   {"(?:ab){2}$", "abab", true},
        {"(?:ab){2}$", "ab", false},  {"a{2,}$", "aaaa", true},
        {"a{,2}$", "aaa", false},     {"a{1,2}$", "aa", true},
        {"a{x", "a{x", true},         {"[a-c]x", "bx", true},
        {"[^a-c]x", "bx", false},     {"[]a]", "]", true},
        {R"([\d-]+$)", "1-2", true},  {R"(\d+)", "42", true},
        {R"(\w+\s\W)", "ab -", true}, {R"(a\.b)", "axb", false},
        {R"(a\.b)", "a.b", true},     {"a*?b", "aab", true},
        {"(a*)*b", "aab", true},      {"(|a)+$", "aaa", true},
        {"(a$|b)c", "bc", true},      {"x*", "", true},
    };
    for (const Row& row : rows)
        EXPECT_EQ(matches(row.pattern, row.text), row.hit) << row.pattern << " " << row.text;
}

TEST(Pattern, WhatIsNoPatternIsAnError) {
    for (const char* pattern : {"(", ")", "a)", "(a", "[a", "*a", "a**", "\\", "a{2}{3}", "[b-a]", "(?=a)",
                                "(?P<n>a)", "\\1", "a{2,1}", "a{5000}"})
        EXPECT_FALSE(Pattern::compile(pattern)) << pattern;
}

TEST(Pattern, HostilePatternsAreBounded) {
    EXPECT_FALSE(matches("(a*)*(a*)*(a*)*b", std::string(5000, 'a')));
    EXPECT_FALSE(Pattern::compile("(((a{1000}){1000}){1000}){1000}"));
    EXPECT_FALSE(Pattern::compile("((((){1000}){1000}){1000}){1000}"));
    EXPECT_FALSE(Pattern::compile(std::string(500, '(')));
    EXPECT_FALSE(Pattern::compile(std::string(100'000, 'a')));
}

}  // namespace
}  // namespace circus
