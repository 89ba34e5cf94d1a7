// The host table and the loader without circusd: a backend that remembers, real libraries.
#include <cstddef>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "loop/loop.hpp"
#include "plugin/abi_text.hpp"
#include "plugin/description.hpp"
#include "plugin/frames.hpp"
#include "plugin/hook_library.hpp"
#include "plugin/host_table.hpp"
#include "plugin/instance.hpp"
#include "plugin/keepsakes.hpp"
#include "plugin/loader.hpp"
#include "plugin_host_fixture.hpp"

namespace circus::plugin {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(Host, NothingIsCalledBackFromInsideACallAndTheOrderIsThatOfArrival) {
    const circus_id id = subscribe("a");
    EXPECT_EQ(seen.host->call(seen.host, to_abi("list"), {}, on_reply, &seen), CIRCUS_OK);
    table.event(id, "one", "{}");
    backend.replies.at(0)(CIRCUS_OK, "{}");
    table.event(id, "two", "{}");
    EXPECT_TRUE(seen.what.empty());
    turn();
    EXPECT_THAT(seen.what, ElementsAre("one", "reply 0", "two"));
}

TEST_F(Host, NoCallbackComesAfterCancelEvenWhereItWaitsAlready) {
    const circus_id first = subscribe("a");
    const circus_id second = subscribe("b");
    seen.to_cancel = second;
    table.event(first, "one", "{}");
    table.event(second, "two", "{}");
    turn();
    EXPECT_THAT(seen.what, ElementsAre("one"));
    EXPECT_EQ(backend.declared.size(), 1U);
    EXPECT_EQ(seen.host->cancel(seen.host, second), CIRCUS_E_NOT_FOUND);
}

TEST_F(Host, AnAnswerIsGivenOnceAndTheSecondIsMisbehaviour) {
    const auto& commands =
        *static_cast<const circus_ext_commands*>(seen.host->extension(seen.host, CIRCUS_EXT_COMMANDS));
    circus_id id = 0;
    ASSERT_EQ(commands.add(seen.host, to_abi("go"), {}, on_command, &seen, &id), CIRCUS_OK);
    std::vector<std::string> answers;
    table.invoke_command(id, "{}", [&](circus_status status, const std::string& json) {
        answers.push_back(cat(status, " ", json));
    });
    turn();
    turn();
    EXPECT_THAT(answers, ElementsAre("0 {\"n\": 1}"));
    EXPECT_THAT(seen.what, ElementsAre("again -1"));
    EXPECT_THAT(backend.lines, ElementsAre(HasSubstr("plugin x misbehaving: a token was answered twice")));
}

TEST_F(Host, WhoWaitsIsAnsweredWhenThePluginStops) {
    std::vector<circus_status> answers;
    const auto answered = [&](circus_status status, const std::string&) { answers.push_back(status); };
    table.owe("a thing", kAnswerDeadline, answered);
    table.invoke_command(7, "{}", answered);
    EXPECT_TRUE(table.close().empty());
    EXPECT_THAT(answers, ElementsAre(CIRCUS_E_NOT_FOUND, CIRCUS_E_NOT_FOUND));
    circus_id id = 0;
    EXPECT_EQ(seen.host->subscribe(seen.host, to_abi("a"), on_event, &seen, &id), CIRCUS_E_INVALID);
}

TEST_F(Host, ADeclarationThatIsRefusedLeavesNothing) {
    backend.taken = "mine";
    circus_id id = 0;
    EXPECT_EQ(seen.host->subscribe(seen.host, to_abi("mine"), on_event, &seen, &id), CIRCUS_E_CONFLICT);
    EXPECT_EQ(id, 0U);
    EXPECT_TRUE(table.close().empty());
}

TEST_F(Host, WhatIsNoObjectAndWhatIsNotOfferedIsRefused) {
    EXPECT_EQ(seen.host->publish(seen.host, to_abi("t"), to_abi("[1]")), CIRCUS_E_INVALID);
    EXPECT_EQ(seen.host->call(seen.host, to_abi("list"), to_abi("{"), nullptr, nullptr), CIRCUS_E_INVALID);
    EXPECT_EQ(seen.host->extension(seen.host, "circus.teleport/1"), nullptr);
    EXPECT_TRUE(backend.published.empty());
    EXPECT_TRUE(backend.calls.empty());
}

TEST_F(Host, WhatIsNestedTooDeepForAnybodysStackIsRefused) {
    const std::string deep = cat("{\"a\": ", std::string(130000, '['), std::string(130000, ']'), "}");
    EXPECT_EQ(seen.host->call(seen.host, to_abi("list"), to_abi(deep), nullptr, nullptr), CIRCUS_E_INVALID);
    EXPECT_EQ(seen.host->publish(seen.host, to_abi("t"), to_abi(deep)), CIRCUS_E_INVALID);
    std::string answer;
    table.owe("a thing", kAnswerDeadline, [&](circus_status, const std::string& json) { answer = json; });
    EXPECT_EQ(seen.host->complete(seen.host, 1, CIRCUS_OK, to_abi(deep)), CIRCUS_E_INVALID);
    turn();
    turn();
    EXPECT_THAT(answer, HasSubstr("no JSON object"));
    EXPECT_TRUE(backend.calls.empty());
    EXPECT_TRUE(backend.published.empty());
}

TEST(Frames, OneThatIsNestedTooDeepIsNone) {
    const auto framed = [](std::size_t depth) {
        return parse_frame(
            cat(R"({"m": "call", "properties": )", std::string(depth, '['), std::string(depth, ']'), "}"));
    };
    EXPECT_TRUE(framed(256).is_object());
    EXPECT_FALSE(framed(130000).is_object());
}

// A plugin of 1.0 in a host that shows it no more than 1.0 had. The table ends where its memory ends.
TEST_F(Host, WhatIsKeptIsAnObjectOfBoundedSizeAndTheLastOneCounts) {
    const auto& state =
        *static_cast<const circus_ext_state*>(seen.host->extension(seen.host, CIRCUS_EXT_STATE));
    circus_str json{};
    EXPECT_EQ(state.kept(seen.host, &json), CIRCUS_E_NOT_FOUND);
    for (const char* each : {"", "[1]", "{\"n\": "})
        EXPECT_EQ(state.keep(seen.host, to_abi(each)), CIRCUS_E_INVALID) << each;
    const std::string huge = cat("{\"text\": \"", std::string(CIRCUS_STATE_MAX, 'x'), "\"}");
    std::string why;
    table.run(
        "test", [&] { return state.keep(seen.host, to_abi(huge)); }, why);
    EXPECT_THAT(why, HasSubstr("262144 at most"));
    EXPECT_EQ(state.kept(seen.host, &json), CIRCUS_E_NOT_FOUND);
    EXPECT_EQ(state.keep(seen.host, to_abi("{\"n\": 1}")), CIRCUS_OK);
    EXPECT_EQ(state.keep(seen.host, to_abi("{\"n\": 2}")), CIRCUS_OK);
    ASSERT_EQ(state.kept(seen.host, &json), CIRCUS_OK);
    EXPECT_EQ(from_abi(json), "{\"n\": 2}");
    table.close();
    EXPECT_EQ(state.keep(seen.host, to_abi("{}")), CIRCUS_E_INVALID);
}

TEST(Kept, GoesToAnotherArbiterAndNonsenseOfOneDoesNot) {
    Keepsakes keepsakes;
    int saved = 0;
    keepsakes.when_kept([&] { ++saved; });
    keepsakes.keep("Scaler", R"({"n": 1})");
    EXPECT_EQ(keepsakes.of("scaler"), R"({"n": 1})");
    EXPECT_EQ(saved, 1);
    keepsakes.restore("other", R"({"n": 2})");
    keepsakes.restore("broken", "{{");
    EXPECT_EQ(keepsakes.of("other"), R"({"n": 2})");
    EXPECT_EQ(keepsakes.of("broken"), "");
    EXPECT_EQ(saved, 1) << "it is saved already";
    keepsakes.forget("SCALER");
    EXPECT_EQ(keepsakes.of("scaler"), "");
}

TEST(TruncatedTable, APluginOf10LivesWithATableOf10) {
    constexpr std::uint32_t kSizeOf10 = offsetof(circus_host, complete) + sizeof(circus_host::complete);
    static_assert(kSizeOf10 == 104, "frozen");
    loop::Loop loop;
    for (const char* file : {CIRCUS_TEST_PLUGINS "/greeter.so", CIRCUS_TEST_PLUGINS "/ticker.so"}) {
        FakeBackend backend;
        HostTable table(loop, backend, "old", kSizeOf10);
        EXPECT_EQ(table.raw()->size, kSizeOf10);
        const auto library = Library::open(file);
        ASSERT_TRUE(library) << library.error().text;
        const auto found = plugin_table(*library);
        ASSERT_TRUE(found);
        Instance plugin(table, **found);
        const Status started = plugin.start(R"({"watchers": "*", "greeting": "bye"})");
        ASSERT_TRUE(started) << started.error().text;
        if (const circus_id deaths = backend.id_of("watcher.*.reap")) {
            table.event(deaths, "watcher.web.reap", R"({"process_pid": 7})");
            while (table.deliver(Monotonic::now() + Milliseconds(100))) {
            }
            EXPECT_THAT(backend.lines, Contains("plugin old: bye, 7"));  // or more: it was slow
        }
        plugin.stop();
        EXPECT_EQ(plugin.state(), Instance::State::Gone);
        EXPECT_TRUE(backend.declared.empty());
    }
}

TEST(TruncatedTable, ASmallerTableSaysSoInItsSize) {
    loop::Loop loop;
    FakeBackend backend;
    HostTable table(loop, backend, "old", 64);
    EXPECT_EQ(table.raw()->size, 64U);
}

class Hooks : public testing::Test {
  protected:
    Result<supervise::HookFn> load(const std::string& file, const std::string& function) {
        return libraries.load(cat(CIRCUS_TEST_PLUGINS "/so/", file), function);
    }
    std::string ask(const std::string& function) {
        const auto hook = load("hooks_good.so", function);
        if (!hook) return hook.error().text;
        std::string answer = "none";
        (*hook)({"before_start", "web", "{}"}, [&](const supervise::HookAnswer& given) {
            static constexpr const char* kWords[] = {"ok ", "deny ", "retry ", "error "};
            answer = kWords[static_cast<int>(given.verdict)] + given.text;
        });
        EXPECT_EQ(answer, "none") << "answered from inside the call";
        for (int turn = 0; turn < 3; ++turn) {
            libraries.deliver(Monotonic::now() + Milliseconds(100));
            loop.run_once(false);
        }
        return answer;
    }

