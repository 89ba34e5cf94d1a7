// circus.sinks/1: the plugin's side by itself, and both sides with real pipes.
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/offered_classes.hpp"
#include "loop/turn_hooks.hpp"
#include "plugin/local_backend.hpp"
#include "plugin/switchboard.hpp"
#include "plugin_host_fixture.hpp"
#include "stream/streams.hpp"

namespace circus::plugin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// ---- circus.sinks/1: the plugin's side ----

struct Plumbing {
    std::string options, text;
    std::size_t room = 100;  // chunks
    circus_status answer = CIRCUS_OK;
    int closed = 0;
};
circus_status open_plumbing(void* user, circus_str options, void** sink) {
    auto& plumbing = *static_cast<Plumbing*>(user);
    plumbing.options = from_abi(options);
    *sink = user;
    return plumbing.answer;
}
circus_status write_plumbing(void* sink, const circus_chunk* chunks, std::size_t n, std::size_t* taken) {
    auto& plumbing = *static_cast<Plumbing*>(sink);
    if (plumbing.answer != CIRCUS_OK) return plumbing.answer;
    for (*taken = 0; *taken < n && plumbing.room > 0; ++*taken, --plumbing.room)
        plumbing.text += cat(from_abi(chunks[*taken].watcher), " ", chunks[*taken].pid, " ",
                             chunks[*taken].stream, " ", from_abi(chunks[*taken].bytes));
    return *taken < n ? CIRCUS_E_AGAIN : CIRCUS_OK;
}
void close_plumbing(void* sink) {
    ++static_cast<Plumbing*>(sink)->closed;
}
constexpr circus_sink kPlumbing = {sizeof(circus_sink), 0, open_plumbing, write_plumbing, close_plumbing};

class HostedSinks : public Host {
  protected:
    HostedSinks() { alive.start(); }
    circus_id offer(const circus_sink& functions = kPlumbing) {
        circus_id id = 0;
        status = sinks().add(seen.host, to_abi("Plumbing"), &functions, &plumbing, &id);
        return id;
    }
    const circus_ext_sinks& sinks() {
        return *static_cast<const circus_ext_sinks*>(seen.host->extension(seen.host, CIRCUS_EXT_SINKS));
    }
    static std::vector<stream::Chunk> chunks(std::initializer_list<const char*> texts) {
        std::vector<stream::Chunk> all;
        for (const char* each : texts) all.push_back({"web", stream::Channel::Stderr, 7, 1.5, each});
        return all;
    }
    // A loop without anything to wait for does not look into its inboxes.
    loop::Idle alive{loop, [] {}};
    Plumbing plumbing;
    circus_status status = CIRCUS_OK;
};

TEST_F(HostedSinks, ASinkIsOpenedWrittenToAndClosedInTheOrderOfTheQueueAndNeverAtOnce) {
    const circus_id id = offer();
    EXPECT_EQ(backend.declared[id], "Plumbing");
    table.open_sink(id, 1, R"({"a":1})");
    table.write_sink(1, chunks({"one\n", "two\n"}));
    table.close_sink(1);
    EXPECT_EQ(plumbing.options, "");
    turn();
    EXPECT_EQ(plumbing.options, R"({"a":1})");
    EXPECT_EQ(plumbing.text, "web 7 2 one\nweb 7 2 two\n");
    EXPECT_THAT(backend.sinks, ElementsAre("opened 1 0", "took 1 2 0"));
    EXPECT_EQ(plumbing.closed, 1);
}

TEST_F(HostedSinks, WhatIsNotTakenIsToldAndReadyIsHandedOnFromTheLoop) {
    plumbing.room = 1;
    table.open_sink(offer(), 1, "{}");
    table.write_sink(1, chunks({"one\n", "two\n"}));
    turn();
    EXPECT_THAT(backend.sinks, ElementsAre("opened 1 0", "took 1 1 -5 not now"));
    const auto ready = sinks().ready;
    std::thread([&] { EXPECT_EQ(ready(seen.host, &plumbing), CIRCUS_OK); }).join();
    EXPECT_EQ(backend.sinks.size(), 2U);
    turn();
    turn();
    EXPECT_EQ(backend.sinks.back(), "ready 1");
    EXPECT_EQ(table.meter().figures().errors, 0U) << "AGAIN is no error";
}

