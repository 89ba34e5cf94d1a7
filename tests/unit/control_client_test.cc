// What circusctl does by itself: completion, commands of plugins, --ssh, tables, the prompt's history.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/command_line.hpp"
#include "control/completion.hpp"
#include "control/completion_script.hpp"
#include "control/offer.hpp"
#include "control/ssh.hpp"
#include "control/table.hpp"
#include "shell/history.hpp"

namespace circus::control {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

// ---- completion ----

// A daemon with the watchers "My job" and web, and the plugin's command scale.
Json answer_of(const std::string&, const std::string& command, const Json& properties) {
    if (command == "status") return {{"statuses", {{"My job", "stopped"}, {"web", "active"}}}};
    if (command == "list" && properties.contains("name")) return {{"pids", {12, 130}}};
    if (command == "list") return {{"watchers", {"my job", "web"}}};
    if (command == "options") return {{"options", {{"cmd", "x"}, {"free.form", 3}}}};
    if (command == "globaloptions") return {{"options", {{"endpoint", "ipc:///e"}}}};
    if (command == kOffersCommand) return {{"commands", {{"scale", {{"summary", "scale now"}}}}}};
    return {};
}

Json silence(const std::string&, const std::string&, const Json&) {
    return {};
}

std::vector<std::string> words_of(const Completion& completion) {
    std::vector<std::string> words;
    for (const auto& candidate : completion.candidates) words.push_back(candidate.word);
    return words;
}

std::vector<std::string> completed(const std::string& line, const Ask& ask = answer_of) {
    return words_of(complete(split_line(line), ask));
}

TEST(ControlCompletion, ALineIsSplitAsFarAsItIsThere) {
    const auto split_up = [](const std::string& line) {
        const LineStart start = split_line(line);
        return cat(join(start.words, "|"), " > ", start.last);
    };
    EXPECT_EQ(split_up(""), " > ");
    EXPECT_EQ(split_up("sta"), " > sta");
    EXPECT_EQ(split_up("start  "), "start > ");
    EXPECT_EQ(split_up("start 'My jo"), "start > My jo");
    EXPECT_EQ(split_up(R"(start "a\"b" c\ )"), R"(start|a"b > c )");
    EXPECT_EQ(split_up("a '' b"), "a| > b");
}

TEST(ControlCompletion, CommandsAreTheTablesAndThePlugins) {
    EXPECT_THAT(completed("sta"), ElementsAre("start", "stats", "status"));
    EXPECT_THAT(completed(""), IsSupersetOf({"list", "convert", "help", "scale"}));
    EXPECT_THAT(completed("sc"), ElementsAre("scale"));
    EXPECT_THAT(completed("plug"), ElementsAre("plugin", "plugins"));
    EXPECT_THAT(completed("plugin n"), ElementsAre("new"));
    EXPECT_THAT(completed("plugin new "), IsEmpty());
    EXPECT_THAT(completed("plugin new x --lang c"), ElementsAre("c", "cpp"));
    EXPECT_THAT(completed("help rel"), ElementsAre("reload", "reloadconfig"));
    EXPECT_THAT(completed("--json --timeout 3 sta"), ElementsAre("start", "stats", "status"));
    EXPECT_THAT(words_of(complete(split_line("ex"), silence, {{"exit", "leave"}})), ElementsAre("exit"));
    const auto all = complete(split_line("sta"), silence).candidates;
    EXPECT_EQ(all.front().doc, "start one watcher or all");
}

TEST(ControlCompletion, EveryCommandAndEverySwitchIsCompleted) {
    for (const Command& command : commands()) {
        EXPECT_THAT(completed(std::string(command.name)), Contains(std::string(command.name)));
        for (const Switch& option : switches_of(command))
            EXPECT_THAT(completed(cat(command.name, " --")), Contains(cat("--", option.name)))
                << command.name;
    }
    for (const Switch& option : own_switches())
        EXPECT_THAT(completed("--"), Contains(cat("--", option.name)));
    EXPECT_THAT(completed("status --w"), IsEmpty());
    EXPECT_THAT(completed("status -- --w"), IsEmpty());
}

TEST(ControlCompletion, NamesComeFromTheDaemon) {
    EXPECT_THAT(completed("start "), ElementsAre("My job", "web"));
    EXPECT_THAT(completed("start \"My "), ElementsAre("My job"));
    EXPECT_THAT(completed("start --waiting w"), ElementsAre("web"));
    EXPECT_THAT(completed("add "), IsEmpty());
    EXPECT_THAT(completed("kill web 1"), ElementsAre("12", "130"));
    EXPECT_THAT(completed("stats web "), ElementsAre("12", "130"));
    EXPECT_THAT(completed("get web "), ElementsAre("cmd", "free.form"));
    EXPECT_THAT(completed("get web cmd f"), ElementsAre("free.form"));
    EXPECT_THAT(completed("globaloptions e"), ElementsAre("endpoint"));
    EXPECT_THAT(completed("listen "), ElementsAre("watcher.my_job.", "watcher.web."));
    EXPECT_THAT(completed("list web "), IsEmpty());
    EXPECT_THAT(completed("start ", silence), IsEmpty());
    EXPECT_EQ(complete(split_line("start "), answer_of).candidates.front().doc, "stopped");
}

TEST(ControlCompletion, ASignalMayStandWhereAPidMay) {
    EXPECT_THAT(completed("signal web "), IsSupersetOf({"12", "130", "HUP", "TERM"}));
    EXPECT_THAT(completed("signal web 12 "), Contains("HUP"));
    EXPECT_THAT(completed("signal web 12 "), Not(Contains("130")));
    EXPECT_THAT(completed("kill web --signum HU"), ElementsAre("HUP"));
    EXPECT_THAT(completed("kill web --signum=HU"), ElementsAre("--signum=HUP"));
}

TEST(ControlCompletion, SetTakesOptionsAndValuesInTurn) {
    EXPECT_THAT(completed("set web "), IsSupersetOf({"numprocesses", "stdout_stream.", "rlimit_nofile"}));
    EXPECT_THAT(completed("set web shell "), ElementsAre("true", "false"));
    EXPECT_THAT(completed("set web stop_signal HU"), ElementsAre("HUP"));
    EXPECT_THAT(completed("set web numprocesses "), IsEmpty());
    EXPECT_THAT(completed("set web numprocesses 3 stop_s"), ElementsAre("stop_signal"));
}

TEST(ControlCompletion, FixedWordsAndFiles) {
    EXPECT_THAT(completed("start --match "), ElementsAre("glob", "regex", "simple"));
    EXPECT_THAT(completed("--color=a"), ElementsAre("--color=auto", "--color=always"));
    EXPECT_THAT(completed("completion z"), ElementsAre("zsh"));
    EXPECT_TRUE(complete(split_line("convert circ"), silence).files);
    EXPECT_TRUE(complete(split_line("convert x -o "), silence).files);
    EXPECT_FALSE(complete(split_line("status "), silence).files);
}

TEST(ControlCompletion, TheLinesOwnEndpointIsAskedAndNobodyWithSsh) {
    std::vector<std::string> asked;
    const Ask ask = [&asked](const std::string& endpoint, const std::string& command, const Json&) {
        asked.push_back(cat(endpoint, " ", command));
        return Json();
    };
    completed("--endpoint ipc:///x start ", ask);
    completed("--endpoint=ipc:///y start ", ask);
    completed("start ", ask);
    EXPECT_THAT(asked, ElementsAre("ipc:///x status", "ipc:///y status", " status"));
    asked.clear();
    completed("--ssh host start ", ask);
    completed("--ssh host ", ask);
    EXPECT_THAT(asked, IsEmpty());
}

TEST(ControlCompletion, ShellsGetAKindAndLines) {
    EXPECT_EQ(completion_text("circusctl reloadc", silence),
              "words\nreloadconfig\tread the configuration again and carry out what changed\n");
    EXPECT_EQ(completion_text("sudo A=1 /usr/bin/circusctl convert x", silence), "files\n");
    EXPECT_EQ(completion_text("cctl start w", answer_of), "words\nweb\tactive\n");
    for (const char* shell : {"bash", "zsh", "fish"}) EXPECT_TRUE(completion_script(shell)) << shell;
    EXPECT_FALSE(completion_script("tcsh"));
}

// ---- commands of plugins ----

Invocation parsed(const std::vector<std::string>& words) {
    const auto invocation = parse_command_line(words);
    return invocation ? *invocation : Invocation{};
}

Offer scale() {
    return offers_in(Json::parse(R"({"commands": {"scale": {"summary": "scale now", "help": "Scales.",
        "arguments": ["watcher", {"name": "by", "type": "integer", "doc": "how many"},
                      {"name": "force", "type": "boolean"}]}}})"))
        .at(0);
}

