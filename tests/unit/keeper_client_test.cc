#include "loop/keeper_client.hpp"

#include <cstring>
#include <fcntl.h>
#include <functional>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "keeper/plan.hpp"
#include "loop/timer.hpp"

namespace circus::loop {
namespace {

using keeper::Kind;

// A datagram as the keeper's end of the socket gets it.
struct Datagram {
    std::vector<std::byte> data;
    std::vector<UniqueFd> fds;

    template <class Message>
    Message as() const {
        Message message;
        EXPECT_GE(data.size(), sizeof message);
        std::memcpy(&message, data.data(), std::min(data.size(), sizeof message));
        return message;
    }
    Kind kind() const { return as<keeper::Header>().kind; }
};

// The test plays the keeper, by hand.
struct KeeperClientTest : testing::Test {
    KeeperClientTest() {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
        keeper_end.reset(ends[1]);
        auto made = KeeperClient::make(
            loop, UniqueFd(ends[0]),
            {.hello = [this](const keeper::HelloMessage& m, UniqueFd,
                             UniqueFd) { seen.push_back(std::string("hello ") + m.instance); },
             .spawned =
                 [this](const keeper::SpawnedMessage& m, UniqueFd pidfd) {
                     seen.push_back("spawned " + std::to_string(m.id) + " " + std::to_string(m.pid));
                     if (pidfd) pidfds.push_back(std::move(pidfd));
                 },
             .spawn_failed =
                 [this](const keeper::SpawnFailedMessage& m) {
                     seen.push_back("failed " + std::to_string(m.id) + " " + std::to_string(m.error));
                 },
             .exited =
                 [this](const keeper::ExitedMessage& m) {
                     seen.push_back("exited " + std::to_string(m.id));
                     if (destroy_on_exited) client.reset();
                 },
             .caught =
                 [this](const keeper::CaughtMessage& m) {
                     seen.push_back("caught " + std::to_string(m.signo));
                 },
             .unsaved = [this] { seen.emplace_back("unsaved"); },
             .gone = [this] { seen.emplace_back("gone"); }});
        EXPECT_TRUE(made);
        client.emplace(std::move(*made));
    }
    ~KeeperClientTest() override {
        client.reset();
        EXPECT_TRUE(loop.close()) << "a handle is still alive";
    }

    bool wait_until(const std::function<bool()>& condition) {
        bool late = false;
        Timer tick(loop, [] {}), deadline(loop, [&] { late = true; });
        tick.start(Duration::zero(), std::chrono::milliseconds(1));
        deadline.start(std::chrono::seconds(5));
        while (!condition() && !late) loop.run_once();
        return condition();
    }
    template <class Message>
    void say(const Message& message, int fd = -1, std::size_t size = sizeof(Message)) {
        iovec part{const_cast<Message*>(&message), size};
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
        if (fd >= 0) {
            header.msg_control = control;
            header.msg_controllen = sizeof control;
            cmsghdr* rights = CMSG_FIRSTHDR(&header);
            rights->cmsg_level = SOL_SOCKET;
            rights->cmsg_type = SCM_RIGHTS;
            rights->cmsg_len = CMSG_LEN(sizeof fd);
            std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
        }
        EXPECT_EQ(sendmsg(keeper_end.get(), &header, MSG_NOSIGNAL), static_cast<ssize_t>(size));
    }
    // What the client has sent next, if anything.
    std::optional<Datagram> hear() {
        Datagram got;
        got.data.resize(keeper::kMaxDatagram);
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * keeper::kMaxFdsPerMessage)];
        iovec part{got.data.data(), got.data.size()};
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        const ssize_t n = recvmsg(keeper_end.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n <= 0) return std::nullopt;
        EXPECT_EQ(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
        got.data.resize(static_cast<std::size_t>(n));
        for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
            for (std::size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
                got.fds.emplace_back(fd);
            }
        }
        return got;
    }
    static keeper::SpawnRequest request(std::size_t env_bytes = 0) {
        keeper::SpawnRequest r;
        r.argv = {"true"};
        r.candidates = {"/bin/true"};
        if (env_bytes > 0) r.envp = {"BIG=" + std::string(env_bytes, 'x')};
        return r;
    }
    // Until the socket takes no more and requests have to wait.
    keeper::ChildId fill() {
        keeper::ChildId id = 0;
        while (client->queued() == 0) client->signal(++id, 15, keeper::Scope::Process, 0, false);
        return id;
    }

    Loop loop;
    UniqueFd keeper_end;
    std::optional<KeeperClient> client;
    std::vector<std::string> seen;
    std::vector<UniqueFd> pidfds;
    bool destroy_on_exited = false;
};

