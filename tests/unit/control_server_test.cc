// Server and Client over real sockets; the arbiter has a fake keeper.
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "control/client.hpp"
#include "control/discovery.hpp"
#include "control/endpoint.hpp"
#include "control/server.hpp"
#include "fake_stack.hpp"
#include "loop/timer.hpp"
#include "loop/turn_hooks.hpp"

namespace circus::control {
namespace {

using namespace std::chrono_literals;

struct ServerTest : testing::Test, supervise::FakeStack {
    loop::Loop loop;
    loop::ZmqContext zmq;
    std::string directory;
    std::string path;
    std::unique_ptr<Server> server;

    void SetUp() override {
        std::string pattern = testing::TempDir() + "control-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory = pattern;
        path = directory + "/run/endpoint";
    }
    void TearDown() override {
        server.reset();
        ::unlink(path.c_str());
        ::rmdir((directory + "/run").c_str());
        ::rmdir(directory.c_str());
    }
    std::string endpoint() const { return "ipc://" + path; }
    Status open(std::optional<uid_t> owner = {}) {
        auto made = Server::make(loop, zmq, endpoint(), owner);
        if (!made) return made.error();
        server = std::move(*made);
        return Ok{};
    }
    static int mode_of(const std::string& file) {
        struct stat found {};
        return ::stat(file.c_str(), &found) == 0 ? static_cast<int>(found.st_mode & 07777) : -1;
    }
    // Serves until `client` (in a thread of its own) has returned.
    void serve_while(const std::function<void()>& client) {
        std::atomic<bool> over = false;
        std::thread thread([&] {
            client();
            over = true;
        });
        loop::Timer look(loop, [&] {
            if (over) loop.stop();
        });
        look.start(1ms, 1ms);
        loop::Prepare turn(loop, [this] { arbiter->settle(); });
        loop.run();
        thread.join();
    }
};

TEST_F(ServerTest, TheSocketAndItsDirectoryBelongToTheirOwnerAlone) {
    const mode_t before = ::umask(0);
    ASSERT_TRUE(open());
    EXPECT_EQ(::umask(before), 0U);
    EXPECT_EQ(mode_of(path), 0600);
    EXPECT_EQ(mode_of(directory + "/run"), 0700);
}

TEST_F(ServerTest, NoUmaskKeepsItsOwnerOut) {
    const mode_t before = ::umask(0777);
    const Status opened = open();
    ::umask(before);
    ASSERT_TRUE(opened);
    EXPECT_EQ(mode_of(path), 0600);
    EXPECT_EQ(mode_of(directory + "/run"), 0700);
}

TEST_F(ServerTest, AnOwnerGetsTheSocketAndAWayToIt) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to give files away";
    ASSERT_TRUE(open(65534));
    struct stat found {};
    ASSERT_EQ(::stat(path.c_str(), &found), 0);
    EXPECT_EQ(found.st_uid, 65534U);
    EXPECT_EQ(found.st_gid, ::getegid());
    EXPECT_EQ(mode_of(path), 0600);
    EXPECT_EQ(mode_of(directory + "/run"), 0711);
    ASSERT_TRUE(own_endpoint(endpoint(), {}));
    ASSERT_EQ(::stat(path.c_str(), &found), 0);
    EXPECT_EQ(found.st_uid, ::geteuid());
}

TEST_F(ServerTest, OwningLooksAtTheSocketAndFollowsNoLink) {
    ASSERT_TRUE(open());
    ::unlink(path.c_str());
    ASSERT_EQ(::symlink("/etc/passwd", path.c_str()), 0);
    EXPECT_FALSE(own_endpoint(endpoint(), 65534));
    struct stat found {};
    ASSERT_EQ(::stat("/etc/passwd", &found), 0);
    EXPECT_EQ(found.st_uid, 0U);
}

TEST_F(ServerTest, ADirectoryThatEverybodyMayWriteToIsRefusedUnlessSticky) {
    ASSERT_EQ(::mkdir((directory + "/run").c_str(), 0700), 0);
    ASSERT_EQ(::chmod((directory + "/run").c_str(), 0777), 0);
    const Status opened = open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().text, "cannot bind " + endpoint() + ": everybody may write to the directory " +
                                       directory + "/run; chmod o-w it");
    ASSERT_EQ(::chmod((directory + "/run").c_str(), 01777), 0);
    EXPECT_TRUE(open());
}