std::string sent(const Offer& offer, const std::vector<std::string>& words) {
    const auto properties = properties_of(offer, parsed(words));
    return properties ? properties->dump() : cat(properties.error().code, " ", properties.error().text);
}

TEST(ControlOffer, WordsAndSwitchesBecomeProperties) {
    EXPECT_EQ(sent(scale(), {"scale", "web", "3"}), R"({"by":3,"watcher":"web"})");
    EXPECT_EQ(sent(scale(), {"scale", "web", "--by=-2", "--force", "--json"}),
              R"({"by":-2,"force":true,"watcher":"web"})");
    EXPECT_EQ(sent(scale(), {"scale", "a", "1", "no", "x", "y"}),
              R"({"args":["x","y"],"by":1,"force":false,"watcher":"a"})");
    EXPECT_EQ(sent({.name = "bare"}, {"bare", "x"}), R"({"args":["x"]})");
    EXPECT_EQ(sent(scale(), {"scale", "web", "many"}),
              "1 'by' isn't an integer: 'many'; usage: circusctl scale [watcher] [by] [force]");
}

TEST(ControlOffer, IsReadHoweverTheDaemonTellsIt) {
    const auto listed =
        offers_in(Json::parse(R"({"commands": [{"name": "a", "summary": "s"}, {"x": 1}, 3]})"));
    ASSERT_EQ(listed.size(), 1U);
    EXPECT_EQ(listed[0].name, "a");
    EXPECT_EQ(listed[0].summary, "s");
    for (const char* odd : {"{}", "3", R"({"commands": 3})", R"({"status": "error"})"})
        EXPECT_TRUE(offers_in(Json::parse(odd)).empty()) << odd;
    EXPECT_EQ(sent(offers_in(Json::parse(
                       R"({"commands": {"b": {"arguments": [{"name": "who", "required": true}]}}})"))[0],
                   {"b"}),
              "1 argument who is missing; usage: circusctl b who");
}

