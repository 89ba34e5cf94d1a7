#include "base/text.hpp"

#include <gtest/gtest.h>

#include "base/truth.hpp"

namespace circus {
namespace {

using Words = std::vector<std::string>;

TEST(SplitWords, FollowsTheShell) {
    EXPECT_EQ(*split_words("a  b\tc"), (Words{"a", "b", "c"}));
    EXPECT_EQ(*split_words(R"(sh -c 'echo "$x"' "a\"b" c\ d '' )"),
              (Words{"sh", "-c", "echo \"$x\"", "a\"b", "c d", ""}));
    EXPECT_EQ(*split_words(R"("a\b")"), (Words{"a\\b"}));
    EXPECT_EQ(*split_words("  "), Words{});
}

TEST(SplitWords, RefusesWhatTheShellWouldWaitFor) {
    EXPECT_FALSE(split_words("a 'b"));
    EXPECT_FALSE(split_words("a \"b"));
    EXPECT_FALSE(split_words("a\\"));
}

TEST(GlobMatch, IgnoresCase) {
    EXPECT_TRUE(glob_match("WEB*", "web-1"));
    EXPECT_TRUE(glob_match("w?b", "WEB"));
    EXPECT_FALSE(glob_match("web", "web-1"));
}

TEST(PyRepr, QuotesAsPythonDoes) {
    EXPECT_EQ(py_repr("x"), "'x'");
    EXPECT_EQ(py_repr("it's"), "\"it's\"");
    EXPECT_EQ(py_repr("a\nb\x01"), "'a\\nb\\x01'");
}

TEST(DidYouMean, FindsASlipButNotAStranger) {
    EXPECT_EQ(did_you_mean("numproceses", {"numprocesses", "nice"}), "numprocesses");
    EXPECT_EQ(did_you_mean("zzzzzz", {"numprocesses", "nice"}), std::nullopt);
}

TEST(HumanBytes, HasCircussSpelling) {
    EXPECT_EQ(human_bytes(1023), "1023B");
    EXPECT_EQ(human_bytes(1536), "1.50K");
    EXPECT_EQ(human_bytes(1.46 * 1024 * 1024), "1.46M");
}

TEST(ParseTruth, KnowsFourWordsForEach) {
    for (const char* yes : {"yes", "True", "ON", "1"}) EXPECT_EQ(parse_truth(yes), true) << yes;
    for (const char* no : {"no", "False", "OFF", "0"}) EXPECT_EQ(parse_truth(no), false) << no;
    for (const char* neither : {"", "y", "2", " yes", "maybe"}) EXPECT_FALSE(parse_truth(neither)) << neither;
}

TEST(ParseInt, TakesTheWholeTextOrNothing) {
    EXPECT_EQ(parse_int("12"), 12);
    EXPECT_EQ(parse_int("-3"), -3);
    EXPECT_EQ(parse_int("12x"), std::nullopt);
    EXPECT_EQ(parse_int(""), std::nullopt);
}

}  // namespace
}  // namespace circus