TEST_F(ServerTest, ALinkOfAnotherUsersIsRefused) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a link of another user's";
    ASSERT_EQ(::mkdir((directory + "/real").c_str(), 0700), 0);
    ASSERT_EQ(::symlink("real", (directory + "/run").c_str()), 0);
    ASSERT_EQ(::lchown((directory + "/run").c_str(), 65534, 65534), 0);
    const Status opened = open();
    ::unlink((directory + "/run").c_str());
    ::rmdir((directory + "/real").c_str());
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().text.find("is a link of another user's"), std::string::npos);
}

TEST_F(ServerTest, NothingIsMadeBeyondIt) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make a link of another user's";
    ASSERT_EQ(::mkdir((directory + "/real").c_str(), 0700), 0);
    ASSERT_EQ(::symlink("real", (directory + "/run").c_str()), 0);
    ASSERT_EQ(::lchown((directory + "/run").c_str(), 65534, 65534), 0);
    path = directory + "/run/a/b/endpoint";
    const Status opened = open();
    ::unlink((directory + "/run").c_str());
    EXPECT_FALSE(opened);
    EXPECT_EQ(mode_of(directory + "/real/a"), -1);
    EXPECT_EQ(::rmdir((directory + "/real").c_str()), 0);
}

TEST_F(ServerTest, OfTwoThatStartOverAStaleSocketAtOnceOneIsRefused) {
    // Each in a process of its own: a lock is not for those who share it.
    ASSERT_EQ(::mkdir((directory + "/run").c_str(), 0700), 0);
    for (int round = 0; round < 20; ++round) {
        ::unlink(path.c_str());
        ASSERT_EQ(::mknod(path.c_str(), S_IFSOCK | 0600, 0), 0);
        int go[2], up[2];
        ASSERT_EQ(::pipe2(go, O_CLOEXEC) + ::pipe2(up, O_CLOEXEC), 0);
        const auto race = [&] {
            char byte = 0;
            ::close(go[1]);
            [[maybe_unused]] const auto began = ::read(go[0], &byte, 1);
            loop::Loop own;
            loop::ZmqContext context;
            auto made = Server::make(own, context, endpoint());
            byte = made ? 'b' : 'r';
            if (::write(up[1], &byte, 1) != 1) ::_exit(1);
            // Until both have tried: who is bound, answers.
            ::close(up[1]);
            if (made) ::pause();
            ::_exit(0);
        };
        pid_t racers[2];
        for (pid_t& racer : racers)
            if ((racer = ::fork()) == 0) race();
        ::close(go[0]);
        ::close(go[1]);
        std::string outcome(2, ' ');
        EXPECT_EQ(::read(up[0], outcome.data(), 1) + ::read(up[0], outcome.data() + 1, 1), 2);
        for (const pid_t racer : racers) {
            ::kill(racer, SIGKILL);
            ::waitpid(racer, nullptr, 0);
        }
        ::close(up[0]);
        ::close(up[1]);
        std::sort(outcome.begin(), outcome.end());
        ASSERT_EQ(outcome, "br") << "round " << round;
    }
}

TEST_F(ServerTest, TheSocketIsGoneWhenTheServerHasFinished) {
    ASSERT_TRUE(open());
    server->finish();
    EXPECT_EQ(mode_of(path), -1);
    server.reset();
    EXPECT_TRUE(open());
}

TEST_F(ServerTest, ALiveEndpointIsNotTaken) {
    ASSERT_TRUE(open());
    loop::ZmqContext another;
    auto second = Server::make(loop, another, endpoint());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().text, "cannot bind " + endpoint() + ": another circusd answers there");
    EXPECT_EQ(second.error().code, EADDRINUSE);
    EXPECT_EQ(mode_of(path), 0600);
}