TEST_F(KeeperClientTest, FactsArriveInTheirOrder) {
    keeper::HelloMessage hello;
    std::strcpy(hello.instance, "12-34");
    say(hello);
    keeper::SpawnedMessage spawned;
    spawned.id = 1;
    spawned.pid = 77;
    say(spawned, keeper_end.get());  // any descriptor does
    keeper::ExitedMessage exited;
    exited.id = 1;
    say(exited);
    keeper::SpawnFailedMessage failed;
    failed.id = 2;
    failed.error = ENOENT;
    say(failed);
    keeper::CaughtMessage caught;
    caught.signo = 15;
    say(caught);
    EXPECT_TRUE(wait_until([&] { return seen.size() == 5; }));
    EXPECT_EQ(seen, (std::vector<std::string>{"hello 12-34", "spawned 1 77", "exited 1", "failed 2 2",
                                              "caught 15"}));
    ASSERT_EQ(pidfds.size(), 1u);
    EXPECT_NE(fcntl(pidfds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(KeeperClientTest, ASpawnCarriesItsPlanAndItsDescriptors) {
    const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    auto r = request();
    r.passed = {null.get()};
    client->spawn(9, r);
    const auto got = hear();
    ASSERT_TRUE(got);
    const auto message = got->as<keeper::SpawnMessage>();
    const auto plan = keeper::encode_plan(r);
    EXPECT_EQ(message.id, 9u);
    EXPECT_EQ(message.in_memfd, 0u);
    EXPECT_EQ(message.plan_size, plan.size());
    EXPECT_EQ(std::vector(got->data.begin() + sizeof message, got->data.end()), plan);
    EXPECT_EQ(got->fds.size(), 1u);
}

TEST_F(KeeperClientTest, APlanTooLargeForADatagramTravelsInASealedMemfd) {
    const auto r = request(200'000);
    client->spawn(9, r);
    const auto got = hear();
    ASSERT_TRUE(got);
    EXPECT_EQ(got->data.size(), sizeof(keeper::SpawnMessage));
    EXPECT_EQ(got->as<keeper::SpawnMessage>().in_memfd, 1u);
    ASSERT_EQ(got->fds.size(), 1u);
    const auto plan = keeper::encode_plan(r);
    std::vector<std::byte> content(plan.size() + 1);
    EXPECT_EQ(pread(got->fds[0].get(), content.data(), content.size(), 0), static_cast<ssize_t>(plan.size()));
    content.pop_back();
    EXPECT_EQ(content, plan);
    EXPECT_LT(pwrite(got->fds[0].get(), "x", 1, 0), 0);
    EXPECT_NE(ftruncate(got->fds[0].get(), 0), 0);
}

TEST_F(KeeperClientTest, EachRequestIsWhatWasAsked) {
    client->signal(5, 10, keeper::Scope::Children, 123, true);
    client->hold(6, "web", keeper_end.get());
    client->drop(7);
    client->exit(3);
    const auto signal = hear()->as<keeper::SignalMessage>();
    EXPECT_EQ(std::tuple(signal.id, signal.signo, signal.pid, signal.stopping), std::tuple(5u, 10, 123, 1u));
    const auto hold = hear();
    EXPECT_STREQ(hold->as<keeper::HoldMessage>().name, "web");
    EXPECT_EQ(hold->fds.size(), 1u);
    EXPECT_EQ(hear()->as<keeper::DropMessage>().id, 7u);
    EXPECT_EQ(hear()->as<keeper::ExitMessage>().code, 3);
}

TEST_F(KeeperClientTest, WhatDoesNotFitWaitsAndKeepsItsOrder) {
    const auto first_queued = fill();
    for (keeper::ChildId id = first_queued + 1; id <= first_queued + 500; ++id)
        client->signal(id, 15, keeper::Scope::Process, 0, false);
    EXPECT_GE(client->queued(), 500u);
    keeper::ChildId next = 1;
    EXPECT_TRUE(wait_until([&] {
        while (auto got = hear()) EXPECT_EQ(got->as<keeper::SignalMessage>().id, next++);
        return next > first_queued + 500;
    }));
    EXPECT_EQ(client->queued(), 0u);
}

TEST_F(KeeperClientTest, AWaitingRequestKeepsADescriptorThatItsOwnerClosed) {
    fill();
    UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    struct stat before {};
    ASSERT_EQ(fstat(null.get(), &before), 0);
    client->hold(42, "null", null.get());
    null.reset();
    std::optional<Datagram> hold;
    EXPECT_TRUE(wait_until([&] {
        while (auto got = hear())
            if (got->kind() == Kind::Hold) hold = std::move(got);
        return hold.has_value();
    }));
    ASSERT_EQ(hold->fds.size(), 1u);
    struct stat after {};
    ASSERT_EQ(fstat(hold->fds[0].get(), &after), 0);
    EXPECT_EQ(before.st_rdev, after.st_rdev);
}

TEST_F(KeeperClientTest, ASpawnThatCannotBeSentFailsLaterAndNotInTheCall) {
    auto r = request();
    r.passed.assign(keeper::kMaxFdsPerMessage + 1, keeper_end.get());
    client->spawn(4, r);
    EXPECT_TRUE(seen.empty());
    EXPECT_TRUE(wait_until([&] { return !seen.empty(); }));
    EXPECT_EQ(seen, std::vector<std::string>{"failed 4 " + std::to_string(E2BIG)});
    EXPECT_FALSE(hear());
}

TEST_F(KeeperClientTest, MessagesThatMakeNoSenseAreSkipped) {
    keeper::ExitedMessage exited;
    exited.id = 1;
    say(exited, -1, sizeof exited - 1);
    exited.header.magic = 7;
    say(exited);
    say('x');
    say(keeper::DropMessage{}, keeper_end.get());
    exited.header.magic = keeper::kWireMagic;
    exited.id = 2;
    say(exited);
    EXPECT_TRUE(wait_until([&] { return !seen.empty(); }));
    EXPECT_EQ(seen, std::vector<std::string>{"exited 2"});
}

TEST_F(KeeperClientTest, AllThatADeadKeeperHadSaidComesBeforeGone) {
    // Given a keeper that dies with requests unread: the kernel then says ECONNRESET before it gives the
    // data.
    client->drop(1);
    keeper::ExitedMessage exited;
    for (int i = 0; i < 200; ++i) {
        exited.id = static_cast<keeper::ChildId>(i);
        say(exited);
    }
    keeper_end.reset();
    client->drop(2);
    EXPECT_TRUE(wait_until([&] { return !seen.empty() && seen.back() == "gone"; }));
    EXPECT_EQ(seen.size(), 201u);
    EXPECT_TRUE(client->is_gone());
    client->drop(3);
    EXPECT_FALSE(client->flush(std::chrono::milliseconds(10)));
}

TEST_F(KeeperClientTest, MayBeDestroyedInItsOwnCallback) {
    destroy_on_exited = true;
    keeper::ExitedMessage exited;
    say(exited);
    say(exited);
    keeper_end.reset();
    EXPECT_TRUE(wait_until([&] { return !client.has_value(); }));
    loop.run_once(false);
    EXPECT_EQ(seen, std::vector<std::string>{"exited 0"});
}

TEST_F(KeeperClientTest, FlushIsBoundedWhenTheKeeperDoesNotRead) {
    fill();
    const TimePoint begin = loop.now();
    EXPECT_FALSE(client->flush(std::chrono::milliseconds(50)));
    EXPECT_LT(loop.now() - begin, std::chrono::seconds(2));
    while (hear()) continue;
    EXPECT_TRUE(client->flush(std::chrono::milliseconds(1000)));
}

// No number from `limit` on is to be had while this lives.
struct NoDescriptors {
    explicit NoDescriptors(rlim_t limit) {
        EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
        rlimit none = before;
        none.rlim_cur = limit;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    }
    ~NoDescriptors() { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0); }
    rlimit before{};
};

std::string text_of(const Datagram& datagram) {
    char text[64] = {};
    EXPECT_EQ(datagram.fds.size(), 1u);
    if (datagram.fds.empty()) return {};
    EXPECT_GE(pread(datagram.fds[0].get(), text, sizeof text - 1, 0), 0);
    return text;
}

TEST_F(KeeperClientTest, TheStateIsSavedWithoutAFreeDescriptor) {
    const int free = dup(keeper_end.get());
    close(free);
    {
        const NoDescriptors none(static_cast<rlim_t>(free));
        ASSERT_LT(dup(keeper_end.get()), 0);
        EXPECT_TRUE(client->save("one"));
        EXPECT_TRUE(client->save("two")) << "there is room again after each";
    }
    for (const char* const state : {"one", "two"}) {
        const auto got = hear();
        ASSERT_TRUE(got);
        EXPECT_EQ(got->kind(), Kind::Save);
        EXPECT_EQ(text_of(*got), state);
    }
}

TEST_F(KeeperClientTest, AStateThatCannotBeSentIsSaidToBe) {
    {
        const NoDescriptors none(3);
        EXPECT_FALSE(client->save("lost"));
    }
    EXPECT_FALSE(hear());
    EXPECT_TRUE(client->save("sent"));
    const auto got = hear();
    ASSERT_TRUE(got);
    EXPECT_EQ(text_of(*got), "sent");
    say(keeper::UnsavedMessage{});
    EXPECT_TRUE(wait_until([&] { return !seen.empty(); }));
    EXPECT_EQ(seen, std::vector<std::string>{"unsaved"});
}

TEST_F(KeeperClientTest, WithoutAFreeDescriptorSpawnedComesWithoutItsPidfd) {
    // Given no free descriptor, the kernel hands out the message without its pidfd.
    keeper::SpawnedMessage spawned;
    spawned.id = 1;
    spawned.pid = 77;
    say(spawned, keeper_end.get());
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = before;
    none.rlim_cur = 3;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    const bool came = wait_until([&] { return seen.size() == 1; });
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(came);
    EXPECT_TRUE(pidfds.empty());
}

}  // namespace
}  // namespace circus::loop
