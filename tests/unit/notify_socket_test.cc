// The receiving end of sd_notify(3), and what /proc tells of who spoke.
#include "sys/notify_socket.hpp"

#include <cstddef>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "sys/procfs.hpp"

namespace circus::sys {
namespace {

std::string unique_name() {
    return cat("circus-notify-test-", ::getpid());
}

// Sends as a worker does, perhaps with a descriptor.
bool send_to(const std::string& address, const std::string& text, int with_fd = -1) {
    const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path + 1, address.data() + 1, address.size() - 1);
    iovec part{const_cast<char*>(text.data()), text.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_name = &to;
    message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (with_fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(head), &with_fd, sizeof with_fd);
    }
    return ::sendmsg(fd.get(), &message, 0) >= 0;
}

TEST(NotifySocket, TellsWhoSpokeAndWhetherHeIsReady) {
    auto socket = NotifySocket::open(unique_name());
    ASSERT_TRUE(socket);
    EXPECT_EQ(socket->address(), "@" + unique_name());
    EXPECT_FALSE(socket->receive());
    struct Row {
        std::string text;
        bool ready;
    };
    const std::vector<Row> rows = {
        {"READY=1", true},
        {"STATUS=up\nREADY=1\n", true},
        {"READY=1\nMAINPID=7", true},
        {"READY=0", false},
        {"ALREADY=1", false},
        {"READY=10", false},
        {"STATUS=READY=1", false},
        {"", false},
        {std::string(70000, 'x'), false},
    };
    for (const Row& row : rows) {
        ASSERT_TRUE(send_to(socket->address(), row.text));
        const auto notification = socket->receive();
        ASSERT_TRUE(notification) << row.text;
        EXPECT_EQ(notification->pid, ::getpid());
        EXPECT_EQ(notification->ready, row.ready) << row.text;
    }
}

TEST(NotifySocket, WhoWaitsAtABarrierIsLetGoWhenHisWordWasDealtWith) {
    auto socket = NotifySocket::open(unique_name());
    ASSERT_TRUE(socket);
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    ASSERT_TRUE(send_to(socket->address(), "BARRIER=1", writer.get()));
    writer.reset();
    ASSERT_TRUE(socket->receive());
    EXPECT_FALSE(socket->receive());
    char byte = 0;
    EXPECT_EQ(::read(reader.get(), &byte, 1), 0) << "the other end is closed";
}

TEST(NotifySocket, ANameThatIsTakenIsAnotherName) {
    const auto first = NotifySocket::open(unique_name());
    const auto second = NotifySocket::open(unique_name());
    ASSERT_TRUE(first && second);
    EXPECT_NE(first->address(), second->address());
    EXPECT_TRUE(second->address().starts_with("@"));
}

TEST(Lineage, BeginsWithTheProcessAndGoesUpToTheFirst) {
    const auto lineage = lineage_of(::getpid());
    ASSERT_GE(lineage.size(), 2U);
    EXPECT_EQ(lineage[0], ::getpid());
    EXPECT_EQ(lineage[1], ::getppid());
    EXPECT_THAT(lineage_of(0x7fffffff), testing::ElementsAre(0x7fffffff));
}

TEST(ResidentMemory, OfATreeIsThatOfAllInIt) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        char byte = 0;
        ::close(ends[1]);
        [[maybe_unused]] const ssize_t got = ::read(ends[0], &byte, 1);
        ::_exit(0);
    }
    const std::uint64_t alone = resident_bytes_of_tree(child);
    EXPECT_GT(alone, 0U);
    EXPECT_GT(resident_bytes_of_tree(::getpid()), alone);
    EXPECT_EQ(resident_bytes_of_tree(0x7fffffff), 0U);
    ::close(ends[1]);
    ::waitpid(child, nullptr, 0);
    ::close(ends[0]);
}

}  // namespace
}  // namespace circus::sys
