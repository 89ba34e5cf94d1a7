// The socket table on real sockets of the loopback, with a keeper that only counts.
#include <arpa/inet.h>
#include <cstdlib>
#include <filesystem>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "fake_stack.hpp"
#include "supervise/spawn_plan.hpp"
#include "sys/sock_diag.hpp"

namespace circus::supervise {
namespace {

struct SocketsTest : testing::Test {
    void SetUp() override {
        std::string pattern = testing::TempDir() + "/circus-sockets-XXXXXX";
        directory = ::mkdtemp(pattern.data());
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    static config::SocketConfig tcp(const std::string& name) {
        config::SocketConfig socket;
        socket.name = name;
        socket.host = "127.0.0.1";
        socket.port = 0;
        return socket;
    }
    config::SocketConfig local(const std::string& name) const {
        config::SocketConfig socket;
        socket.name = name;
        socket.path = directory + "/" + name;
        socket.family = config::Family::Unix;
        return socket;
    }
    static bool can_connect(int port) {
        const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }

    std::string directory;
    FakeKeeper keeper;
    SocketTable table;
};

TEST_F(SocketsTest, NumbersRunFromThreeInTheOrderOfTheConfiguration) {
    ASSERT_TRUE(table.bind({tcp("Web"), local("admin")}, keeper));
    EXPECT_EQ(table.find("web")->worker_fd, 3);
    EXPECT_EQ(table.find("ADMIN")->worker_fd, 4);
    EXPECT_EQ(keeper.held.size(), 2u);
    EXPECT_TRUE(can_connect(table.find("web")->port));
}

TEST_F(SocketsTest, AnAddressInUseNamesSectionAddressAndReasonAndLeavesNothingBound) {
    ASSERT_TRUE(table.bind({tcp("web")}, keeper));
    auto taken = tcp("second");
    taken.port = table.find("web")->port;
    SocketTable other;
    FakeKeeper other_keeper;
    const Status status = other.bind({local("first"), taken}, other_keeper);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, EADDRINUSE);
    EXPECT_NE(status.error().text.find("[socket.second]"), std::string::npos) << status.error().text;
    EXPECT_NE(status.error().text.find("127.0.0.1:" + std::to_string(taken.port)), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(directory + "/first"));
    EXPECT_TRUE(other_keeper.held.empty());
}

TEST_F(SocketsTest, WithReuseportEachSlotHasAListenerThatOutlivesItsProcess) {
    auto config = tcp("web");
    config.so_reuseport = true;
    ASSERT_TRUE(table.bind({config}, keeper));
    const int port = table.find("web")->port;
    EXPECT_FALSE(can_connect(port));  // nobody to accept yet, so nothing may queue
    const auto first = table.for_worker("web", "app", 1);
    const auto second = table.for_worker("web", "app", 2);
    ASSERT_TRUE(first && second);
    EXPECT_NE(*first, *second);
    EXPECT_EQ(*table.for_worker("WEB", "App", 1), *first);
    EXPECT_TRUE(can_connect(port));
    table.trim("app", 1);
    EXPECT_EQ(keeper.held.size(), 1u);
    EXPECT_TRUE(keeper.held.contains(*first));
}

TEST_F(SocketsTest, SlotsThatLeaveGetNoNewConnectionsAndOneThatIsMadeAnewDoes) {
    auto web = tcp("web");
    web.so_reuseport = true;
    ASSERT_TRUE(table.bind({web}, keeper));
    for (int wid = 1; wid <= 4; ++wid) ASSERT_TRUE(table.for_worker("web", "Site", wid));
    const int port = table.find("web")->port;
    const auto queued = [&](int wid) {
        const auto held = table.held_by("WEB", "site", wid);
        EXPECT_TRUE(held && held->is_own && held->has_connections);
        return sys::accept_queue(held->fd)->length;
    };
    const auto knock = [&] {
        for (int i = 0; i < 100; ++i) EXPECT_TRUE(can_connect(port));
    };
    table.drain("site", 2);
    knock();
    EXPECT_EQ(queued(3) + queued(4), 0u);
    EXPECT_EQ(queued(1) + queued(2), 100u);
    table.drain("site", 3);  // the third is wanted again
    knock();
    EXPECT_GT(queued(3), 0u);
    EXPECT_EQ(queued(4), 0u);
    table.trim("site", 3);
    EXPECT_FALSE(table.held_by("web", "site", 4));
    knock();
    ASSERT_TRUE(table.for_worker("web", "site", 4));
    knock();
    EXPECT_GT(queued(4), 0u);
}

TEST_F(SocketsTest, ASharedListenerIsNobodysOwnAndDatagramsAreNoConnections) {
    auto udp = tcp("udp");
    udp.type = config::SocketType::Dgram;
    ASSERT_TRUE(table.bind({tcp("web"), udp}, keeper));
    EXPECT_FALSE(table.held_by("web", "site", 1)->is_own);
    EXPECT_TRUE(table.held_by("web", "site", 1)->has_connections);
    EXPECT_FALSE(table.held_by("udp", "site", 1)->has_connections);
    EXPECT_FALSE(table.held_by("nope", "site", 1));
}

TEST_F(SocketsTest, ADatagramSocketKeepsNoDescriptorThatNobodyReads) {
    auto config = tcp("dns");
    config.type = config::SocketType::Dgram;
    config.so_reuseport = true;
    ASSERT_TRUE(table.bind({config}, keeper));
    EXPECT_TRUE(table.find("dns")->fd);
    ASSERT_TRUE(table.for_worker("dns", "app", 1) && table.for_worker("dns", "app", 2));
    EXPECT_FALSE(table.find("dns")->fd);  // the first slot's now
    table.trim("app", 1);
    EXPECT_FALSE(table.find("dns")->fd);
    table.trim("app", 0);
    EXPECT_TRUE(table.find("dns")->fd);  // keeps the port
}

TEST_F(SocketsTest, CloseAllTakesTheUnixSocketsFileAway) {
    ASSERT_TRUE(table.bind({local("admin")}, keeper));
    EXPECT_TRUE(std::filesystem::exists(directory + "/admin"));
    table.close_all();
    EXPECT_FALSE(std::filesystem::exists(directory + "/admin"));
    EXPECT_TRUE(keeper.held.empty());
}

struct SpawnPlanTest : SocketsTest {
    FakeStreams streams;
    FakeEvents events;
    FakeClock clock;
    config::CircusConfig circus;
    Stack stack{keeper,
                streams,
                events,
                clock,
                table,
                circus,
                {"PATH=/usr/bin:/bin"},
                [] { return 0.0; },
                rlimit{256, 4096},
                "7-7"};
    config::WatcherConfig watcher;