TEST_F(ServerTest, AStaleSocketIsReplaced) {
    ASSERT_EQ(::mkdir((directory + "/run").c_str(), 0700), 0);
    ASSERT_EQ(::mknod(path.c_str(), S_IFSOCK | 0777, 0), 0);
    ASSERT_TRUE(open());
    EXPECT_EQ(mode_of(path), 0600);
}

TEST_F(ServerTest, WhatIsNoSocketStays) {
    ASSERT_EQ(::mkdir((directory + "/run").c_str(), 0700), 0);
    const UniqueFd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0640));
    const Status opened = open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().text,
              "cannot bind " + endpoint() + ": something that is not a socket is in its place");
    EXPECT_EQ(mode_of(path), 0640);
}

TEST_F(ServerTest, APathThatIsTooLongIsNamed) {
    path = directory + "/" + std::string(120, 'x');
    const Status opened = open();
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().text.find("a unix socket's has at most 107"), std::string::npos);
}

TEST_F(ServerTest, AnAbstractSocketIsRefused) {
    EXPECT_FALSE(Server::make(loop, zmq, "ipc://@circus-test"));
}

TEST_F(ServerTest, ClientsAreAnsweredEachItsOwn) {
    watcher("web");
    boot_running();
    ASSERT_TRUE(open());
    server->serve(*arbiter, clock, ::getpid());
    std::vector<std::string> states;
    serve_while([&] {
        auto one = Client::connect(endpoint());
        auto other = Client::connect(endpoint());
        for (int i = 0; i < 50; ++i) {
            for (Client* client : {&*one, &*other}) {
                const auto answer = client->call("status", {{"name", "web"}}, 5s);
                states.push_back(answer ? Json::parse(*answer)["status"].get<std::string>()
                                        : answer.error().text);
            }
        }
    });
    EXPECT_EQ(states, std::vector<std::string>(100, "active"));
}

TEST_F(ServerTest, ASlowStopDelaysNoQuery) {
    watcher("web");
    boot_running();
    ASSERT_TRUE(open());
    server->serve(*arbiter, clock, ::getpid());
    std::string stopped, asked;
    serve_while([&] {
        auto waiter = Client::connect(endpoint());
        // The process never obeys: nobody will answer this one.
        const auto stop = waiter->call("stop", {{"name", "web"}, {"waiting", true}}, 50ms);
        stopped = stop ? *stop : stop.error().text;
        const auto status = waiter->call("status", {{"name", "web"}}, 5s);
        asked = status ? Json::parse(*status)["status"].get<std::string>() : status.error().text;
    });
    EXPECT_EQ(stopped, "Timed out.");
    EXPECT_EQ(asked, "stopping");
}

TEST_F(ServerTest, OddFrameCountsAreDroppedAndTheOthersServed) {
    boot_running();
    ASSERT_TRUE(open());
    server->serve(*arbiter, clock, ::getpid());
    std::vector<loop::Frames> received;
    auto dealer = loop::ZmqPump::make(loop, zmq, loop::ZmqPump::Kind::Dealer, {},
                                      [&](loop::Frames&& frames) { received.push_back(std::move(frames)); });
    ASSERT_TRUE(dealer);
    ASSERT_TRUE(dealer->connect(endpoint()));
    const std::string request = R"({"id":1,"command":"list"})";
    EXPECT_TRUE(dealer->send({"", request}));
    EXPECT_TRUE(dealer->send({request, request, request}));
    EXPECT_TRUE(dealer->send({"  "}));
    EXPECT_TRUE(dealer->send({R"({"id":2,"command":"list"})"}));
    loop::Timer deadline(loop, [&] { loop.stop(); });
    deadline.start(5s);
    loop::Prepare turn(loop, [&] {
        if (!received.empty()) loop.stop();
    });
    loop.run();
    ASSERT_EQ(received.size(), 1U);
    ASSERT_EQ(received[0].size(), 1U);
    EXPECT_EQ(Json::parse(received[0][0])["id"], 2);
}