    loop::Loop loop;
    SystemClock clock;
    bus::Bus bus{clock, {}};
    supervise::HookRegistry registry;
    Gauges gauges;
    stream::Streams streams{loop, {}};
    Switchboard board{{bus, registry, gauges, clock, loop, streams}};
    HookLibraries libraries{loop, board};
};

TEST_F(Hooks, AFunctionOfALibraryAnswersAtOnceOrLater) {
    EXPECT_EQ(ask("yes"), "ok {}");
    EXPECT_EQ(ask("no"), "deny it is raining");
    EXPECT_EQ(ask("again"), "retry not yet");
    EXPECT_EQ(ask("again_by_status"), "retry the tide is out");
    EXPECT_EQ(ask("figures"), R"(ok {"requests": 7})");
}

TEST_F(Hooks, AStrayLibraryIsRefusedWithStepFoundAndExpected) {
    const std::string folder = cat("hook library ", CIRCUS_TEST_PLUGINS "/so/");
    EXPECT_EQ(load("no_symbol.so", "yes").error().text,
              folder +
                  "no_symbol.so: symbol: found no circus_hooks_v1, expected the stamp circus_hooks_v1 of a "
                  "library of hooks");
    EXPECT_EQ(load("hooks_wrong_major.so", "yes").error().text,
              folder + "hooks_wrong_major.so: version: found ABI 9.0, expected ABI 1.x");
    EXPECT_EQ(load("hooks_good.so", "maybe").error().text,
              folder +
                  "hooks_good.so: function: found no maybe, expected a circus_hook_fn that is marked "
                  "CIRCUS_EXPORT");
    EXPECT_THAT(load("nowhere.so", "yes").error().text, HasSubstr("nowhere.so: open: found \""));
}

TEST_F(Hooks, AfterTheEndAQuestionIsAnsweredByAnError) {
    const auto hook = load("hooks_good.so", "yes");
    ASSERT_TRUE(hook);
    libraries.close();
    std::string answer;
    (*hook)({"before_start", "web", "{}"}, [&](const supervise::HookAnswer& given) { answer = given.text; });
    board.flush();
    EXPECT_EQ(answer, "circusd is stopping");
}

}  // namespace
}  // namespace circus::plugin
