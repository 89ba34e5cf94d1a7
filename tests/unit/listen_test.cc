#include "sys/listen.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace circus::sys {
namespace {

using ::testing::HasSubstr;

ListenSpec loopback(int port = 0) {
    ListenSpec spec;
    spec.host = "127.0.0.1";
    spec.port = port;
    return spec;
}

class UnixListen : public ::testing::Test {
  protected:
    void SetUp() override {
        char pattern[] = "/tmp/circus-listen-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern), nullptr);
        directory_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    ListenSpec spec(const std::string& name = "s") const {
        ListenSpec spec;
        spec.family = ListenSpec::Family::Unix;
        spec.path = directory_ + "/" + name;
        return spec;
    }
    static mode_t mode_of(const std::string& path) {
        struct stat there {};
        return ::lstat(path.c_str(), &there) == 0 ? there.st_mode & 07777U : 0;
    }

    std::string directory_;
};

bool can_connect_to_port(int port) {
    const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

TEST(Listen, PortZeroIsReportedAsTheRealOne) {
    const auto listener = listen_on(loopback());
    ASSERT_TRUE(listener) << listener.error().text;
    EXPECT_GT(listener->port, 0);
    EXPECT_EQ(listener->host, "127.0.0.1");
    EXPECT_EQ(listener->address, "127.0.0.1:" + std::to_string(listener->port));
    EXPECT_TRUE(can_connect_to_port(listener->port));
}

TEST(Listen, DescriptorIsCloexecAndNonBlockingUnlessAskedOtherwise) {
    auto spec = loopback();
    const auto plain = listen_on(spec);
    spec.blocking = true;
    const auto blocking = listen_on(spec);
    ASSERT_TRUE(plain && blocking);
    EXPECT_TRUE(::fcntl(plain->fd.get(), F_GETFD) & FD_CLOEXEC);
    EXPECT_TRUE(::fcntl(plain->fd.get(), F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(::fcntl(blocking->fd.get(), F_GETFD) & FD_CLOEXEC);
    EXPECT_FALSE(::fcntl(blocking->fd.get(), F_GETFL) & O_NONBLOCK);
}

TEST(Listen, NamesAreLookedUp) {
    auto spec = loopback();
    spec.host = "localhost";
    const auto listener = listen_on(spec);
    ASSERT_TRUE(listener) << listener.error().text;
    EXPECT_EQ(listener->host, "127.0.0.1");
}

TEST(Listen, ATakenPortIsNamedWithItsErrno) {
    const auto first = listen_on(loopback());
    ASSERT_TRUE(first);
    const auto second = listen_on(loopback(first->port));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, EADDRINUSE);
    EXPECT_THAT(second.error().text, HasSubstr(first->address));
}

TEST(Listen, ReuseportSharesAPort) {
    auto spec = loopback();
    spec.so_reuseport = true;
    const auto first = listen_on(spec);
    ASSERT_TRUE(first);
    spec.port = first->port;
    EXPECT_TRUE(listen_on(spec));
    EXPECT_FALSE(listen_on(loopback(first->port)));
}

TEST(Listen, TwoDatagramSocketsDoNotShareAPort) {
    auto spec = loopback();
    spec.type = SOCK_DGRAM;
    const auto first = listen_on(spec);
    ASSERT_TRUE(first) << first.error().text;
    spec.port = first->port;
    const auto second = listen_on(spec);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, EADDRINUSE);
}

TEST(Listen, Inet6AddressesStandInBrackets) {
    auto spec = loopback();
    spec.family = ListenSpec::Family::Inet6;
    spec.host = "::1";
    const auto listener = listen_on(spec);
    if (!listener && (listener.error().code == EADDRNOTAVAIL || listener.error().code == EAFNOSUPPORT))
        GTEST_SKIP() << "no ::1 on this machine";
    ASSERT_TRUE(listener) << listener.error().text;
    EXPECT_EQ(listener->address, "[::1]:" + std::to_string(listener->port));
}

TEST(Listen, WrongHostPortAndInterfaceAreErrorsThatNameThem) {
    auto spec = loopback();
    spec.host = "256.256.256.256";
    EXPECT_THAT(listen_on(spec).error().text, HasSubstr("256.256.256.256"));
    EXPECT_THAT(listen_on(loopback(65536)).error().text, HasSubstr("65536"));
    spec = loopback();
    spec.interface = "nosuchif0";
    EXPECT_THAT(listen_on(spec).error().text, HasSubstr("nosuchif0"));
}

TEST_F(UnixListen, ModeFollowsTheSectionsUmaskWhateverTheProcesss) {
    auto narrow = spec("narrow");
    narrow.umask = 0177;
    auto wide = spec("wide");
    wide.umask = 0;
    const mode_t before = ::umask(0027);
    const auto a = listen_on(narrow);
    const auto b = listen_on(wide);
    const auto c = listen_on(spec("default"));
    const mode_t after = ::umask(before);
    ASSERT_TRUE(a && b && c);
    EXPECT_EQ(mode_of(narrow.path), 0600U);
    EXPECT_EQ(mode_of(wide.path), 0777U);
    EXPECT_EQ(mode_of(spec("default").path), 0750U);
    EXPECT_EQ(after, 0027U);
    EXPECT_EQ(a->address, narrow.path);
}

TEST_F(UnixListen, AnExistingSocketIsReplacedOnlyWhenAskedTo) {
    const auto first = listen_on(spec());
    ASSERT_TRUE(first);
    const auto refused = listen_on(spec());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EADDRINUSE);
    EXPECT_THAT(refused.error().text, HasSubstr(spec().path));
    auto replacing = spec();
    replacing.replace = true;
    EXPECT_TRUE(listen_on(replacing));
    EXPECT_TRUE(listen_on(replacing));
}

TEST_F(UnixListen, ReplaceNeverRemovesWhatIsNoSocket) {
    auto replacing = spec();
    replacing.replace = true;
    std::ofstream(replacing.path) << "precious";
    EXPECT_FALSE(listen_on(replacing));
    EXPECT_TRUE(std::filesystem::is_regular_file(replacing.path));

    auto linked = spec("link");
    linked.replace = true;
    std::filesystem::create_symlink(replacing.path, linked.path);
    EXPECT_FALSE(listen_on(linked));
    EXPECT_TRUE(std::filesystem::is_symlink(linked.path));
}

TEST_F(UnixListen, OwnerAndGroupAreSet) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    auto owned = spec();
    owned.owner = 4321;
    owned.group = 8765;
    ASSERT_TRUE(listen_on(owned));
    struct stat there {};
    ASSERT_EQ(::lstat(owned.path.c_str(), &there), 0);
    EXPECT_EQ(there.st_uid, 4321U);
    EXPECT_EQ(there.st_gid, 8765U);
}

// In a child of its own, which may give nothing away even where the test runs as root.
TEST_F(UnixListen, AFailureAfterBindLeavesNoFile) {
    auto owned = spec();
    owned.owner = 1;
    std::filesystem::permissions(directory_, std::filesystem::perms::all);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        if (::geteuid() == 0 && ::setresuid(4321, 4321, 4321) != 0) ::_exit(2);
        const auto listener = listen_on(owned);
        ::_exit(!listener && listener.error().code == EPERM ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_FALSE(std::filesystem::exists(owned.path));
}

TEST_F(UnixListen, AnAbstractNameMakesNoFile) {
    auto abstract = spec();
    abstract.path = "@circus-listen-test-" + std::to_string(::getpid());
    const auto first = listen_on(abstract);
    ASSERT_TRUE(first) << first.error().text;
    EXPECT_EQ(first->address, abstract.path);
    EXPECT_EQ(listen_on(abstract).error().code, EADDRINUSE);
}

TEST_F(UnixListen, PathsThatTheKernelWouldCutAreRefused) {
    auto bad = spec(std::string(120, 'x'));
    EXPECT_EQ(listen_on(bad).error().code, ENAMETOOLONG);
    bad.path.clear();
    EXPECT_FALSE(listen_on(bad));
    bad.path = std::string("/tmp/a\0b", 8);
    EXPECT_FALSE(listen_on(bad));
    bad = spec("missing/s");
    EXPECT_EQ(listen_on(bad).error().code, ENOENT);
}

TEST_F(UnixListen, AFileIsAbandonedWhenNobodyHasItsSocketAnyMore) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
        ListenSpec of_type = spec(std::to_string(type));
        of_type.type = type;
        EXPECT_FALSE(is_abandoned(of_type.path, type)) << "nothing is there";
        {
            const auto listener = listen_on(of_type);
            ASSERT_TRUE(listener);
            EXPECT_FALSE(is_abandoned(of_type.path, type));
        }
        EXPECT_TRUE(is_abandoned(of_type.path, type));
    }
    const auto listener = listen_on(spec());
    ASSERT_TRUE(listener);
    EXPECT_FALSE(is_abandoned(spec().path, SOCK_DGRAM)) << "of another type";
}

TEST_F(UnixListen, DatagramSocketsAreBoundButDoNotListen) {
    auto datagram = spec();
    datagram.type = SOCK_DGRAM;
    const auto listener = listen_on(datagram);
    ASSERT_TRUE(listener) << listener.error().text;
    int accepts = 1;
    socklen_t length = sizeof accepts;
    ASSERT_EQ(::getsockopt(listener->fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &accepts, &length), 0);
    EXPECT_EQ(accepts, 0);
}

}  // namespace
}  // namespace circus::sys