TEST_F(ServerTest, ManyMegabytesOfNonsenseLeaveTheServerAlive) {
    boot_running();
    ASSERT_TRUE(open());
    server->serve(*arbiter, clock, ::getpid());
    std::string answer;
    serve_while([&] {
        auto client = Client::connect(endpoint());
        const auto refused = client->call(std::string(3'000'000, 'x'), Json::object(), 50s);
        EXPECT_TRUE(refused);
        const auto served = client->call("numwatchers", Json::object(), 50s);
        answer = served ? *served : served.error().text;
    });
    EXPECT_EQ(Json::parse(answer, nullptr, false)["numwatchers"], 0);
}

// A UDP socket that asks, with a port of its own.
class Asker {
  public:
    explicit Asker(int port, in_addr_t from = INADDR_LOOPBACK)
        : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        const int yes = 1;
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(from);
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        socklen_t size = sizeof address;
        EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
        EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
        own_port = ntohs(address.sin_port);
    }
    void ask(int port, std::string_view text) const {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        ::sendto(fd_.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                 sizeof address);
    }
    std::string answer() const {
        std::string text(2048, '\0');
        const ssize_t got = ::recv(fd_.get(), text.data(), text.size(), 0);
        text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return text;
    }
    int own_port = 0;

  private:
    UniqueFd fd_;
};

struct DiscoveryTest : testing::Test {
    loop::Loop loop;
    int port = Asker(0).own_port;  // free a moment ago
    std::unique_ptr<Discovery> discovery;

    void SetUp() override {
        auto made = Discovery::make(loop, {"239.255.77.7", port}, "ipc:///run/e");
        if (!made && made.error().code == ENODEV) GTEST_SKIP() << "no network with multicast here";
        ASSERT_TRUE(made) << made.error().text;
        discovery = std::move(*made);
    }
    void TearDown() override { discovery.reset(); }
    // Turns of the loop until `asker` was answered so often, or nothing came for some of them.
    std::vector<std::string> answers(const Asker& asker, std::size_t count) {
        std::vector<std::string> all;
        for (int turn = 0; turn < 200 && all.size() < count; ++turn) {
            loop.run_once(false);
            for (std::string text; !(text = asker.answer()).empty();) all.push_back(text);
        }
        return all;
    }
};

TEST_F(DiscoveryTest, AnyDatagramIsAnsweredWithTheEndpoint) {
    const Asker asker(0);
    for (const std::string& text : {std::string("\"\""), std::string(), std::string(5000, 'x')}) {
        asker.ask(port, text);
        EXPECT_EQ(answers(asker, 1), std::vector<std::string>{R"({"endpoint":"ipc:///run/e"})"});
    }
    discovery->set_endpoint("tcp://127.0.0.1:1");
    asker.ask(port, "");
    EXPECT_EQ(answers(asker, 1), std::vector<std::string>{R"({"endpoint":"tcp://127.0.0.1:1"})"});
}

TEST_F(DiscoveryTest, AFloodIsAnsweredAsOftenAsTheSecondAllowsAndCostsNoTurn) {
    const Asker asker(0);
    for (int i = 0; i < 150; ++i) asker.ask(port, "?");
    // The second may end meanwhile, once.
    const auto all = answers(asker, 1000);
    EXPECT_GE(all.size(), static_cast<std::size_t>(Discovery::kDatagramsPerSecond));
    EXPECT_LE(all.size(), static_cast<std::size_t>(2 * Discovery::kDatagramsPerSecond));
}

TEST_F(DiscoveryTest, WhatComesFromTheGroupsOwnPortIsNotAnswered) {
    const Asker other(port, INADDR_LOOPBACK + 1);
    const Asker asker(0);
    other.ask(port, R"({"endpoint":"ipc:///other"})");
    asker.ask(port, "?");
    EXPECT_EQ(answers(asker, 1).size(), 1U);
    EXPECT_EQ(other.answer(), "");
}

TEST_F(ServerTest, NobodyThereIsATimeout) {
    auto client = Client::connect(endpoint());
    ASSERT_TRUE(client);
    const auto answer = client->call("list", Json::object(), 30ms);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ETIMEDOUT);
}

}  // namespace
}  // namespace circus::control