TEST(ControlOffer, AUsageNamesItsArguments) {
    const auto offer = [](const std::string& usage) {
        return offers_in({{"commands", {{"scale", {{"usage", usage}}}}}}).at(0);
    };
    const Offer scaling = offer("scale WATCHER [BY] [--within SECONDS] [--force]");
    EXPECT_EQ(sent(scaling, {"scale", "12", "3", "--force", "--within=1.5"}),
              R"({"by":3,"force":true,"watcher":"12","within":1.5})");
    EXPECT_EQ(
        sent(scaling, {"scale"}),
        "1 argument watcher is missing; usage: circusctl scale WATCHER [BY] [--within SECONDS] [--force]");
    EXPECT_EQ(sent(offer("scale the watcher, by"), {"scale", "x"}), R"({"args":["x"]})");
}

TEST(ControlOffer, AnswersAreShownByTheirFields) {
    EXPECT_EQ(render_offered(Json::parse(R"({"status":"ok","time":1.0,"id":"x"})")), "ok");
    EXPECT_EQ(render_offered(Json::parse(R"({"status":"ok","report":"all well"})")), "all well");
    EXPECT_EQ(render_offered(Json::parse(R"({"status":"ok","b":true,"a":[1]})")), "a: [1]\nb: True");
    EXPECT_NE(help_text(scale()).find("circusctl scale [watcher] [by] [force]"), std::string::npos);
}

// ---- ssh ----

std::string ssh_words(const std::vector<std::string>& words, Look look = {}, bool prompt = false) {
    const auto command = ssh_command(parsed(words), "ssh", look, prompt);
    return command ? join(*command, "|") : cat(command.error().code, " ", command.error().text);
}

