// Ways to files, with links of several users' on them. As root, who can give links away.
#include "sys/trusted_path.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace circus::sys {
namespace {

namespace fs = std::filesystem;

constexpr uid_t kStranger = 65534;
constexpr int kWrite = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;

struct TrustedPathTest : testing::Test {
    void SetUp() override {
        std::string pattern = testing::TempDir() + "trusted-path-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory = pattern;
        ASSERT_EQ(::chmod(directory.c_str(), 0755), 0);
    }
    void TearDown() override { fs::remove_all(directory); }

    std::string at(const std::string& name) const { return directory + "/" + name; }
    void folder(const std::string& name, uid_t owner = ::geteuid(), mode_t mode = 0755) const {
        fs::create_directories(at(name));
        ASSERT_EQ(::chown(at(name).c_str(), owner, static_cast<gid_t>(-1)), 0);
        ASSERT_EQ(::chmod(at(name).c_str(), mode), 0);
    }
    void link(const std::string& target, const std::string& name, uid_t owner = ::geteuid()) const {
        fs::create_symlink(target, at(name));
        ASSERT_EQ(::lchown(at(name).c_str(), owner, static_cast<gid_t>(-1)), 0);
    }
    // 0, or the errno of why not; whether it led to `real`/file.
    int open(const std::string& name) const {
        const auto opened = open_trusted(at(name), kWrite, 0600);
        return opened ? 0 : opened.error().code;
    }
    bool is_there(const std::string& name) const { return fs::exists(at(name)); }

    std::string directory;
};

TEST_F(TrustedPathTest, WithoutLinksItIsOpen) {
    folder("a/b");
    EXPECT_EQ(open("a/b/file"), 0);
    EXPECT_EQ(open("a//b/./../b/other"), 0);
    EXPECT_TRUE(is_there("a/b/file"));
    EXPECT_TRUE(is_there("a/b/other"));
    EXPECT_EQ(open("a/none/file"), ENOENT);
    EXPECT_EQ(open("a/b/file/file"), ENOTDIR);
    EXPECT_EQ(open("a/b"), EISDIR);
}

TEST_F(TrustedPathTest, OnesOwnLinksAreFollowedWhereverTheyStand) {
    folder("real/deep");
    link("real", "relative");
    link(at("real"), "whole");
    link("../relative/deep", "real/round");
    link("whole/round/file", "last");
    EXPECT_EQ(open("relative/one"), 0);
    EXPECT_EQ(open("whole/deep/two"), 0);
    EXPECT_EQ(open("relative/round/three"), 0);
    EXPECT_EQ(open("last"), 0);
    for (const char* name : {"real/one", "real/deep/two", "real/deep/three", "real/deep/file"})
        EXPECT_TRUE(is_there(name)) << name;
}

TEST_F(TrustedPathTest, LinksThatGoRoundAreAnError) {
    link("b", "a");
    link("a", "b");
    EXPECT_EQ(open("a/file"), ELOOP);
    EXPECT_EQ(open("a"), ELOOP);
}

TEST_F(TrustedPathTest, AnothersLinkIsNotFollowedAtTheEndNorInTheMiddle) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a link of another user's";
    folder("real");
    link("real", "his", kStranger);
    link("real/file", "last", kStranger);
    const auto refused = open_trusted(at("his/file"), kWrite, 0600);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ELOOP);
    EXPECT_TRUE(refused.error().text.starts_with(at("his") + " is a link of another user's"))
        << refused.error().text;
    EXPECT_EQ(open("last"), ELOOP);
    EXPECT_FALSE(is_there("real/file"));
}

// Who may write to a directory may move a link of root's into it, in the place of another.
TEST_F(TrustedPathTest, NorIsOnesOwnWhereAnotherMayHavePutIt) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make folders of another user's";
    folder("real");
    folder("his", kStranger);
    folder("everybodys", 0, 0777);
    folder("sticky", 0, 01777);
    for (const std::string in : {"his/", "everybodys/", "sticky/"}) {
        link(at("real"), in + "link");
        link(at("real/last"), in + "last");
    }
    EXPECT_EQ(open("his/link/file"), ELOOP);
    EXPECT_EQ(open("his/last"), ELOOP);
    EXPECT_EQ(open("everybodys/link/file"), ELOOP);
    EXPECT_FALSE(is_there("real/file"));
    EXPECT_EQ(open("sticky/link/file"), 0);
    EXPECT_EQ(open("sticky/last"), 0);
    EXPECT_TRUE(is_there("real/file"));
}

TEST_F(TrustedPathTest, AnothersFoldersArePassedThrough) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make folders of another user's";
    folder("his/own", kStranger);
    EXPECT_EQ(open("his/own/file"), 0);
}

TEST_F(TrustedPathTest, LinksOfProcAreFollowedAsTheKernelDoes) {
    const UniqueFd file(::open(at("file").c_str(), kWrite, 0600));
    const UniqueFd folder(::open(directory.c_str(), O_PATH | O_CLOEXEC));
    const auto same = open_trusted("/proc/self/fd/" + std::to_string(file.get()), O_WRONLY | O_CLOEXEC);
    EXPECT_TRUE(same) << same.error().text;
    const auto inside = open_trusted("/proc/self/fd/" + std::to_string(folder.get()) + "/new", kWrite, 0600);
    EXPECT_TRUE(inside) << inside.error().text;
    EXPECT_TRUE(is_there("new"));
}

TEST_F(TrustedPathTest, APlaceIsADirectoryAndAName) {
    folder("real");
    link("real", "link");
    for (const char* way : {"real/file", "link/file"}) {
        auto place = place_of(at(way));
        ASSERT_TRUE(place) << place.error().text;
        EXPECT_EQ(place->name, "file");
        struct stat found {
        }, real{};
        ASSERT_EQ(::fstat(place->directory.get(), &found) + ::stat(at("real").c_str(), &real), 0);
        EXPECT_EQ(found.st_ino, real.st_ino);
    }
}

TEST_F(TrustedPathTest, NothingIsMadeThroughALinkThatSomebodyPlanted) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a link of another user's";
    folder("real");
    link("real", "his", kStranger);
    link("real", "ours");
    const auto refused = make_way(at("his/a/b/file"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ELOOP);
    EXPECT_FALSE(is_there("real/a"));
    EXPECT_TRUE(make_way(at("ours/a/b/file")));
    EXPECT_TRUE(is_there("real/a/b"));
    EXPECT_FALSE(is_there("real/a/b/file"));
}

}  // namespace
}  // namespace circus::sys
