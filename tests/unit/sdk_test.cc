// circus/plugin.hpp against circus/testing.hpp, each the other's test: the example plugin, and plugins that
// do what they must not.
#include <csignal>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <circus/plugin.hpp>
#include <circus/testing.hpp>
#include <circus/threads.hpp>

namespace circus {
namespace {

using std::chrono::milliseconds;
using testing::FakeHost;

// A plugin out of a lambda: what it does in start() is the test's.
struct Scripted : Plugin {
    using Plugin::Plugin;
    void start() override { on_start(*this); }
    void stop() override {
        if (on_stop) on_stop(*this);
    }
    using Plugin::after;
    using Plugin::call;
    using Plugin::command;
    using Plugin::every;
    using Plugin::hook;
    using Plugin::on;
    using Plugin::stream_class;
    using Plugin::watch;
    std::vector<Registration> kept;

    static inline std::function<void(Scripted&)> on_start, on_stop;
};

constexpr circus_plugin kScripted = {sizeof(circus_plugin),
                                     CIRCUS_ABI_MAJOR,
                                     CIRCUS_ABI_MINOR,
                                     "scripted",
                                     "1",
                                     "",
                                     nullptr,
                                     R"({"given": {"type": "integer", "default": 5}})",
                                     &detail::create<Scripted>,
                                     &detail::start,
                                     detail::reconfigure_of<Scripted>(),
                                     &detail::stop,
                                     &detail::destroy};

struct SdkTest : ::testing::Test {
    SdkTest() {
        Scripted::on_start = [](Scripted&) {};
        Scripted::on_stop = nullptr;
    }
    FakeHost host{kScripted};
};

TEST(GreeterExample, CountsTheDeathsOfTheWatchersItWasGiven) {
    FakeHost host;
    ASSERT_EQ(host.start({{"watchers", "web"}, {"greeting", "bye"}}), CIRCUS_OK);
    host.emit("watcher.web.reap", {{"process_pid", 7}});
    host.emit("watcher.db.reap", {{"process_pid", 8}});
    EXPECT_EQ(host.command("counted").fields, Json({{"deaths", 1}}));
    const auto lines = host.take_lines();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0].text, "bye, 7");
}

TEST(GreeterExample, DoesNotStartWithoutTheExtensionItNeeds) {
    FakeHost host;
    host.withhold(CIRCUS_EXT_COMMANDS);
    EXPECT_EQ(host.start(), CIRCUS_E_UNSUPPORTED);
    EXPECT_EQ(host.error(), "this host does not offer circus.commands/1");
}

TEST_F(SdkTest, DefaultsOfOptionsAreFilledIn) {
    Json seen;
    Scripted::on_start = [&](Scripted& self) { seen = self.config(); };
    host.start();
    EXPECT_EQ(seen, Json({{"given", 5}}));
}

TEST_F(SdkTest, WhatStartThrowsIsAStatusAndAText) {
    Scripted::on_start = [](Scripted&) { throw std::runtime_error("no luck"); };
    EXPECT_EQ(host.start(), CIRCUS_E_EXCEPTION);
    EXPECT_EQ(host.error(), "no luck");
}

TEST_F(SdkTest, WhatACallbackThrowsIsALineInTheLog) {
    Scripted::on_start = [](Scripted& self) {
        self.kept.push_back(self.after(milliseconds(1), [] { throw std::runtime_error("oh"); }));
    };
    host.start();
    host.advance(milliseconds(1));
    const auto lines = host.take_lines();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0].text, "oh");
}

TEST_F(SdkTest, ARegistrationEndsWithItsOwner) {
    int calls = 0;
    Scripted* plugin = nullptr;
    Scripted::on_start = [&](Scripted& self) {
        plugin = &self;
        self.kept.push_back(self.every(milliseconds(10), [&] { ++calls; }));
    };
    host.start();
    host.advance(milliseconds(25));
    EXPECT_EQ(calls, 2);
    plugin->kept.clear();
    host.advance(milliseconds(100));
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(host.registrations(), 0u);
}

TEST_F(SdkTest, ACallbackMayEndItsOwnRegistration) {
    int calls = 0;
    Scripted::on_start = [&](Scripted& self) {
        self.kept.push_back(self.every(milliseconds(10), [&self, &calls, text = std::string(100, 'x')] {
            self.kept.clear();
            calls += text.size() == 100 ? 1 : 100;
        }));
    };
    host.start();
    host.advance(milliseconds(50));
    EXPECT_EQ(calls, 1);
}

TEST_F(SdkTest, AOneShotTimerIsSpentWhenItHasRun) {
    Scripted* plugin = nullptr;
    Scripted::on_start = [&](Scripted& self) {
        plugin = &self;
        self.kept.push_back(self.after(milliseconds(10), [] {}));
    };
    host.start();
    EXPECT_TRUE(static_cast<bool>(plugin->kept[0]));
    host.advance(milliseconds(10));
    EXPECT_FALSE(static_cast<bool>(plugin->kept[0]));
}

