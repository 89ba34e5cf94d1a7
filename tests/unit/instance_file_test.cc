#include "sys/instance_file.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace circus::sys {
namespace {

using testing::HasSubstr;

class InstanceFileTest : public testing::Test {
  protected:
    InstanceFileTest() {
        char name[] = "/tmp/circus-instance-XXXXXX";
        directory_ = ::mkdtemp(name);
    }
    ~InstanceFileTest() override { std::filesystem::remove_all(directory_); }

    std::string path() const { return directory_ + "/lock"; }
    InstanceFile open() const {
        auto file = InstanceFile::open(path());
        EXPECT_TRUE(file) << file.error().text;
        return std::move(*file);
    }
    static InstanceHeader header() {
        InstanceHeader header;
        header.instance = "12-345";
        header.arbiter = {13, 346};
        header.is_stopping = true;
        header.before = "7-8";
        header.arbiter_before = {9, 10};
        return header;
    }

    std::string directory_;
};

TEST_F(InstanceFileTest, ItsOwnerMayOpenItAgainWhateverTheUmaskIs) {
    const mode_t before = ::umask(0777);
    const auto file = InstanceFile::open(path());
    ::umask(before);
    ASSERT_TRUE(file) << file.error().text;
    struct stat found {};
    ASSERT_EQ(::stat(path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777, 0600U);
}

TEST_F(InstanceFileTest, AHeaderComesBackAsItWasWritten) {
    InstanceFile file = open();
    ASSERT_TRUE(file.write(header()));
    const InstanceHeader read = open().header();
    EXPECT_EQ(read.instance, "12-345");
    EXPECT_EQ(read.keeper, (PidRef{12, 345}));
    EXPECT_EQ(read.arbiter, (PidRef{13, 346}));
    EXPECT_TRUE(read.is_stopping);
    EXPECT_EQ(read.before, "7-8");
    EXPECT_EQ(read.arbiter_before, (PidRef{9, 10}));
}

TEST_F(InstanceFileTest, WhatIsNoHeaderOrOfAnotherBootNamesNobody) {
    const std::string text = header().to_text();
    EXPECT_EQ(InstanceHeader::parse(text, "another-boot").instance, "");
    for (const char* bad :
         {"", "\n", "circusd-instance/1", "circusd-instance/1 boot=b instance=-",
          "circusd-instance/1 boot=b instance=x", "circusd-instance/1 boot=b instance=1",
          "circusd-instance/1 boot=b instance=-1-2", "circusd-instance/1 boot=b instance=1-2-3",
          "circusd-instance/1 instance=1-2", "other/1 boot=b instance=1-2"})
        EXPECT_EQ(InstanceHeader::parse(bad, "b").instance, "") << bad;
    EXPECT_EQ(InstanceHeader::parse("circusd-instance/1 boot=b instance=1-2", "b").instance, "1-2");
}

TEST_F(InstanceFileTest, ARowComesBackAndAFreeOneIsUsedAgain) {
    InstanceFile file = open();
    EXPECT_TRUE(file.put({1, {100, 200}, 12, Milliseconds(1500)}));
    EXPECT_TRUE(file.put({2, {}, 15, Milliseconds(0)}));
    file.remove(1);
    EXPECT_TRUE(file.put({3, {}, 2, Milliseconds(7)}));
    EXPECT_TRUE(file.put({3, {300, 400}, 2, Milliseconds(7)}));
    const auto rows = open().rows();
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].child, 3U);
    EXPECT_EQ(rows[0].process, (PidRef{300, 400}));
    EXPECT_EQ(rows[0].stop_signal, 2);
    EXPECT_EQ(rows[1].child, 2U);
    EXPECT_EQ(rows[1].graceful_timeout, Milliseconds(0));
}

TEST_F(InstanceFileTest, AFileDoesNotGrowWithTheNumberOfChildrenThatWere) {
    InstanceFile file = open();
    for (std::uint64_t child = 1; child <= 1000; ++child) {
        file.put({child, {}, 15, Milliseconds(1)});
        if (child > 3) file.remove(child - 3);
    }
    EXPECT_LT(std::filesystem::file_size(path()), 2048U);
}