TEST_F(HostedSinks, ASinkThatFailsIsClosedAndOneThatDoesNotOpenIsNone) {
    table.open_sink(offer(), 1, "{}");
    turn();
    plumbing.answer = CIRCUS_E_NO_MEMORY;
    table.write_sink(1, chunks({"one\n"}));
    table.write_sink(1, chunks({"two\n"}));
    table.open_sink(backend.id_of("Plumbing"), 2, "{}");
    turn();
    EXPECT_THAT(backend.sinks,
                ElementsAre("opened 1 0", "took 1 0 -7 out of memory", "opened 2 -7 out of memory"));
    EXPECT_EQ(plumbing.closed, 1);
}

TEST_F(HostedSinks, AClassThatIsTakenBackTakesItsSinksAlongAndNothingIsCalledAnyMore) {
    const circus_id id = offer();
    table.open_sink(id, 1, "{}");
    turn();
    table.write_sink(1, chunks({"late\n"}));
    table.close_sink(1);
    EXPECT_EQ(seen.host->cancel(seen.host, id), CIRCUS_OK);
    turn();
    EXPECT_EQ(plumbing.text, "");
    EXPECT_EQ(plumbing.closed, 0);
    EXPECT_TRUE(backend.declared.empty());
}

TEST_F(HostedSinks, ATableThatIsNotWholeIsRefused) {
    circus_sink shorter = kPlumbing;
    shorter.size = offsetof(circus_sink, close);
    offer(shorter);
    EXPECT_EQ(status, CIRCUS_E_INVALID);
    circus_sink hollow = kPlumbing;
    hollow.write = nullptr;
    offer(hollow);
    EXPECT_EQ(status, CIRCUS_E_INVALID);
    EXPECT_TRUE(backend.declared.empty());
}

TEST_F(HostedSinks, AnAnswerThatMakesNoSenseIsMisbehaviourAndEndsTheSink) {
    circus_sink wrong = kPlumbing;
    wrong.write = [](void*, const circus_chunk*, std::size_t n, std::size_t* taken) -> circus_status {
        *taken = n + 1;
        return CIRCUS_E_AGAIN;
    };
    table.open_sink(offer(wrong), 1, "{}");
    table.write_sink(1, chunks({"one\n"}));
    turn();
    EXPECT_THAT(
        backend.lines,
        ElementsAre(HasSubstr("misbehaving: Plumbing: write has returned -5 and taken 2 of 1 chunks")));
    EXPECT_EQ(plumbing.closed, 1);
}

// ---- both sides: a pipe, Streams, and a plugin in the arbiter ----

// One life of a plugin that offers the class.
struct Life {
    Life(loop::Loop& loop, Switchboard& board, Plumbing& plumbing)
        : backend(board, "x"), table(loop, backend, "x") {
        backend.attach(table);
        table.open();
        const auto& sinks =
            *static_cast<const circus_ext_sinks*>(table.raw()->extension(table.raw(), CIRCUS_EXT_SINKS));
        circus_id id = 0;
        EXPECT_EQ(sinks.add(table.raw(), to_abi("Plumbing"), &kPlumbing, &plumbing, &id), CIRCUS_OK);
    }
    LocalBackend backend;
    HostTable table;
};