TEST(ControlSsh, TheSameWordsAreRunThere) {
    EXPECT_EQ(ssh_words({"--ssh", "me@host", "status"}), "ssh|-n|-T|--|me@host|circusctl status");
    EXPECT_EQ(ssh_words({"--json", "incr", "--ssh=host:2222", "web", "--ssh_keyfile", "k", "--waiting"}),
              "ssh|-n|-T|-p|2222|-i|k|--|host|circusctl --json incr web --waiting");
    EXPECT_EQ(ssh_words({"--ssh", "::1", "list"}), "ssh|-n|-T|--|::1|circusctl list");
    EXPECT_EQ(ssh_words({"--ssh", "h", "start", "My job", "--match", "w*"}),
              "ssh|-n|-T|--|h|circusctl start 'My job' --match 'w*'");
    EXPECT_EQ(ssh_words({"--ssh", "h", "scale", "--ssh-like=x"}),
              "ssh|-n|-T|--|h|circusctl scale --ssh-like=x");
    EXPECT_EQ(ssh_words({"--ssh", "h"}, {}, true), "ssh|-t|--|h|circusctl --color=never");
    EXPECT_EQ(ssh_words({"--ssh", "h"}), "ssh|-T|--|h|circusctl");
}

TEST(ControlSsh, ColourIsDecidedHere) {
    const Look colourful{.table = true, .colour = true};
    EXPECT_EQ(ssh_words({"--ssh", "h", "status"}, colourful),
              "ssh|-n|-T|--|h|circusctl --color=always status");
    EXPECT_EQ(ssh_words({"--ssh", "h", "status", "--color", "never"}, colourful),
              "ssh|-n|-T|--|h|circusctl status --color never");
}

TEST(ControlSsh, WhatIsNoHostIsRefused) {
    EXPECT_EQ(ssh_words({"--ssh", "-oProxyCommand=x", "list"}),
              "2 option --ssh: not a host: '-oProxyCommand=x'");
    EXPECT_EQ(ssh_words({"--ssh", "host:http", "list"}), "2 option --ssh: not a host: 'host:http'");
    const auto empty = parse_command_line({"--ssh=", "list"});
    ASSERT_FALSE(empty);
    EXPECT_EQ(empty.error().text, "option --ssh: no host");
}

TEST(ControlSsh, QuotesForWhateverShellIsThere) {
    EXPECT_EQ(quoted_for_shell("web-1.a:b=/c,d%e+f@g_h"), "web-1.a:b=/c,d%e+f@g_h");
    EXPECT_EQ(quoted_for_shell(""), "''");
    EXPECT_EQ(quoted_for_shell("a b"), "'a b'");
    EXPECT_EQ(quoted_for_shell("$(x)`y`*~!"), "'$(x)`y`*~!'");
    EXPECT_EQ(quoted_for_shell("it's"), R"('it'\''s')");
    EXPECT_EQ(quoted_for_shell(R"(a\b)"), R"('a'\\'b')");
}

// ---- tables ----

TEST(ControlLook, ColourAndColumnsAreForTerminals) {
    const Surroundings terminal{.terminal = true, .width = 100};
    const Surroundings no_color{.terminal = true, .refuses_colour = true};
    const Surroundings pipe{};
    const auto flags = [](ColourWhen when, const Surroundings& where) {
        const Look look = look_of(when, where);
        return cat(look.table ? "table " : "lines ", look.colour ? "colour" : "plain");
    };
    EXPECT_EQ(flags(ColourWhen::Auto, terminal), "table colour");
    EXPECT_EQ(flags(ColourWhen::Auto, no_color), "table plain");
    EXPECT_EQ(flags(ColourWhen::Auto, pipe), "lines plain");
    EXPECT_EQ(flags(ColourWhen::Always, pipe), "table colour");
    EXPECT_EQ(flags(ColourWhen::Always, no_color), "table colour");
    EXPECT_EQ(flags(ColourWhen::Never, terminal), "table plain");
    EXPECT_EQ(flags(ColourWhen::Never, pipe), "lines plain");
    EXPECT_EQ(look_of(ColourWhen::Auto, terminal).width, 100U);
}

TEST(ControlTable, ColumnsAreAsWideAsTheirWidestCell) {
    Table table({{"N", true}, {"NAME"}});
    table.add({"1", "a"});
    table.add({"200", "größer"});
    table.add({"3"});
    EXPECT_EQ(table.text({.table = true}), "  N  NAME\n  1  a\n200  größer\n  3");
}

