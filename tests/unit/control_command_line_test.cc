#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/command_line.hpp"

namespace circus::control {
namespace {

std::vector<std::string> words_of(const std::string& line) {
    return *split_words(line);
}

// What would be sent, or "CODE text" of the error.
std::string sent(const std::string& line) {
    const auto told = [](const Error& error) { return cat(error.code, " ", error.text); };
    const auto invocation = parse_command_line(words_of(line));
    if (!invocation) return told(invocation.error());
    const auto properties = properties_of(*invocation);
    if (!properties) return told(properties.error());
    return cat(invocation->command->name, " ", properties->dump());
}

TEST(ControlCommandLine, BuildsTheMessageOfEveryCommand) {
    const std::vector<std::pair<const char*, const char*>> lines = {
        {"status", "status {}"},
        {"status web", R"(status {"name":"web"})"},
        {"STATUS web", R"(status {"name":"web"})"},
        {"list web", R"(list {"name":"web"})"},
        {"incr web", R"(incr {"name":"web"})"},
        {"incr web 5 --waiting", R"(incr {"name":"web","nb":5,"waiting":true})"},
        {"decr --waiting web", R"(decr {"name":"web","waiting":true})"},
        {"start", "start {}"},
        {"start we* --match glob --waiting", R"(start {"match":"glob","name":"we*","waiting":true})"},
        {"stop web --match=regex", R"(stop {"match":"regex","name":"web"})"},
        {"reload --terminate", R"(reload {"graceful":false})"},
        {"reload web --sequential", R"(reload {"name":"web","sequential":true})"},
        {"kill web", R"(kill {"name":"web"})"},
        {"kill web 12 --signum HUP --graceful_timeout 0.5",
         R"(kill {"graceful_timeout":"0.5","name":"web","pid":"12","signum":"HUP"})"},
        {"signal web HUP", R"(signal {"name":"web","signum":"HUP"})"},
        {"signal web 12 9 --children", R"(signal {"children":true,"name":"web","pid":"12","signum":"9"})"},
        {"signal web 12 9 --childpid 13", R"(signal {"childpid":"13","name":"web","pid":"12","signum":"9"})"},
        {"add job sleep 100 --start", R"(add {"cmd":"sleep 100","name":"job","start":true})"},
        {"add job python3 -m http.server --bind ::1",
         R"(add {"cmd":"python3 -m http.server --bind ::1","name":"job"})"},
        {"add job serve --timeout 30 --json --waiting",
         R"(add {"cmd":"serve --timeout 30","name":"job","waiting":true})"},
        {"add -- job serve --start", R"(add {"cmd":"serve --start","name":"job"})"},
        {"rm job --nostop", R"(rm {"name":"job","nostop":true})"},
        {"get web numprocesses cmd", R"(get {"keys":["numprocesses","cmd"],"name":"web"})"},
        {"stats web 12", R"(stats {"name":"web","process":12})"},
        {"stats --extended", R"(stats {"extended":true})"},
        {"globaloptions endpoint", R"(globaloptions {"option":"endpoint"})"},
        {"listen watcher.web. plugin.", R"(listen {"topics":["watcher.web.","plugin."]})"},
        {"quit --waiting", R"(quit {"waiting":true})"},
        {"convert circus.ini", R"(convert {"file":"circus.ini"})"},
        {"convert x --from pm2 -o stack.toml", R"(convert {"file":"x","from":"pm2","output":"stack.toml"})"},
        {"plugin new mine", R"(plugin new {"name":"mine"})"},
        {"--json plugin new mine --lang=c", R"(plugin new {"lang":"c","name":"mine"})"},
        {"status -- --odd", R"(status {"name":"--odd"})"},
        {"logs -n 20 --stderr web 77", R"(logs {"lines":"20","name":"web","pid":77,"stderr":true})"},
        {"logs web -f", R"(logs {"follow":true,"name":"web"})"},
    };
    for (const auto& [line, message] : lines) EXPECT_EQ(sent(line), message) << line;
}

TEST(ControlCommandLine, SetConvertsByTheOptionTable) {
    EXPECT_EQ(
        sent("set web numprocesses 3 STOP_SIGNAL hup shell yes graceful_timeout 2 env A=1,B=2 cmd 'a b' "
             "max_retry -1 rlimit_nofile 500 rlimit_core unlimited stdout_stream.max_bytes 10 "
             "stdout_stream.filename x stderr_stream.utc yes stderr_stream.topic 5 uid www-data"),
        R"(set {"name":"web","options":{"cmd":"a b","env":{"A":"1","B":"2"},"graceful_timeout":2.0,)"
        R"("max_retry":-1,"numprocesses":3,"rlimit_core":"unlimited","rlimit_nofile":500,"shell":true,)"
        R"("stderr_stream.topic":"5","stderr_stream.utc":true,"stdout_stream.filename":"x","stdout_stream.max_bytes":10,"stop_signal":1,"uid":"www-data"}})");
}

TEST(ControlCommandLine, WrongArgumentsEndWithOneAndSayHow) {
    for (const char* line :
         {"incr", "incr web 1 2", "options", "status a b", "get web", "set web", "set web a", "signal web",
          "signal a 1 2 3", "numwatchers x", "add web", "kill a 1 2"}) {
        const std::string text = sent(line);
        EXPECT_TRUE(text.starts_with("1 wrong number of arguments; usage: circusctl "))
            << line << ": " << text;
    }
    EXPECT_EQ(sent("incr web many"), "1 'nb' isn't an integer: 'many'");
    EXPECT_EQ(sent(R"(set web hooks.after_stop '{"exec": "x y"}' hooks.before_stop l.so:f,true hooks {})"),
              R"(set {"name":"web","options":{"hooks":{},"hooks.after_stop":{"exec":"x y"},)"
              R"("hooks.before_stop":"l.so:f,true"}})");
    EXPECT_EQ(sent("set web hooks.after_stop {exec}"),
              R"(1 'hooks.after_stop' isn't a hook like "lib.so:function" or {"exec": "command"}: '{exec}')");
    EXPECT_EQ(sent("set web numprocesses many"), "1 'numprocesses' isn't an integer: 'many'");
    EXPECT_EQ(sent("set web shell maybe"), "1 'shell' isn't a boolean (yes or no): 'maybe'");
    EXPECT_EQ(sent("set web numproceses 3"), "1 unknown key 'numproceses'; did you mean 'numprocesses'?");
}

TEST(ControlCommandLine, UnknownCommandsAndOptionsEndWithTwo) {
    EXPECT_EQ(unknown_command("statuss").text, "unknown command: 'statuss'; did you mean status?");
    EXPECT_EQ(unknown_command("zzz", "no answer").text, "unknown command: 'zzz' (no answer)");
    EXPECT_EQ(unknown_command("zzz").code, 2);
    EXPECT_EQ(sent("--nope status"), "2 unknown option: --nope");
    EXPECT_EQ(sent("status --nope"), "2 unknown option: --nope; usage: circusctl status [NAME]");
    EXPECT_EQ(sent("status --json=1"), "2 option --json takes no value");
    EXPECT_EQ(sent("status --endpoint"), "2 option --endpoint needs a value");
    EXPECT_EQ(sent("status --color blue"), "2 option --color: not auto, always or never: 'blue'");
    EXPECT_EQ(sent("status --timeout soon"), "2 option --timeout: not a number of seconds: 'soon'");
}

TEST(ControlCommandLine, OwnOptionsStandOnEitherSideOfTheCommand) {
    const auto before = parse_command_line(words_of("--endpoint tcp://h:1 --timeout 0.5 --json status"));
    const auto behind = parse_command_line(words_of("status --json --timeout=0.5 --endpoint=tcp://h:1"));
    for (const auto* invocation : {&before, &behind}) {
        ASSERT_TRUE(*invocation);
        EXPECT_EQ((*invocation)->what, Invocation::What::Call);
        EXPECT_EQ((*invocation)->endpoint, "tcp://h:1");
        EXPECT_EQ((*invocation)->timeout, 0.5);
        EXPECT_TRUE((*invocation)->json);
    }
}

TEST(ControlCommandLine, AWordThatNoTableHasIsLeftToTheDaemon) {
    const auto invocation = parse_command_line(words_of("--json scale web --by=3 --force --timeout 2 -1"));
    ASSERT_TRUE(invocation);
    EXPECT_EQ(invocation->what, Invocation::What::Offered);
    EXPECT_EQ(invocation->offered, "scale");
    EXPECT_EQ(invocation->words, (std::vector<std::string>{"web", "-1"}));
    EXPECT_EQ(invocation->offered_switches, (std::vector<std::string>{"--by=3", "--force"}));
    EXPECT_EQ(invocation->timeout, 2);
    EXPECT_TRUE(invocation->json);
    EXPECT_EQ(parse_command_line(words_of("help scale"))->what, Invocation::What::Help);
    EXPECT_EQ(parse_command_line(words_of("help scale"))->offered, "scale");
}

TEST(ControlCommandLine, TheShellsOwnOptionsHoldForItsLines) {
    Invocation own;
    own.endpoint = "ipc:///own";
    own.json = true;
    const auto as_own = parse_command_line(words_of("list"), own);
    ASSERT_TRUE(as_own);
    EXPECT_EQ(as_own->what, Invocation::What::Call);
    EXPECT_EQ(as_own->endpoint, "ipc:///own");
    EXPECT_TRUE(as_own->json);
    EXPECT_EQ(parse_command_line(words_of("list --endpoint ipc:///x"), own)->endpoint, "ipc:///x");
}

TEST(ControlCommandLine, HelpIsAskedForInThreeWays) {
    for (const char* line : {"help incr", "incr --help", "--help incr"}) {
        const auto invocation = parse_command_line(words_of(line));
        ASSERT_TRUE(invocation) << line;
        EXPECT_EQ(invocation->what, Invocation::What::Help) << line;
        ASSERT_NE(invocation->command, nullptr) << line;
        EXPECT_EQ(invocation->command->name, "incr");
    }
    EXPECT_EQ(parse_command_line({"help"})->command, nullptr);
    EXPECT_EQ(parse_command_line({"--version"})->what, Invocation::What::Version);
    EXPECT_EQ(parse_command_line({})->what, Invocation::What::Nothing);
}

TEST(CommandTable, HelpNamesEveryArgumentAndSwitch) {
    EXPECT_EQ(usage(*find_command("signal")),
              "signal NAME [PID] SIGNUM [--childpid PID] [--children] [--recursive]");
    EXPECT_EQ(usage(*find_command("set")), "set NAME KEY VALUE [KEY VALUE ...] [--waiting]");
    EXPECT_EQ(usage(*find_command("listen")), "listen [TOPIC ...]");
    for (const Command& command : commands()) {
        EXPECT_NE(overview().find(cat("\n  ", command.name, " ")), std::string::npos) << command.name;
        EXPECT_NE(help_text(command).find(usage(command)), std::string::npos) << command.name;
    }
}

TEST(CommandTable, WhatCircusctlDoesByItselfIsNoCommandOfTheDaemon) {
    for (const Command& command : own_commands()) {
        EXPECT_EQ(find_command(command.name), nullptr) << command.name;
        EXPECT_NE(overview().find(cat("\n  ", command.name, " ")), std::string::npos) << command.name;
        EXPECT_NE(help_text(command).find(usage(command)), std::string::npos) << command.name;
    }
    EXPECT_EQ(usage(*find_own_command("CONVERT")), "convert FILE [--from FORMAT] [-o|--output OUT]");
}

TEST(CommandTable, IsSortedAndEveryRowIsWhole) {
    std::string_view last;
    for (const Command& command : commands()) {
        EXPECT_LT(last, command.name);
        last = command.name;
        EXPECT_NE(command.render, nullptr) << command.name;
        EXPECT_FALSE(command.summary.empty() || command.help.empty()) << command.name;
        EXPECT_TRUE(command.changes || command.while_stopping) << command.name;
    }
}

}  // namespace
}  // namespace circus::control