TEST_F(SdkTest, RegistrationsKeptInMembersAreNoLeak) {
    Scripted::on_start = [](Scripted& self) {
        self.kept.push_back(self.on("*", [](std::string_view, const Json&) {}));
    };
    host.start();
    host.stop();
    EXPECT_TRUE(host.take_problems().empty());
}

TEST_F(SdkTest, ALeakedRegistrationFailsTheTest) {
    Scripted::on_start = [](Scripted& self) {
        circus_id id = 0;
        self.host().raw()->subscribe(
            self.host().raw(), {"web", 3}, [](void*, circus_str, circus_str) {}, nullptr, &id);
    };
    host.start();
    host.stop();
    EXPECT_EQ(host.take_problems(), std::vector<std::string>{"leaked registration: subscription web"});
}

TEST_F(SdkTest, AnAnswerGivenTwiceFailsTheTest) {
    Scripted::on_start = [](Scripted& self) {
        self.kept.push_back(self.command("twice", [](const Json&, Deferred later) -> Answer {
            later.ok();
            later.ok();
            return later;
        }));
    };
    host.start();
    EXPECT_EQ(host.command("twice").status, CIRCUS_OK);
    EXPECT_EQ(host.take_problems(), std::vector<std::string>{"a token was answered twice"});
}

TEST_F(SdkTest, ALoopFunctionOnAThreadFailsTheTest) {
    Scripted::on_start = [](Scripted& self) {
        std::thread([&self] { EXPECT_THROW(self.host().publish("x", Json::object()), Failure); }).join();
    };
    host.start();
    EXPECT_EQ(host.take_problems(), std::vector<std::string>{"publish was called off the loop"});
}