class PipedSinks : public ::testing::Test {
  protected:
    ~PipedSinks() override { life.reset(); }
    PipedSinks() { alive.start(); }
    void begin() { life = std::make_unique<Life>(loop, board, plumbing); }
    void ready() {
        const auto& sinks = *static_cast<const circus_ext_sinks*>(
            life->table.raw()->extension(life->table.raw(), CIRCUS_EXT_SINKS));
        sinks.ready(life->table.raw(), &plumbing);
    }
    void open_pipe(const std::string& options = "") {
        stream::StreamSpec spec;
        spec.class_name = "Plumbing";
        spec.watcher = "web";
        spec.options = options;
        auto opened = streams->open(spec);
        ASSERT_TRUE(opened) << opened.error().text;
        pipe = std::move(*opened);
        streams->start(pipe.id, 7);
    }
    void write(const std::string& text) {
        ASSERT_EQ(::write(pipe.write_end.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    template <class Condition>
    bool wait_until(Condition condition) {
        const TimePoint give_up = Monotonic::now() + std::chrono::seconds(10);
        while (!condition()) {
            if (Monotonic::now() > give_up) return false;
            loop.run_once(false);
            if (life) life->table.deliver(Monotonic::now() + Milliseconds(10));
            std::this_thread::yield();
        }
        return true;
    }
    bool wait_text(const std::string& text) {
        return wait_until([&] { return plumbing.text == text; });
    }

    loop::Loop loop;
    SystemClock clock;
    loop::Idle alive{loop, [] {}};
    bus::Bus bus{clock, {}};
    supervise::HookRegistry registry;
    Gauges gauges;
    std::vector<stream::Trouble> troubles;
    std::unique_ptr<stream::Streams> streams = std::make_unique<stream::Streams>(
        loop,
        stream::StreamsOptions{.trouble = [this](const stream::Trouble& each) { troubles.push_back(each); }});
    Switchboard board{{bus, registry, gauges, clock, loop, *streams}};
    Plumbing plumbing;
    std::unique_ptr<Life> life;
    stream::Streams::Pipe pipe;
};

TEST_F(PipedSinks, WhatIsWrittenArrivesAndTheSinkIsClosedWhenNobodyWritesAnyMore) {
    begin();
    open_pipe(R"({"depth":3})");
    write("one\n");
    EXPECT_TRUE(wait_text("web 7 1 one\n")) << plumbing.text;
    EXPECT_EQ(plumbing.options, R"({"depth":3})");
    pipe.write_end.reset();
    bool done = false;
    streams->finish(pipe.id, [&](const auto&) { done = true; });
    EXPECT_TRUE(wait_until([&] { return done && streams->is_delivered(); }));
    EXPECT_TRUE(troubles.empty());
}

TEST_F(PipedSinks, WhatAFullOneDidNotTakeComesOnceAfterReady) {
    plumbing.room = 0;
    begin();
    open_pipe();
    write("one\n");
    EXPECT_TRUE(wait_until([&] { return !streams->is_delivered(); }));
    write("two\n");
    for (int turn = 0; turn < 50; ++turn) wait_until([] { return true; });
    EXPECT_EQ(plumbing.text, "");
    plumbing.room = 100;
    ready();
    EXPECT_TRUE(wait_until([&] { return streams->is_delivered() && plumbing.text.size() >= 22; }));
    EXPECT_THAT(plumbing.text, testing::AnyOf("web 7 1 one\nweb 7 1 two\n", "web 7 1 one\ntwo\n"));
}

TEST_F(PipedSinks, TheNextLifeGetsWhatTheLastOneDidNotTakeAndNothingTwice) {
    begin();
    open_pipe();
    std::string expected;
    for (int n = 0; n < 20; ++n) {
        write(cat(n, "\n"));
        expected += cat("web 7 1 ", n, "\n");
        // Every other time it ends the moment that it has taken something and nobody was told.
        if (n % 2 == 0) {
            ASSERT_TRUE(wait_text(expected)) << n << ": " << plumbing.text;
        }
        life.reset();
        EXPECT_FALSE(config::is_stream_class("Plumbing"));
        begin();
        ASSERT_TRUE(wait_text(expected)) << n << ": " << plumbing.text;
    }
    EXPECT_TRUE(wait_until([&] { return streams->is_delivered(); }));
    EXPECT_EQ(plumbing.text, expected);
    EXPECT_TRUE(troubles.empty()) << troubles[0].text;
}

TEST_F(PipedSinks, OneThatFailsIsToldAndOpenedAgain) {
    plumbing.answer = CIRCUS_E_NO_MEMORY;
    begin();
    open_pipe();
    write("one\n");
    ASSERT_TRUE(wait_until([&] { return troubles.size() == 1; }));
    EXPECT_EQ(troubles[0].target, "Plumbing of web");
    EXPECT_EQ(troubles[0].text, "out of memory");
    plumbing.answer = CIRCUS_OK;
    EXPECT_TRUE(wait_text("web 7 1 one\n"));
    ASSERT_TRUE(wait_until([&] { return troubles.size() == 2; }));
    EXPECT_EQ(troubles[1].lost_bytes, 0U);
}

TEST_F(PipedSinks, ANameIsTakenOnceAndMustBeOne) {
    begin();
    const auto offer = [&](const char* name) {
        circus_id id = 0;
        const auto& sinks = *static_cast<const circus_ext_sinks*>(
            life->table.raw()->extension(life->table.raw(), CIRCUS_EXT_SINKS));
        return sinks.add(life->table.raw(), to_abi(name), &kPlumbing, &plumbing, &id);
    };
    EXPECT_EQ(offer("Plumbing"), CIRCUS_E_CONFLICT);
    EXPECT_EQ(offer("FileStream"), CIRCUS_E_CONFLICT);
    EXPECT_EQ(offer("a b"), CIRCUS_E_INVALID);
    EXPECT_EQ(offer("Other"), CIRCUS_OK);
    EXPECT_TRUE(config::is_stream_class("Other"));
}

}  // namespace
}  // namespace circus::plugin