    void SetUp() override {
        SocketsTest::SetUp();
        watcher.name = "web";
        watcher.cmd = "serve --fd $(circus.sockets.web)";
        watcher.use_sockets = true;
    }
    keeper::SpawnRequest request() {
        auto made = make_request(watcher, identity_of(watcher), 1, 9, stack);
        EXPECT_TRUE(made);
        EXPECT_TRUE(add_sockets(watcher, 1, stack, *made));
        return *made;
    }
    static bool has(const std::vector<std::string>& list, const std::string& entry) {
        return std::find(list.begin(), list.end(), entry) != list.end();
    }
};

TEST_F(SpawnPlanTest, AWorkerThatNamesASocketGetsThatOne) {
    ASSERT_TRUE(table.bind({tcp("web"), tcp("admin")}, keeper));
    const auto plan = request();
    EXPECT_EQ(plan.argv, (std::vector<std::string>{"serve", "--fd", "3"}));
    EXPECT_EQ(plan.fds.back().target, 3);
    EXPECT_TRUE(has(plan.envp, "LISTEN_FDS=1"));
    EXPECT_TRUE(has(plan.envp, "LISTEN_FDNAMES=web"));
    EXPECT_TRUE(has(plan.envp, keeper::kListenPid));
}

TEST_F(SpawnPlanTest, AWorkerThatNamesNoneGetsThemAll) {
    ASSERT_TRUE(table.bind({tcp("web"), tcp("admin")}, keeper));
    watcher.cmd = "serve";
    const auto plan = request();
    EXPECT_TRUE(has(plan.envp, "LISTEN_FDS=2"));
    EXPECT_TRUE(has(plan.envp, "LISTEN_FDNAMES=web:admin"));
}

TEST_F(SpawnPlanTest, AGapInTheNumbersMeansNoListenFds) {
    ASSERT_TRUE(table.bind({tcp("admin"), tcp("web")}, keeper));
    const auto plan = request();
    EXPECT_EQ(plan.fds.back().target, 4);
    for (const auto& entry : plan.envp) EXPECT_NE(entry.rfind("LISTEN_", 0), 0u) << entry;
}

TEST_F(SpawnPlanTest, TheDaemonsRaisedDescriptorLimitIsNotPassedOn) {
    watcher.use_sockets = false;
    watcher.cmd = "serve";
    const auto plan = request();
    ASSERT_EQ(plan.rlimits.size(), 1u);
    EXPECT_EQ(plan.rlimits[0].resource, RLIMIT_NOFILE);
    EXPECT_EQ(plan.rlimits[0].soft, 256u);
}

TEST_F(SpawnPlanTest, ProgramsAreLookedForAlongThePath) {
    EXPECT_EQ(path_candidates("x", "/a:/b"), (std::vector<std::string>{"/a/x", "/b/x"}));
    EXPECT_EQ(path_candidates("x", "/a:"), (std::vector<std::string>{"/a/x", "./x"}));
    EXPECT_EQ(path_candidates("./x", "/a:/b"), (std::vector<std::string>{"./x"}));
}

}  // namespace
}  // namespace circus::supervise