TEST_F(SdkTest, APostedTaskRunsOnTheLoopAndNotBefore) {
    std::thread::id ran_on;
    Scripted::on_start = [&](Scripted& self) {
        std::thread([&] { self.post([&] { ran_on = std::this_thread::get_id(); }); }).join();
    };
    host.start();
    EXPECT_EQ(ran_on, std::thread::id());
    host.deliver();
    EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(SdkTest, ADeferredAnswerComesFromAThread) {
    std::thread worker;
    Scripted::on_start = [&](Scripted& self) {
        self.kept.push_back(self.command("slow", [&](const Json&, Deferred later) -> Answer {
            worker = std::thread([later] { later.ok({{"done", true}}); });
            return later;
        }));
    };
    host.start();
    host.command("slow");
    worker.join();
    EXPECT_EQ(host.answer().status, CIRCUS_OK);
    EXPECT_EQ(host.answer().fields, Json({{"done", true}}));
}

TEST_F(SdkTest, RepliesComeAfterTheCallAndInOrder) {
    std::vector<std::string> order;
    Scripted::on_start = [&](Scripted& self) {
        self.call("list", {}, [&](circus_status status, const Json& answer) {
            order.push_back(answer.at("status").get<std::string>() + std::to_string(status));
        });
        self.call("stop", {{"name", "web"}}, [&](circus_status status, const Json& answer) {
            order.push_back(answer.at("reason").get<std::string>() + std::to_string(status));
        });
        order.emplace_back("called");
    };
    host.start();
    host.reply(CIRCUS_OK);
    host.reply(CIRCUS_E_INVALID, {{"reason", "no such watcher"}});
    EXPECT_EQ(order, (std::vector<std::string>{"called", "ok0", "no such watcher-1"}));
    const auto calls = host.take_calls();
    ASSERT_EQ(calls.size(), 2u);
    EXPECT_EQ(calls[1].properties, Json({{"name", "web"}}));
}

TEST_F(SdkTest, AReplyThatNeverComesIsForgottenWithThePlugin) {
    Scripted::on_start = [](Scripted& self) {
        self.call("list", {}, [kept = std::make_shared<int>(1)](circus_status, const Json&) {});
    };
    host.start();
    host.stop();
    EXPECT_TRUE(host.take_problems().empty());
}

TEST_F(SdkTest, AHookSaysNoOrLater) {
    Scripted::on_start = [](Scripted& self) {
        self.kept.push_back(self.hook("before_start", "web*", [](const HookCall& call, Deferred) {
            if (call.watcher == "web3") return Verdict::Again;
            return call.watcher == "web1" ? Verdict::Deny : Verdict::Pending;
        }));
    };
    host.start();
    EXPECT_EQ(host.hook("before_start", "web1").status, CIRCUS_DENY);
    EXPECT_EQ(host.hook("before_start", "web2").status, CIRCUS_PENDING);
    EXPECT_EQ(host.hook("before_start", "web3").status, CIRCUS_E_AGAIN);
    EXPECT_EQ(host.hook("before_start", "db").status, CIRCUS_OK);
}

// A sink with room for so many chunks.
struct Bucket final : Sink {
    Bucket(std::size_t chunks, std::string& into) : room(chunks), text(into) {}
    ~Bucket() override { text += "closed"; }
    std::size_t write(const std::vector<Chunk>& chunks) override {
        std::size_t taken = 0;
        for (; taken < chunks.size() && room > 0; ++taken, --room) {
            if (chunks[taken].bytes == "poison") throw std::runtime_error("it is poisoned");
            text += std::string(chunks[taken].watcher) + (chunks[taken].is_stderr ? "! " : " ") +
                    std::string(chunks[taken].bytes);
        }
        return taken;
    }
    void empty() {
        room = 1;
        ready();
    }
    std::size_t room;
    std::string& text;
};

struct SinkTest : SdkTest {
    SinkTest() {
        Scripted::on_start = [this](Scripted& self) {
            self.kept.push_back(self.stream_class("BucketStream", [this](const Json& options) {
                auto made = std::make_unique<Bucket>(options.at("room").get<std::size_t>(), text);
                bucket = made.get();
                return made;
            }));
        };
    }
    std::string text;
    Bucket* bucket = nullptr;
};

TEST_F(SinkTest, WhatItDoesNotTakeComesAgainWhenItIsReady) {
    host.start();
    const auto sink = host.open_sink("BucketStream", {{"room", 1}});
    ASSERT_EQ(sink.status, CIRCUS_OK);
    auto written = host.write_sink(sink, {"a\n", "b\n"});
    EXPECT_EQ(written.status, CIRCUS_E_AGAIN);
    EXPECT_EQ(written.taken, 1u);
    EXPECT_EQ(host.take_ready(sink), 0u);
    std::thread([this] { bucket->empty(); }).join();
    EXPECT_EQ(host.take_ready(sink), 1u);
    written = host.write_sink(sink, {"b\n"}, "web", 1, true);
    EXPECT_EQ(written.status, CIRCUS_OK);
    EXPECT_EQ(text, "web a\nweb! b\n");
    host.close_sink(sink);
    EXPECT_EQ(text, "web a\nweb! b\nclosed");
}

TEST_F(SinkTest, WhatOpenOrWriteThrowsIsAStatusAndAText) {
    host.start();
    EXPECT_EQ(host.open_sink("BucketStream", {{"room", "many"}}).status, CIRCUS_E_EXCEPTION);
    const auto sink = host.open_sink("BucketStream", {{"room", 3}});
    EXPECT_EQ(host.write_sink(sink, {"poison"}).status, CIRCUS_E_EXCEPTION);
    EXPECT_EQ(host.error(), "it is poisoned");
}

TEST_F(SinkTest, SinksThatAreOpenEndWithThePlugin) {
    host.start();
    host.open_sink("BucketStream", {{"room", 3}});
    host.stop();
    EXPECT_EQ(text, "closed");
    EXPECT_TRUE(host.take_problems().empty());
}

TEST_F(SinkTest, AClassMayGoWithItsSinksOpen) {
    Scripted* plugin = nullptr;
    const auto before = Scripted::on_start;
    Scripted::on_start = [&](Scripted& self) {
        plugin = &self;
        before(self);
    };
    host.start();
    host.open_sink("BucketStream", {{"room", 3}});
    plugin->kept.clear();
    EXPECT_EQ(text, "closed");
    EXPECT_EQ(host.registrations(), 0u);
}

TEST_F(SdkTest, WhatIsKeptIsThereForTheNextUnlessThisOneIsStopped) {
    Scripted::on_start = [](Scripted& self) {
        const auto kept = self.host().kept();
        self.host().keep({{"starts", kept ? kept->at("starts").get<int>() + 1 : 1}});
    };
    host.leave({{"starts", 4}});
    host.start();
    EXPECT_EQ(host.kept(), (Json{{"starts", 5}}));
    EXPECT_THROW(Host(host.raw()).keep({{"text", std::string(CIRCUS_STATE_MAX, 'x')}}), Failure);
    EXPECT_EQ(host.kept(), (Json{{"starts", 5}}));
    host.stop();
    EXPECT_FALSE(host.kept());
}

TEST_F(SdkTest, ATableThatIsShorterThanThePluginKnowsIsNotOffered) {
    circus_host old = *host.raw();
    old.extension = [](const circus_host*, const char*) -> const void* {
        static const circus_ext_commands table{offsetof(circus_ext_commands, add), 0, nullptr};
        return &table;
    };
    EXPECT_EQ(Host(&old).extension<circus_ext_commands>(CIRCUS_EXT_COMMANDS), nullptr);
}

bool is_blocked(int signo) {
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, nullptr, &now);
    return sigismember(&now, signo) == 1;
}

TEST(SignalsBlocked, AThreadThatIsMadeMeanwhileTakesNoSignalAndItsMakerDoesAgain) {
    ASSERT_FALSE(is_blocked(SIGTERM));
    bool for_good = false;
    std::thread made;
    {
        const SignalsBlocked guard;
        EXPECT_TRUE(is_blocked(SIGTERM));
        made = std::thread(
            [&] { for_good = is_blocked(SIGTERM) && is_blocked(SIGCHLD) && is_blocked(SIGPIPE); });
    }
    made.join();
    EXPECT_TRUE(for_good);
    EXPECT_FALSE(is_blocked(SIGTERM));
}

}  // namespace
}  // namespace circus