TEST(ControlTable, ATerminalObeysNothingThatComesFromElsewhere) {
    EXPECT_EQ(printable("a\033[2Jb\n\x7f"), R"(a\x1b[2Jb\x0a\x7f)");
    EXPECT_EQ(printable("\xc2\x9b"
                        "1m ü"),
              R"(\x9b1m ü)");
}

TEST(ControlTable, WordsStandSideBySideAsLsHasThem) {
    const std::vector<std::string> words = {"a", "bb", "ccc", "d", "e"};
    EXPECT_EQ(side_by_side(words, {.width = 13}), "a    ccc  e\nbb   d");
    EXPECT_EQ(side_by_side(words, {.width = 12}), "a    d\nbb   e\nccc");
    EXPECT_EQ(side_by_side(words, {.width = 80}), "a    bb   ccc  d    e");
    EXPECT_EQ(side_by_side(words, {.width = 1}), "a\nbb\nccc\nd\ne");
    EXPECT_EQ(side_by_side({}, {}), "");
}

}  // namespace
}  // namespace circus::control

namespace circus::shell {
namespace {

namespace fs = std::filesystem;

class HistoryTest : public testing::Test {
  protected:
    HistoryTest() {
        std::string pattern = "/tmp/circus-history-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
    }
    ~HistoryTest() override { fs::remove_all(directory_); }

    std::string path() const { return directory_ + "/state/circus/history"; }
    std::vector<std::string> lines() const {
        const auto loaded = History(path()).load();
        return loaded ? *loaded : std::vector<std::string>{loaded.error().text};
    }
    static unsigned mode(const std::string& path) {
        struct stat found {};
        return ::stat(path.c_str(), &found) == 0 ? found.st_mode & 0777U : 0U;
    }

    std::string directory_;
};

TEST_F(HistoryTest, KeepsLinesForTheirOwnerAlone) {
    History history(path());
    for (const char* line : {"status", "status", " set web env KEY=secret", "", "list", "status"})
        EXPECT_TRUE(history.add(line)) << line;
    EXPECT_THAT(lines(), testing::ElementsAre("status", "list", "status"));
    EXPECT_EQ(mode(path()), 0600U);
    EXPECT_EQ(mode(directory_ + "/state"), 0700U);
}

TEST_F(HistoryTest, TwoPromptsLoseNothingOfEachOther) {
    History one(path());
    History other(path());
    EXPECT_TRUE(one.add("a"));
    EXPECT_TRUE(other.add("b"));
    EXPECT_TRUE(one.add("c"));
    EXPECT_THAT(lines(), testing::ElementsAre("a", "b", "c"));
}

TEST_F(HistoryTest, IsBounded) {
    fs::create_directories(directory_ + "/state/circus");
    std::ofstream file(path());
    for (std::size_t i = 0; i < 3 * kLinesKept; ++i) file << "line " << i << "\n";
    file.close();
    fs::permissions(path(), fs::perms::all);
    ASSERT_EQ(lines().size(), kLinesKept);
    EXPECT_EQ(lines().back(), cat("line ", 3 * kLinesKept - 1));
    std::ifstream in(path());
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    EXPECT_EQ(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')), kLinesKept);
    EXPECT_EQ(mode(path()), 0600U);
}

TEST_F(HistoryTest, APlaceThatCannotBeIsAnErrorThatNamesIt) {
    fs::create_directories(path());
    const auto added = History(path()).add("x");
    ASSERT_FALSE(added);
    EXPECT_NE(added.error().text.find(path()), std::string::npos) << added.error().text;
    EXPECT_TRUE(History("").add("x"));
}

TEST(HistoryPath, IsBelowTheStateOfTheUser) {
    ::setenv("XDG_STATE_HOME", "/state", 1);
    EXPECT_EQ(history_path(), "/state/circus/history");
    ::setenv("XDG_STATE_HOME", "relative", 1);
    ::setenv("HOME", "/home/me", 1);
    EXPECT_EQ(history_path(), "/home/me/.local/state/circus/history");
    ::unsetenv("HOME");
    ::unsetenv("XDG_STATE_HOME");
    EXPECT_EQ(history_path(), "");
}

}  // namespace
}  // namespace circus::shell
