#include "loop/zmq_pump.hpp"

#include <atomic>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <zmq.hpp>

#include "base/unique_fd.hpp"
#include "loop/timer.hpp"

namespace circus::loop {
namespace {

struct ZmqPumpTest : testing::Test {
    bool wait_until(const std::function<bool()>& condition) {
        bool late = false;
        Timer deadline(loop, [&] { late = true; });
        deadline.start(std::chrono::seconds(10));
        while (!condition() && !late) loop.run_once();
        return condition();
    }
    ZmqPump make(ZmqPump::Kind kind, ZmqPump::Receive receive, const ZmqPump::Options& options = {}) {
        auto pump = ZmqPump::make(loop, context, kind, options, std::move(receive));
        if (!pump) throw std::runtime_error(pump.error().text);
        return std::move(*pump);
    }
    // A ROUTER that answers each request with its own text.
    void start_echo() {
        server.emplace(make(ZmqPump::Kind::Router, [this](Frames&& frames) { server->send(frames); }));
        ASSERT_TRUE(server->bind("tcp://127.0.0.1:*"));
    }
    void TearDown() override {
        server.reset();
        EXPECT_TRUE(loop.close()) << "a handle is still alive";
    }

    ZmqContext context;
    Loop loop;
    std::optional<ZmqPump> server;
};

TEST_F(ZmqPumpTest, AnswersEachOfFiveThousandPipelinedRequests) {
    start_echo();
    constexpr int kRequests = 5000;
    std::size_t answered = 0;
    std::atomic<bool> done = false;
    std::thread client([&, endpoint = server->last_endpoint()] {
        zmq::context_t own;
        zmq::socket_t dealer(own, zmq::socket_type::dealer);
        dealer.set(zmq::sockopt::linger, 0);
        dealer.set(zmq::sockopt::sndhwm, 0);
        dealer.set(zmq::sockopt::rcvtimeo, 5000);
        dealer.connect(endpoint);
        for (int i = 0; i < kRequests; ++i)
            dealer.send(zmq::buffer(std::to_string(i)), zmq::send_flags::none);
        zmq::message_t answer;
        while (answered < kRequests && dealer.recv(answer) && answer.to_string() == std::to_string(answered))
            ++answered;
        done = true;
    });
    Timer tick(loop, [] {});  // so that wait_until() looks at `done`
    tick.start(Duration::zero(), std::chrono::milliseconds(5));
    wait_until([&] { return done.load(); });
    client.join();
    EXPECT_EQ(answered, static_cast<std::size_t>(kRequests));
}

TEST_F(ZmqPumpTest, SendingFromATimerDoesNotLoseARequest) {
    // Given a server that, before each request can be read, sends something else: the send takes the edge.
    std::string peer;
    int received = 0;
    auto router = make(ZmqPump::Kind::Router, [&](Frames&& frames) {
        peer = frames[0];
        ++received;
    });
    ASSERT_TRUE(router.bind("tcp://127.0.0.1:*"));
    int requests = 0, news = 0, pushed = 0;
    auto dealer = make(ZmqPump::Kind::Dealer, [&](Frames&&) { ++pushed; });
    ASSERT_TRUE(dealer.connect(router.last_endpoint()));
    Timer timer(loop, [&] {
        requests += dealer.send({"request"});
        if (!peer.empty()) news += router.send({peer, "news"});
    });
    timer.start(Duration::zero(), std::chrono::milliseconds(1));
    EXPECT_TRUE(wait_until([&] { return requests >= 200; }));
    timer.stop();
    EXPECT_TRUE(wait_until([&] { return received == requests && pushed == news; }));
}

TEST_F(ZmqPumpTest, AnAnswerToAStrangerIsDroppedAndCounted) {
    start_echo();
    EXPECT_FALSE(server->send({"nobody", "hello"}));
    EXPECT_EQ(server->dropped(), 1u);
}

TEST_F(ZmqPumpTest, APeerThatDoesNotReadCostsAnswersButNoTime) {
    // Given a client that asks and never reads.
    std::uint64_t requests = 0;
    ZmqPump::Options options;
    options.send_queue = 10;
    server.emplace(make(
        ZmqPump::Kind::Router,
        [&](Frames&& frames) {
            ++requests;
            for (int i = 0; i < 100; ++i) server->send({frames[0], std::string(100'000, 'x')});
        },
        options));
    ASSERT_TRUE(server->bind("tcp://127.0.0.1:*"));
    zmq::context_t own;
    zmq::socket_t dealer(own, zmq::socket_type::dealer);
    dealer.set(zmq::sockopt::linger, 0);
    dealer.set(zmq::sockopt::rcvhwm, 1);
    dealer.connect(server->last_endpoint());
    for (int i = 0; i < 20; ++i) dealer.send(zmq::str_buffer("x"), zmq::send_flags::none);
    EXPECT_TRUE(wait_until([&] { return requests == 20; }));
    EXPECT_GT(server->dropped(), 0u);
}

TEST_F(ZmqPumpTest, HeldAnswersReachAPeerThatReadsLateAndOthersAreServedMeanwhile) {
    constexpr std::size_t kRequests = 5000;
    const std::string padding(1000, 'x');
    std::size_t requests = 0;
    ZmqPump::Options options;
    options.send_queue = 10;
    options.hold_bytes = 16UL * 1024 * 1024;
    server.emplace(make(
        ZmqPump::Kind::Router,
        [&](Frames&& frames) {
            ++requests;
            EXPECT_TRUE(server->send({frames[0], frames[1] + padding}));
        },
        options));
    ASSERT_TRUE(server->bind("tcp://127.0.0.1:*"));
    zmq::context_t own;
    zmq::socket_t late(own, zmq::socket_type::dealer);
    late.set(zmq::sockopt::linger, 0);
    late.set(zmq::sockopt::rcvhwm, 1);
    late.set(zmq::sockopt::sndhwm, 0);
    late.connect(server->last_endpoint());
    for (std::size_t i = 0; i < kRequests; ++i)
        late.send(zmq::buffer(std::to_string(i)), zmq::send_flags::none);
    ASSERT_TRUE(wait_until([&] { return requests == kRequests; }));

    std::string other_got;
    auto other = make(ZmqPump::Kind::Dealer, [&](Frames&& frames) { other_got = frames[0]; });
    ASSERT_TRUE(other.connect(server->last_endpoint()));
    other.send({"other"});
    EXPECT_TRUE(wait_until([&] { return other_got == "other" + padding; }));

    std::size_t answered = 0;
    Timer tick(loop, [&] {
        zmq::message_t answer;
        while (late.recv(answer, zmq::recv_flags::dontwait) &&
               answer.to_string() == std::to_string(answered) + padding)
            ++answered;
    });
    tick.start(Duration::zero(), std::chrono::milliseconds(1));
    EXPECT_TRUE(wait_until([&] { return answered == kRequests; })) << answered;
    EXPECT_EQ(server->dropped(), 0u);
}

TEST_F(ZmqPumpTest, MayBeDestroyedInItsOwnCallback) {
    server.emplace(make(ZmqPump::Kind::Router, [this](Frames&&) { server.reset(); }));
    ASSERT_TRUE(server->bind("tcp://127.0.0.1:*"));
    auto dealer = make(ZmqPump::Kind::Dealer, [](Frames&&) {});
    ASSERT_TRUE(dealer.connect(server->last_endpoint()));
    dealer.send({"a"});
    dealer.send({"b"});
    EXPECT_TRUE(wait_until([&] { return !server.has_value(); }));
}

TEST_F(ZmqPumpTest, PublishesToSubscribersOfThePrefixOnly) {
    std::vector<Frames> got;
    auto pub = make(ZmqPump::Kind::Pub, {});
    ASSERT_TRUE(pub.bind("tcp://127.0.0.1:*"));
    auto sub = make(ZmqPump::Kind::Sub, [&](Frames&& frames) { got.push_back(std::move(frames)); });
    ASSERT_TRUE(sub.subscribe("watcher.web"));
    ASSERT_TRUE(sub.connect(pub.last_endpoint()));
    Timer timer(loop, [&] {
        pub.send({"watcher.db.spawn", "{}"});
        pub.send({"watcher.web.spawn", "{}"});
    });
    timer.start(Duration::zero(), std::chrono::milliseconds(5));
    EXPECT_TRUE(wait_until([&] { return got.size() >= 3; }));
    for (const Frames& frames : got) EXPECT_EQ(frames, (Frames{"watcher.web.spawn", "{}"}));
}

TEST_F(ZmqPumpTest, AWrongEndpointIsAnErrorThatNamesIt) {
    auto router = make(ZmqPump::Kind::Router, [](Frames&&) {});
    const Status status = router.bind("nonsense://x");
    ASSERT_FALSE(status);
    EXPECT_NE(status.error().text.find("nonsense://x"), std::string::npos);
}

TEST_F(ZmqPumpTest, APumpGoesOnWhereAnotherOneHasListened) {
    UniqueFd listener;
    std::string endpoint;
    {
        ZmqContext own;  // whose end waits until nobody accepts there any more
        auto before = ZmqPump::make(loop, own, ZmqPump::Kind::Router, {}, [](Frames&&) {});
        ASSERT_TRUE(before);
        ASSERT_TRUE(before->bind("tcp://127.0.0.1:*"));
        endpoint = before->last_endpoint();
        listener = before->take_listener();
        ASSERT_TRUE(listener);
        EXPECT_FALSE(before->take_listener());
    }
    bool got = false;
    auto after = make(ZmqPump::Kind::Router, [&](Frames&&) { got = true; });
    ASSERT_TRUE(after.bind_on(endpoint, std::move(listener)));
    EXPECT_EQ(after.last_endpoint(), endpoint);
    auto dealer = make(ZmqPump::Kind::Dealer, [](Frames&&) {});
    ASSERT_TRUE(dealer.connect(endpoint));
    dealer.send({"x"});
    EXPECT_TRUE(wait_until([&] { return got; }));
}

TEST_F(ZmqPumpTest, TakesAListeningDescriptor) {
    UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ASSERT_EQ(listen(listener.get(), 16), 0);  // the kernel chooses address and port
    bool got = false;
    auto router = make(ZmqPump::Kind::Router, [&](Frames&&) { got = true; });
    ASSERT_TRUE(router.bind_on("tcp://127.0.0.1:*", std::move(listener)));
    auto dealer = make(ZmqPump::Kind::Dealer, [](Frames&&) {});
    ASSERT_TRUE(dealer.connect(router.last_endpoint()));
    dealer.send({"x"});
    EXPECT_TRUE(wait_until([&] { return got; }));
}

}  // namespace
}  // namespace circus::loop
