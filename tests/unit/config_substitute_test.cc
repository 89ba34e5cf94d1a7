#include <gtest/gtest.h>

#include "config/substitute.hpp"

namespace circus::config {
namespace {

using Words = std::vector<std::string>;

const std::vector<std::string> kEnvironment{"HOME=/home/u", "BLANKS=a b", "TRICK=$(circus.wid) $HOME"};
const SocketFd kSockets = [](std::string_view name) -> std::optional<int> {
    return name == "web" ? std::optional(4) : std::nullopt;
};

WatcherConfig watcher(std::string cmd) {
    WatcherConfig config;
    config.name = "Web";
    config.cmd = std::move(cmd);
    return config;
}

Words argv(const WatcherConfig& config) {
    auto result = expand_argv(config, 7, kSockets, kEnvironment);
    return result ? *result : Words{"error: " + result.error().text};
}

TEST(Substitute, KnowsEverySpellingOfAReference) {
    const Lookup lookup = [](std::string_view name) -> std::optional<std::string> {
        if (name == "wid") return "7";
        if (name == "sockets.web") return "4";
        return std::nullopt;
    };
    const std::vector<std::pair<std::string, std::string>> table{
        {"plain", "plain"},
        {"$(circus.wid)", "7"},
        {"((circus.wid))", "7"},
        {"$(CIRCUS.Wid)", "7"},
        {"$(wid)", "7"},
        {"$(WID)", "7"},
        {"$WID", "7"},
        {"$WID.log", "7.log"},
        {"$WIDE", "$WIDE"},
        {"$wid", "$wid"},
        {"a$(circus.sockets.web)b((circus.wid))c", "a4b7c"},
        {"$((circus.wid))", "$7"},
        {"$(circus.nothing)", "$(circus.nothing)"},
        {"$(circus.)", "$(circus.)"},
        {"$(date)", "$(date)"},
        {"((1 + 1))", "((1 + 1))"},
        {"((circus.wid)", "((circus.wid)"},
        {"$(circus.wid", "$(circus.wid"},
        {"$", "$"},
        {"(", "("},
        {"", ""},
    };
    for (const auto& [text, expected] : table) EXPECT_EQ(substitute(text, lookup), expected) << text;
}

TEST(StopCommand, IsSplitAndSubstitutedLikeCmdAndKnowsItsProcess) {
    WatcherConfig config = watcher("serve");
    config.args = {"--not", "these"};
    config.stop_command = "end $(circus.pid) '$(circus.env.blanks)' ((circus.wid))";
    const auto words = [&config] {
        auto argv =
            expand_side_command(config, "stop_command", config.stop_command, 7, 4711, kSockets, kEnvironment);
        return argv ? *argv : Words{"error: " + argv.error().text};
    };
    EXPECT_EQ(words(), (Words{"end", "4711", "a b", "7"}));
    config.shell = true;
    EXPECT_EQ(words(), (Words{"/bin/sh", "-c", "end 4711 'a b' 7"}));
    config.shell = false;
    config.stop_command = "'";
    EXPECT_EQ(words()[0].substr(0, 34), "error: stop_command of watcher Web");
}

TEST(CopyPath, BringsThePythonpathAloneAndCopyEnvHasItAnyway) {
    const Words environment{"PYTHONPATH=/m", "HOME=/h"};
    WatcherConfig config = watcher("serve");
    EXPECT_EQ(expand_env(config, 1, kSockets, environment), Words{});
    config.copy_path = true;
    EXPECT_EQ(expand_env(config, 1, kSockets, environment), Words{"PYTHONPATH=/m"});
    config.copy_env = true;
    EXPECT_EQ(expand_env(config, 1, kSockets, environment), environment);
}

TEST(Substitute, TellsWhichNamesAreUnknown) {
    std::vector<std::string> unknown;
    substitute(
        "$(circus.Foo) $(circus.env.X) $(date)", [](std::string_view) { return std::nullopt; }, &unknown);
    EXPECT_EQ(unknown, (Words{"foo", "env.x"}));
}

TEST(ExpandArgv, SubstitutesWordByWordSoThatAValueWithBlanksStaysOneWord) {
    WatcherConfig config = watcher("web -e $(circus.env.blanks) '$(circus.sockets.WEB) x'");
    config.args = {"$(circus.wid)", "((circus.name))", "a b"};
    EXPECT_EQ(argv(config), (Words{"web", "-e", "a b", "4 x", "7", "Web", "a b"}));
}

TEST(ExpandArgv, NeverSubstitutesInWhatWasPutIn) {
    EXPECT_EQ(argv(watcher("web $(circus.env.trick)")), (Words{"web", "$(circus.wid) $HOME"}));
}

TEST(ExpandArgv, KnowsTheWatchersOptionsAsPythonWritesThem) {
    WatcherConfig config = watcher(
        "web $(circus.numprocesses) $(circus.respawn) [$(circus.working_dir)] "
        "$(circus.graceful_timeout) $(circus.env) $(circus.stdout_stream)");
    config.numprocesses = 3;
    EXPECT_EQ(argv(config),
              (Words{"web", "3", "True", "[]", "30.0", "$(circus.env)", "$(circus.stdout_stream)"}));
}

TEST(ExpandArgv, FindsAVariableOfTheWorkersOwnBehindTheDaemons) {
    WatcherConfig config = watcher("web $(circus.env.own) $(circus.env.home) $(circus.env.none)");
    config.env = {{"OWN", "$HOME/x"}, {"HOME", "/other"}};
    EXPECT_EQ(argv(config), (Words{"web", "/home/u/x", "/home/u", "$(circus.env.none)"}));
}

TEST(ExpandArgv, GivesAShellTheTextAndQuotesTheArguments) {
    WatcherConfig config = watcher("exec web --fd $(circus.sockets.web) | cat 'x'");
    config.shell = true;
    config.args = {"plain", "a b", "it's", ""};
    config.shell_args = {"name", "$(circus.wid)"};
    EXPECT_EQ(argv(config),
              (Words{"/bin/sh", "-c", "exec web --fd 4 | cat 'x' plain 'a b' 'it'\"'\"'s' ''", "name", "7"}));
}

TEST(ExpandArgv, RefusesACommandWithoutAProgram) {
    EXPECT_EQ(argv(watcher("  ")), (Words{"error: cmd of watcher Web names no program"}));
    EXPECT_EQ(argv(watcher("'x")), (Words{"error: cmd of watcher Web: no closing quotation (')"}));
}

TEST(NamedSockets, AreFoundInEveryTextOfASpawnOnce) {
    WatcherConfig config = watcher("web $(circus.sockets.A) $(circus.sockets.a)");
    config.args = {"((circus.sockets.b))"};
    config.env = {{"FD", "$(circus.sockets.c)"}};
    config.executable = "$(circus.sockets.d)";
    EXPECT_EQ(named_sockets(config), (Words{"a", "b", "c"}));
    EXPECT_EQ(named_sockets(watcher("web")), Words{});
}

TEST(ExpandEnv, IsEmptyUnlessSomethingIsDeclared) {
    EXPECT_EQ(expand_env(watcher("web"), 7, kSockets, kEnvironment), Words{});
}

TEST(ExpandEnv, PutsTheDaemonsEnvironmentBelowTheWatchers) {
    WatcherConfig config = watcher("web");
    config.copy_env = true;
    config.env = {{"NEW", "1"}, {"HOME", "$HOME/sub"}, {"HOM", "x"}};
    EXPECT_EQ(expand_env(config, 7, kSockets, kEnvironment),
              (Words{"HOME=/home/u/sub", "BLANKS=a b", "TRICK=$(circus.wid) $HOME", "NEW=1", "HOM=x"}));
}

TEST(ExpandEnv, ExpandsVariablesOfTheDaemonAndReferences) {
    const std::vector<std::pair<std::string, std::string>> table{
        {"$HOME:/opt", "/home/u:/opt"},
        {"${HOME}x", "/home/ux"},
        {"$HOMEx", ""},
        {"$UNSET", ""},
        {"${HOME", "${HOME"},
        {"a$", "a$"},
        {"$$HOME", "$/home/u"},
        {"$5", "$5"},
        {"${}", "${}"},
        {"$TRICK", "$(circus.wid) $HOME"},
        {"$WID-$(circus.sockets.web)", "7-4"},
        {"$(circus.x)", "$(circus.x)"},
        {"$home", ""},
    };
    for (const auto& [value, expected] : table) {
        WatcherConfig config = watcher("web");
        config.env = {{"X", value}};
        EXPECT_EQ(expand_env(config, 7, kSockets, kEnvironment), Words{"X=" + expected}) << value;
    }
}

}  // namespace
}  // namespace circus::config
