// What a reload has to do, from two configurations alone.
#include <algorithm>
#include <map>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "config/diff.hpp"
#include "config/option_row.hpp"

namespace circus::config {
namespace {

using Texts = std::vector<std::string>;

WatcherConfig watcher(const std::string& name) {
    WatcherConfig config;
    config.name = name;
    config.cmd = "/bin/program";
    return config;
}

SocketConfig tcp(const std::string& name, int port) {
    SocketConfig config;
    config.name = name;
    config.port = port;
    return config;
}

Config stack() {
    Config config;
    config.watchers = {watcher("web"), watcher("job")};
    return config;
}

const WatcherChange& change_of(const Difference& difference, const std::string& name) {
    static const WatcherChange kNone{};
    for (const auto& change : difference.watchers)
        if (change.name == name) return change;
    ADD_FAILURE() << "no watcher " << name;
    return kNone;
}

const SocketChange& socket_of(const Difference& difference, const std::string& name) {
    static const SocketChange kNone{};
    for (const auto& change : difference.sockets)
        if (change.name == name) return change;
    ADD_FAILURE() << "no socket " << name;
    return kNone;
}

Change change_by(const WatcherConfig& before, const WatcherConfig& after, Texts why) {
    Config current, next;
    current.watchers = {before};
    next.watchers = {after};
    const auto difference = diff(current, next);
    EXPECT_EQ(difference.watchers.at(0).why, why);
    return difference.watchers.at(0).change;
}

TEST(Diff, TheSameConfigurationKeepsEverything) {
    Config config = stack();
    config.sockets = {tcp("a", 1), tcp("b", 2)};
    config.watchers[0].use_sockets = true;
    const auto difference = diff(config, config);
    EXPECT_TRUE(difference.circus.empty());
    EXPECT_TRUE(difference.removed_sockets.empty());
    for (const auto& change : difference.watchers) EXPECT_EQ(change.change, Change::Kept) << change.name;
    for (const auto& change : difference.sockets)
        EXPECT_FALSE(change.bind || change.replaces_users) << change.name;
}

TEST(Diff, WhatAnOptionMeansIsReadOffItsRow) {
    auto after = watcher("web");
    after.graceful_timeout = 5;
    EXPECT_EQ(change_by(watcher("web"), after, {"graceful_timeout"}), Change::Live);
    after.numprocesses = 7;
    EXPECT_EQ(change_by(watcher("web"), after, {"numprocesses", "graceful_timeout"}), Change::Count);
    after.cmd = "/bin/other";
    EXPECT_EQ(change_by(watcher("web"), after, {"cmd", "numprocesses", "graceful_timeout"}), Change::Reload);
}

// A value that is not the default, as JSON, for each type of option.
Json sample(const Row<WatcherConfig>& row) {
    const std::map<std::string_view, Json> kSpecial{{"umask", "027"},
                                                    {"uid", 65534},
                                                    {"gid", 65534},
                                                    {"env", {{"A", "1"}}},
                                                    {"stdout_stream", {{"class", "StdoutStream"}}},
                                                    {"stderr_stream", {{"class", "StdoutStream"}}},
                                                    {"hooks", {{"after_stop", "l.so:f"}}},
                                                    {"stop_signal", "INT"},
                                                    {"ready", "notify"},
                                                    {"reload_mode", "sequential"},
                                                    {"depends_on", Json::array({"db"})},
                                                    {"memory_soft", "1M"},
                                                    {"memory_max", "1M"}};
    if (const auto at = kSpecial.find(row.info.name); at != kSpecial.end()) return at->second;
    const Json now = row.get(WatcherConfig{});
    switch (row.info.type) {
        case ValueType::Boolean:
            return !now.get<bool>();
        case ValueType::Integer:
        case ValueType::Number:
        case ValueType::Rlimit:
            return now.is_number() ? Json(now.get<int>() + 1) : Json(1);
        default:
            return "other";
    }
}

TEST(Diff, EachOptionOfTheTableIsSeenWhenItIsSetAndWhenItsLineIsDeleted) {
    for (const auto& row : watcher_rows()) {
        const bool rlimit = row.info.type == ValueType::Rlimit;
        const std::string name = rlimit ? "rlimit_nofile" : std::string(row.info.name);
        WatcherConfig set = watcher("web");
        const Faults faults = row.parse(set, sample(row), name);
        ASSERT_TRUE(faults.empty()) << name;
        const Change wanted = row.info.effect == Effect::Live      ? Change::Live
                              : row.info.effect == Effect::Count   ? Change::Count
                              : row.info.effect == Effect::Respawn ? Change::Reload
                                                                   : Change::Restart;
        EXPECT_EQ(change_by(watcher("web"), set, {name}), wanted) << name;
        EXPECT_EQ(change_by(set, watcher("web"), {name}), wanted) << name;
    }
}

TEST(Diff, AUserWhoseNumberChangedIsAnotherUser) {
    auto before = watcher("web");
    before.uid = UserRef{"app", 1000};
    auto after = before;
    after.uid->uid = 1001;
    EXPECT_EQ(change_by(before, after, {"uid"}), Change::Reload);
}

TEST(Diff, TheSameArgumentsWrittenInAnotherWayReplaceNobody) {
    auto before = watcher("web");
    before.args = {"a", "b"};
    before.args_given_as_text = true;
    before.args_text = "a b";
    auto after = before;
    after.args_given_as_text = false;
    after.args_text.clear();
    EXPECT_EQ(change_by(before, after, {"args"}), Change::Live);
}

TEST(Diff, WatchersAreAddedAndRemovedAndFoundWithoutCase) {
    Config next = stack();
    next.watchers = {watcher("Web"), watcher("new")};
    const auto difference = diff(stack(), next);
    EXPECT_EQ(change_of(difference, "Web").change, Change::Live);
    EXPECT_EQ(change_of(difference, "Web").why, Texts{"name"});
    EXPECT_EQ(change_of(difference, "new").change, Change::Added);
    EXPECT_EQ(change_of(difference, "job").change, Change::Removed);
}

// Watchers that reach the socket "a" in each of the ways there are, and one that does not.
Config users_of_sockets() {
    Config config;
    config.sockets = {tcp("a", 1), tcp("b", 2)};
    for (const char* name : {"by_cmd", "by_args", "by_env", "by_stdin", "all", "only_b", "none"})
        config.watchers.push_back(watcher(name));
    auto& w = config.watchers;
    w[0].cmd = "/bin/program $(circus.sockets.A)";
    w[1].args = {"((circus.sockets.a))"};
    w[2].env = {{"FD", "$(circus.sockets.a)"}};
    w[3].stdin_socket = "a";
    w[5].args = {"$(circus.sockets.b)"};
    for (const std::size_t i : {0u, 1u, 2u, 4u, 5u}) w[i].use_sockets = true;
    return config;
}

void expect_replaced(const Difference& difference, const Texts& wanted, const std::string& why) {
    for (const auto& change : difference.watchers) {
        const bool replaced = std::find(wanted.begin(), wanted.end(), change.name) != wanted.end();
        EXPECT_EQ(change.change, replaced ? Change::Reload : Change::Kept) << change.name;
        EXPECT_EQ(change.why, replaced ? Texts{why} : Texts{}) << change.name;
    }
}

TEST(Diff, WhoUsesAChangedSocketIsReplacedHoweverItUsesIt) {
    Config next = users_of_sockets();
    next.sockets[0].port = 9;
    const auto difference = diff(users_of_sockets(), next);
    EXPECT_TRUE(socket_of(difference, "a").bind);
    EXPECT_EQ(socket_of(difference, "a").why, Texts{"port"});
    EXPECT_FALSE(socket_of(difference, "b").bind);
    expect_replaced(difference, {"by_cmd", "by_args", "by_env", "by_stdin", "all"}, "socket a");
}

TEST(Diff, ASocketAddedInTheMiddleConcernsOnlyWhoGetsAll) {
    Config next = users_of_sockets();
    next.sockets.insert(next.sockets.begin() + 1, tcp("new", 3));
    const auto difference = diff(users_of_sockets(), next);
    EXPECT_TRUE(socket_of(difference, "new").bind);
    expect_replaced(difference, {"all"}, "socket new");
}

TEST(Diff, ARemovedSocketConcernsWhoUsedIt) {
    Config current = users_of_sockets();
    Config next = users_of_sockets();
    next.sockets.erase(next.sockets.begin());
    const auto difference = diff(current, next);
    EXPECT_EQ(difference.removed_sockets, Texts{"a"});
    expect_replaced(difference, {"by_cmd", "by_args", "by_env", "by_stdin", "all"}, "socket a");
}

TEST(Diff, AnotherOrderOfTheSocketsConcernsWhoFindsThemByOrder) {
    Config next = users_of_sockets();
    std::swap(next.sockets[0], next.sockets[1]);
    expect_replaced(diff(users_of_sockets(), next), {"all"}, "order of the sockets");
}

TEST(Diff, ASocketThatOnlyGotAnotherNameGoesOn) {
    Config current, next;
    current.sockets = {tcp("old", 1), tcp("gone", 2)};
    next.sockets = {tcp("new", 1)};
    const auto difference = diff(current, next);
    EXPECT_EQ(socket_of(difference, "new").from, "old");
    EXPECT_FALSE(socket_of(difference, "new").bind);
    EXPECT_EQ(difference.removed_sockets, Texts{"gone"});
}

TEST(Diff, WhatASocketsOptionMeansIsReadOffItsRow) {
    Config current, next;
    current.sockets = next.sockets = {tcp("a", 1), tcp("b", 2)};
    current.watchers = next.watchers = {watcher("all")};
    current.watchers[0].use_sockets = next.watchers[0].use_sockets = true;
    next.sockets[0].backlog = 17;
    auto difference = diff(current, next);
    EXPECT_FALSE(socket_of(difference, "a").bind || socket_of(difference, "a").replaces_users);
    EXPECT_EQ(socket_of(difference, "a").why, Texts{"backlog"});
    EXPECT_EQ(change_of(difference, "all").change, Change::Kept);

    next.sockets[0].blocking = true;
    difference = diff(current, next);
    EXPECT_FALSE(socket_of(difference, "a").bind);
    EXPECT_EQ(change_of(difference, "all").change, Change::Reload);
}

TEST(Diff, TheDaemonsUmaskConcernsWatchersWithoutOne) {
    Config current = stack(), next = stack();
    next.circus.umask = 027;
    current.watchers[1].umask = next.watchers[1].umask = 077;
    const auto difference = diff(current, next);
    EXPECT_EQ(change_of(difference, "web").change, Change::Reload);
    EXPECT_EQ(change_of(difference, "web").why, Texts{"umask of [circus]"});
    EXPECT_EQ(change_of(difference, "job").change, Change::Kept);
    EXPECT_EQ(difference.circus.at(0).option, "umask");
}

// ---- merge ----

TEST(Merge, AnUnchangedSectionStaysAsItRuns) {
    Config running = stack();
    running.watchers[0].numprocesses = 9;
    running.watchers[0].graceful_timeout = 1;
    const Config merged = merge(stack(), running, stack());
    EXPECT_EQ(merged.watchers[0], running.watchers[0]);
}

TEST(Merge, AChangedCountOverridesOnlyTheCount) {
    Config running = stack(), next = stack();
    running.watchers[0].numprocesses = 9;
    running.watchers[0].graceful_timeout = 1;
    next.watchers[0].numprocesses = 4;
    const Config merged = merge(stack(), running, next);
    EXPECT_EQ(merged.watchers[0].numprocesses, 4);
    EXPECT_EQ(merged.watchers[0].graceful_timeout, 1);
}

TEST(Merge, ASectionThatChangedOtherwiseIsTakenWhole) {
    Config running = stack(), next = stack();
    running.watchers[0].numprocesses = 9;
    running.watchers[0].graceful_timeout = 1;
    next.watchers[0].priority = 4;
    EXPECT_EQ(merge(stack(), running, next).watchers[0], next.watchers[0]);
}

TEST(Merge, WhatWasAddedAndRemovedByCommandIsAsTheFileSays) {
    Config running = stack();
    running.watchers.erase(running.watchers.begin());   // rm web
    running.watchers.push_back(watcher("by_command"));  // add
    const auto difference = diff(running, merge(stack(), running, stack()));
    EXPECT_EQ(change_of(difference, "web").change, Change::Added);
    EXPECT_EQ(change_of(difference, "job").change, Change::Kept);
    EXPECT_EQ(change_of(difference, "by_command").change, Change::Removed);
}

TEST(Merge, AChangeThatSetMadeAlreadyReplacesNobody) {
    Config running = stack(), next = stack();
    running.watchers[0].cmd = next.watchers[0].cmd = "/bin/other";
    EXPECT_EQ(change_of(diff(running, merge(stack(), running, next)), "web").change, Change::Kept);
}

}  // namespace
}  // namespace circus::config
