#include "sys/identity.hpp"

#include <algorithm>
#include <unistd.h>

#include <gtest/gtest.h>

namespace circus::sys {
namespace {

constexpr uid_t kNobodyKnows = 3999999999;

TEST(FindUser, KnowsRootByNameAndByNumber) {
    for (const char* text : {"root", "0"}) {
        const auto root = find_user(text);
        ASSERT_TRUE(root) << text;
        EXPECT_EQ(root->name, "root");
        EXPECT_EQ(root->uid, 0U);
        EXPECT_EQ(root->gid, 0U);
        EXPECT_FALSE(root->home.empty());
    }
}

TEST(FindUser, TakesANumberWithoutAName) {
    const auto user = find_user("3999999999");
    ASSERT_TRUE(user);
    EXPECT_EQ(user->name, "");
    EXPECT_EQ(user->uid, kNobodyKnows);
    EXPECT_EQ(user->gid, ::getegid());
}

TEST(FindUser, RefusesWhatIsNeither) {
    // The last but one is -1, which setuid(2)'s relatives take for "unchanged".
    for (const char* text : {"", "no such user", "-1", "+0", "0x0", "4294967295", "4294967296"})
        EXPECT_FALSE(find_user(text)) << text;
}

TEST(FindGroup, KnowsNamesAndNumbers) {
    EXPECT_EQ(find_group("root"), gid_t{0});
    EXPECT_EQ(find_group("0"), gid_t{0});
    EXPECT_EQ(find_group("3999999999"), gid_t{3999999999});
    EXPECT_FALSE(find_group("no such group"));
    EXPECT_FALSE(find_group(""));
}

TEST(GroupsOf, AlwaysHoldsTheGivenGroup) {
    EXPECT_EQ(groups_of(kNobodyKnows, 77), std::vector<gid_t>{77});
    const auto groups = groups_of(0, 77);
    EXPECT_NE(std::find(groups.begin(), groups.end(), gid_t{77}), groups.end());
}

TEST(UserName, IsTheNumberWhereThereIsNoName) {
    EXPECT_EQ(user_name(0), "root");
    EXPECT_EQ(user_name(kNobodyKnows), "3999999999");
    EXPECT_EQ(user_name(kNobodyKnows), "3999999999");
}

}  // namespace
}  // namespace circus::sys