TEST_F(InstanceFileTest, TheRowsOfTheArbiterBeforeAreAdopted) {
    {
        InstanceFile file = open();
        file.put({1, {}, 15, Milliseconds(1)});
        file.put({2, {}, 15, Milliseconds(1)});
        file.remove(1);
    }
    InstanceFile file = open();
    file.adopt_rows();
    file.put({3, {}, 15, Milliseconds(1)});
    file.remove(2);
    const auto rows = file.rows();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].child, 3U);
}

TEST_F(InstanceFileTest, SocketsStayUntilOthersAreNotedWhateverBecomesOfTheChildren) {
    const std::vector<SocketRow> both{{1, 2}, {3, 4}};
    {
        InstanceFile file = open();
        file.put({1, {}, 15, Milliseconds(1)});
        file.set_sockets(both);
        file.put({2, {}, 15, Milliseconds(1)});
        EXPECT_EQ(file.sockets(), both);
        file.clear_rows();
        EXPECT_TRUE(file.rows().empty());
        EXPECT_EQ(file.sockets(), both);
        file.put({3, {}, 15, Milliseconds(1)});
    }
    InstanceFile file = open();
    file.adopt_rows();
    file.set_sockets({{5, 6}});
    EXPECT_EQ(file.sockets(), (std::vector<SocketRow>{{5, 6}}));
    file.put({4, {}, 15, Milliseconds(1)});
    file.set_sockets({});
    EXPECT_TRUE(file.sockets().empty());
    EXPECT_EQ(open().rows().size(), 2U);
}

TEST_F(InstanceFileTest, ASocketIsKnownByPathAndInode) {
    EXPECT_FALSE(SocketRow::of(path())) << "nothing is there";
    open();
    EXPECT_FALSE(SocketRow::of(path())) << "no socket is there";
    const SocketRow row{0x7fffffffffffffffULL, 12};
    EXPECT_EQ(SocketRow::parse(row.to_text()), row);
    for (const char* bad :
         {"", "socket", "socket 1", "socket 1 2 3", "socket -1 2", "socket 1 x", "1 2/3 15 1"})
        EXPECT_FALSE(SocketRow::parse(bad)) << bad;
    EXPECT_FALSE(ChildRow::parse(row.to_text()));
}

TEST_F(InstanceFileTest, WhatIsNoRowIsNone) {
    for (const char* bad : {"", " ", "1", "1 2/3 15", "0 2/3 15 1", "1 2/3 0 1", "1 2/3 65 1", "1 2/3 15 -1",
                            "1 2/3 15 1 1", "x 2/3 15 1", "1 2/3 15 99999999999999999"})
        EXPECT_FALSE(ChildRow::parse(bad)) << bad;
    EXPECT_EQ(ChildRow::parse("1 x 15 1\n")->process, PidRef{});
}

TEST_F(InstanceFileTest, ItsTwoLocksAreHadOnceEach) {
    InstanceFile first = open(), second = open();
    EXPECT_EQ(first.lock(InstanceFile::Lock::Keeper), 0);
    EXPECT_EQ(first.lock(InstanceFile::Lock::Keeper), 0);
    EXPECT_EQ(second.lock(InstanceFile::Lock::Keeper), EAGAIN);
    EXPECT_EQ(second.lock(InstanceFile::Lock::Arbiter), 0);
    EXPECT_EQ(first.lock(InstanceFile::Lock::Arbiter), EAGAIN);
    first.release_keeper();
    EXPECT_EQ(second.lock(InstanceFile::Lock::Keeper), 0);
}

TEST_F(InstanceFileTest, ALinkAndWhatIsNoFileAreRefused) {
    std::filesystem::create_symlink("elsewhere", path());
    EXPECT_THAT(InstanceFile::open(path()).error().text, HasSubstr("is a link"));
    std::filesystem::remove(path());
    std::filesystem::create_directory(path());
    EXPECT_FALSE(InstanceFile::open(path()));
}

TEST(InstanceTest, AProcessIsKnownByItsStart) {
    const auto self = identify(::getpid());
    ASSERT_TRUE(self);
    EXPECT_TRUE(is_alive(*self));
    EXPECT_FALSE(is_alive({self->pid, self->start_ticks + 1}));
    EXPECT_TRUE(signal_exactly(*self, 0));
    EXPECT_FALSE(signal_exactly({self->pid, self->start_ticks + 1}, 0));
    for (const pid_t nobody : {0, -1, 1}) EXPECT_FALSE(signal_exactly({nobody, 0}, 0));
}

}  // namespace
}  // namespace circus::sys
