// circus-top without a terminal: what it knows (Board) and what it shows (Page).
#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "top/board.hpp"
#include "top/page.hpp"

namespace circus::top {

namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct Fixture : testing::Test {
    void process(const std::string& watcher, int pid, double cpu, double mem, double age = 10) {
        board.on_frame("stat." + watcher + "." + std::to_string(pid),
                       {{"pid", pid},
                        {"subtopic", pid},
                        {"name", nullptr},
                        {"cpu", cpu},
                        {"mem", mem},
                        {"mem_info1", "9M"},
                        {"age", age},
                        {"cmdline", "python"}},
                       now);
    }
    void round(const std::string& watcher) {
        board.on_frame("stat." + watcher, {{"pid", Json::array()}, {"cpu", 0}, {"mem", 0}, {"age", 1}}, now);
    }
    std::vector<std::string> names(const Choice& choice = {}) {
        std::vector<std::string> out;
        for (const auto& row : board.watchers(choice)) out.push_back(row.name);
        return out;
    }
    std::vector<std::string> text(const PageLook& look, const Choice& choice = {}) {
        std::vector<std::string> out;
        for (const Line& line : draw(board, choice, look).lines) {
            out.emplace_back();
            for (const Piece& piece : line) out.back() += piece.text;
        }
        return out;
    }

    TimePoint now{std::chrono::hours(1)};
    Board board;
};
using BoardTest = Fixture;
using PageTest = Fixture;

TEST_F(BoardTest, AWatcherIsTheSumOfItsProcesses) {
    process("web", 11, 3, 1, 20);
    process("web", 12, 4, 2, 30);
    round("web");
    const auto rows = board.watchers({});
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_DOUBLE_EQ(rows[0].cpu, 7);
    EXPECT_DOUBLE_EQ(rows[0].memory, 3);
    EXPECT_EQ(rows[0].age, 30);
    EXPECT_EQ(rows[0].cpus, History{7});
}

TEST_F(BoardTest, ANameWithADotOrANumberIsNoProcess) {
    process("web.1", 12, 4, 2);
    round("web.1");
    EXPECT_THAT(names(), ElementsAre("web.1"));
    EXPECT_EQ(board.watchers({})[0].processes.size(), 1U);
}

TEST_F(BoardTest, AFigureThatIsNotThereIsAbsentNotZero) {
    board.on_frame("stat.web.5", {{"pid", 5}, {"subtopic", 5}, {"cpu", "N/A"}, {"mem", "N/A"}}, now);
    const auto process = board.watchers({})[0].processes[0];
    EXPECT_FALSE(process.cpu);
    EXPECT_FALSE(process.memory);
    EXPECT_FALSE(process.age);
}

TEST_F(BoardTest, WhatIsNotNamedAnyMoreIsForgottenAndAStoppedWatcherStays) {
    process("web", 11, 1, 1);
    process("gone", 12, 1, 1);
    board.on_statuses({{"statuses", {{"web", "stopped"}}}});
    now += kForget;
    board.forget(now);
    EXPECT_THAT(names(), ElementsAre("web"));
    EXPECT_TRUE(board.watchers({})[0].processes.empty());
}

TEST_F(BoardTest, StatusBringsTheNameAsItIsWritten) {
    process("my_job", 11, 1, 1);
    board.on_statuses({{"statuses", {{"My job", "active"}}}});
    EXPECT_THAT(names(), ElementsAre("My job"));
    EXPECT_EQ(board.watchers({})[0].status, "active");
    EXPECT_EQ(board.watchers({})[0].processes.size(), 1U);
}

TEST_F(BoardTest, ABlankInANameIsAnUnderscoreHoweverItIsStreamed) {
    process("my job", 11, 3, 1);  // Circus's, of what ran when its circusd-stats began
    process("my_job", 12, 3, 1);
    board.on_statuses({{"statuses", {{"My Job", "active"}}}});
    EXPECT_THAT(names(), ElementsAre("My Job"));
    EXPECT_EQ(board.watchers({})[0].processes.size(), 2U);
}

TEST_F(BoardTest, ItSortsAndFilters) {
    process("alpha", 1, 1, 9, 5);
    process("beta", 2, 5, 1, 50);
    process("beta", 3, 1, 1, 1);
    process("gamma", 4, 2, 20, 7);
    EXPECT_THAT(names({SortBy::Name, ""}), ElementsAre("alpha", "beta", "gamma"));
    EXPECT_THAT(names({SortBy::Cpu, ""}), ElementsAre("beta", "gamma", "alpha"));
    EXPECT_THAT(names({SortBy::Memory, ""}), ElementsAre("gamma", "alpha", "beta"));
    EXPECT_THAT(names({SortBy::Age, ""}), ElementsAre("beta", "gamma", "alpha"));
    EXPECT_THAT(names({SortBy::Count, ""}), ElementsAre("beta", "alpha", "gamma"));
    EXPECT_THAT(names({SortBy::Name, "AM"}), ElementsAre("gamma"));
}

TEST_F(BoardTest, ASocketHasItsRateFromTheStreamAndItsQueueFromTheDaemon) {
    board.on_frame("stat.sockets.7", {{"fd", 7}, {"subtopic", 7}, {"reads", 12}, {"address", "127.0.0.1:80"}},
                   now);
    board.on_frame("stat.sockets", {{"addresses", Json::array()}, {"reads", 12}}, now);
    EXPECT_FALSE(board.sockets()[0].queue);
    board.on_sockets({{"sockets",
                       {{{"fd", 7},
                         {"name", "web"},
                         {"host", "127.0.0.1"},
                         {"port", 80},
                         {"figures", {{"queue", 3}, {"limit", 10}, {"in_flight", nullptr}}}}}}});
    const auto socket = board.sockets()[0];
    EXPECT_EQ(socket.name, "web");
    EXPECT_EQ(socket.rate, 12);
    EXPECT_EQ(socket.queue, 3);
    EXPECT_FALSE(socket.in_flight);
    EXPECT_THAT(names(), ElementsAre());
}

TEST_F(BoardTest, WhatIsNoFrameOfTheStreamChangesNothing) {
    board.on_frame("watcher.web.spawn", {{"pid", 1}}, now);
    board.on_frame("stat.web.1", Json(7), now);
    board.on_statuses(Json(7));
    board.on_sockets({{"sockets", 5}});
    EXPECT_TRUE(names().empty());
    EXPECT_FALSE(board.newest());
}

TEST_F(BoardTest, AllOfItIsThereForScripts) {
    process("web", 11, 1.5, 2);
    board.on_frame("stat.circus.9",
                   {{"pid", 9}, {"subtopic", 9}, {"name", "circusd"}, {"cpu", 0.5}, {"mem", 0.1}}, now);
    const Json all = board.json({});
    EXPECT_EQ(all["watchers"][0]["processes"][0]["pid"], 11);
    EXPECT_EQ(all["watchers"][0]["status"], nullptr);
    EXPECT_EQ(all["circusd"]["pid"], 9);
}

TEST_F(PageTest, AWatcherHasALineAndEachProcessOneBelowIt) {
    process("web", 11, 3.25, 1);
    board.on_statuses({{"statuses", {{"web", "active"}}}});
    PageLook look;
    look.width = 120;
    look.height = 0;
    const auto lines = text(look);
    ASSERT_EQ(lines.size(), 4U);
    EXPECT_THAT(lines[1], HasSubstr("WATCHER"));
    EXPECT_THAT(lines[2], testing::AllOf(HasSubstr("web"), HasSubstr("active"), HasSubstr("3.2")));
    EXPECT_THAT(lines[3],
                testing::AllOf(HasSubstr("11"), HasSubstr("9M"), HasSubstr("10s"), HasSubstr("python")));
    look.processes = false;
    EXPECT_EQ(text(look).size(), 3U);
}

TEST_F(PageTest, NoLineIsWiderThanTheTerminalAndThePageIsAsHighAsIt) {
    for (int pid = 1; pid < 60; ++pid)
        process("a-watcher-with-a-name-that-goes-on-and-on-for-more-than-forty", pid, 1, 1);
    board.on_frame("stat.sockets.7", {{"fd", 7}, {"subtopic", 7}, {"reads", 12}, {"address", "127.0.0.1:80"}},
                   now);
    for (const std::size_t width : {1U, 20U, 79U, 200U})
        for (const std::size_t height : {1U, 2U, 5U, 24U}) {
            PageLook look;
            look.width = width;
            look.height = height;
            const auto lines = text(look);
            EXPECT_EQ(lines.size(), height);
            for (const auto& line : lines) EXPECT_LE(cells(line), width);
        }
}

TEST_F(PageTest, WhatAnOperatorNeedsMostIsThereInANarrowTerminalToo) {
    process("a-watcher-with-quite-a-long-name", 4301, 12.5, 1);
    process("off", 4302, 1, 1);
    board.on_statuses({{"statuses", {{"a-watcher-with-quite-a-long-name", "active"}, {"off", "stopped"}}}});
    board.on_sockets({{"sockets",
                       {{{"fd", 7},
                         {"name", "web"},
                         {"path", "/run/a/path/that/is/long/web.sock"},
                         {"figures", {{"queue", 9}, {"limit", 10}, {"in_flight", 2}}}}}}});
    PageLook look;
    look.width = 40;
    const auto lines = text(look);
    EXPECT_THAT(lines[0], HasSubstr("2 watchers, 2 processes"));
    EXPECT_THAT(lines[2], testing::AllOf(HasSubstr("web"), HasSubstr("9"), Not(HasSubstr("/run"))));
    EXPECT_THAT(lines[5], testing::AllOf(HasSubstr("a-watcher-with-"), HasSubstr("…"), HasSubstr("12.5")));
    look.width = 30;
    const Page page = draw(board, {}, look);
    EXPECT_EQ(page.lines[7].front().style, Style::Bad) << "its colour says that it is stopped";
    look.width = 80;
    EXPECT_THAT(text(look)[4], testing::AllOf(HasSubstr("STATUS"), HasSubstr("RSS"), HasSubstr("AGE")));
    EXPECT_THAT(text(look)[2], HasSubstr("/run/a/path"));
}

TEST_F(PageTest, ALongTableSaysWhereItStandsAndManySocketsLeaveRoomForIt) {
    for (int pid = 1; pid <= 50; ++pid) process("web", pid, 1, 1);
    Json sockets = Json::array();
    for (int fd = 1; fd <= 20; ++fd) sockets.push_back({{"fd", fd}, {"name", "s"}, {"path", "/s"}});
    board.on_sockets({{"sockets", sockets}});
    const auto lines = text({});
    EXPECT_THAT(lines[8], HasSubstr("and 14 more sockets"));
    EXPECT_THAT(lines.back(), testing::AllOf(HasSubstr("q quit"), testing::EndsWith("  1-12 of 51")));
}

TEST_F(PageTest, TheSelectedRowIsAlwaysShown) {
    for (int pid = 1; pid <= 50; ++pid) process("web", pid, 1, 1);
    PageLook look;
    look.height = 10;
    look.selected = {"web", 40};
    const Page page = draw(board, {}, look);
    EXPECT_EQ(page.targets.size(), 51U);
    EXPECT_LE(page.first, 40U);
    EXPECT_GT(page.first + 7, 40U);
    const auto is_selected = [](const Line& line) {
        return !line.empty() && line.front().style == Style::Selected;
    };
    EXPECT_EQ(std::count_if(page.lines.begin(), page.lines.end(), is_selected), 1);
}

TEST_F(PageTest, AQueueThatIsHalfFullIsToldInRed) {
    board.on_sockets({{"sockets",
                       {{{"fd", 7},
                         {"name", "web"},
                         {"path", "/s"},
                         {"figures", {{"queue", 9}, {"limit", 10}, {"in_flight", 2}}}}}}});
    const Page page = draw(board, {}, {});
    bool found = false;
    for (const Line& line : page.lines)
        for (const Piece& piece : line) found |= piece.style == Style::Bad && piece.text.ends_with(" 9");
    EXPECT_TRUE(found);
}

TEST_F(PageTest, WhatWouldMoveTheCursorIsNoText) {
    board.on_frame("stat.web.5", {{"pid", 5}, {"subtopic", 5}, {"cmdline", "evil\x1b[2J\nname"}}, now);
    PageLook look;
    look.width = 150;
    for (const auto& line : text(look)) {
        EXPECT_THAT(line, Not(HasSubstr("\x1b")));
        EXPECT_THAT(line, Not(HasSubstr("\n")));
    }
}

TEST(Words, AgesAndSparklines) {
    EXPECT_EQ(age_words(5.9), "5s");
    EXPECT_EQ(age_words(65), "1m5s");
    EXPECT_EQ(age_words(3600 * 5 + 120), "5h2m");
    EXPECT_EQ(age_words(86400 * 3), "3d0h");
    EXPECT_EQ(sparkline({0, 5, 10}, 5, 10, true), "   ▄█");
    EXPECT_EQ(sparkline({0, 0.1}, 2, 10, false), " .");
    EXPECT_EQ(sparkline({20, 10}, 2, 1, true), "█▄");
    EXPECT_EQ(fitted("größer", 4), "größ");
    EXPECT_EQ(fitted("ab", 4, true), "  ab");
}

}  // namespace

}  // namespace circus::top
