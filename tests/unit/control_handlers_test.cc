// Every command by its message, on the real arbiter.
#include <unistd.h>

#include "base/log.hpp"
#include "config/option_table.hpp"
#include "control/command_table.hpp"
#include "control/controller.hpp"
#include "fake_stack.hpp"

namespace circus::control {
namespace {

struct ControlTest : testing::Test, supervise::FakeStack {
    std::unique_ptr<Controller> controller;
    std::vector<Json> answers;
    Caller caller{model::Role::Admin, "root", {}};

    void serve() {
        boot_running();
        controller = std::make_unique<Controller>(*arbiter, clock, ::getpid());
    }
    // `text`: the message without its id. Settles, as the end of the turn does.
    void send(const std::string& text) {
        controller->handle(
            text, [this](const std::string& answer) { answers.push_back(Json::parse(answer)); }, caller);
        arbiter->settle();
    }
    // The only answer since the last call, without `time` and `id`; null: none.
    Json taken() {
        EXPECT_LE(answers.size(), 1U);
        if (answers.empty()) return nullptr;
        Json answer = std::exchange(answers, {}).front();
        EXPECT_TRUE(answer["time"].is_number_float());
        EXPECT_EQ(answer["id"], 7);
        answer.erase("time");
        answer.erase("id");
        return answer;
    }
    Json ask(const std::string& command, const Json& properties = Json::object()) {
        send(Json({{"id", 7}, {"command", command}, {"properties", properties}}).dump());
        return taken();
    }
    static Json error(int number, const std::string& reason) {
        return {{"status", "error"}, {"reason", reason}, {"tb", nullptr}, {"errno", number}};
    }
    static Json ok(Json fields = Json::object()) {
        fields["status"] = "ok";
        return fields;
    }
    static Json missing(const char* property) {
        return error(3, std::string("message invalid '") + property + "' is missing");
    }
};

TEST_F(ControlTest, EveryRowOfTheTableHasAHandler) {
    for (const Command& command : commands())
        EXPECT_NE(find_handler(command.name) != nullptr, command.registered) << command.name;
    for (const auto& family : {query_handlers(), stats_handlers(), lifecycle_handlers(), option_handlers(),
                               process_handlers(), config_handlers(), log_handlers()})
        for (const NamedHandler& row : family) EXPECT_NE(find_command(row.command), nullptr) << row.command;
}

TEST_F(ControlTest, UnknownCommandsAreQuotedAsSent) {
    serve();
    EXPECT_EQ(ask("It's"), error(2, "unknown command: \"It's\""));
}

TEST_F(ControlTest, TheFirstMissingPropertyIsNamed) {
    serve();
    for (const char* command :
         {"incr", "decr", "kill", "rm", "options", "get", "set", "add", "signal", "logs"})
        EXPECT_EQ(ask(command), missing("name")) << command;
    EXPECT_EQ(ask("get", {{"name", "x"}}), missing("keys"));
    EXPECT_EQ(ask("set", {{"name", "x"}}), missing("options"));
    EXPECT_EQ(ask("add", {{"name", "x"}}), missing("cmd"));
    EXPECT_EQ(ask("signal", {{"name", "x"}}), missing("signum"));
}

// A daemon whose endpoint is another user's: 65534, who is not the one that runs this test.
struct OwnerTest : ControlTest {
    void SetUp() override {
        config.circus.endpoint = "ipc:///run/e";
        config.circus.endpoint_owner = config::UserRef{"65534", 65534};
        watcher("others");
        watcher("his").uid = config::UserRef{"65534", 65534};
        serve();
    }
    Json add(const Json& options) {
        return ask("add", {{"name", "new"}, {"cmd", "/bin/x"}, {"options", options}});
    }
    Json set(const char* name, const Json& options) {
        return ask("set", {{"name", name}, {"options", options}});
    }
    static Json mismatch() { return error(3, "uid does not match endpoint_owner"); }
    static Json unavailable(const std::string& key) {
        return error(3, "'" + key + "' cannot be set over an endpoint with an endpoint_owner");
    }
};

TEST_F(OwnerTest, AddTakesOnlyWhatRunsAsTheOwner) {
    EXPECT_EQ(ask("add", {{"name", "new"}, {"cmd", "/bin/x"}}), mismatch());
    EXPECT_EQ(add({{"uid", 0}}), mismatch());
    EXPECT_EQ(add({{"uid", 65534}, {"numprocesses", 2}}), ok());
    EXPECT_EQ(ask("rm", {{"name", "new"}}), ok());
    EXPECT_EQ(add({{"uid", "65534"}}), ok());
}

TEST_F(OwnerTest, AddAndSetGiveNothingThatCircusdWouldDoWithItsOwnRights) {
    const Json file = {{"class", "FileStream"}, {"filename", "/etc/x"}};
    for (const auto& [key, value] : std::vector<std::pair<std::string, Json>>{{"gid", 0},
                                                                              {"nice", -5},
                                                                              {"oom_score_adj", -1000},
                                                                              {"rlimit_nofile", 1000000},
                                                                              {"stdout_stream", file},
                                                                              {"stderr_stream", file}}) {
        EXPECT_EQ(add({{"uid", 65534}, {key, value}}), unavailable(key));
        EXPECT_EQ(set("his", {{key, value}}), unavailable(key));
    }
    EXPECT_EQ(set("his", {{"stdout_stream.filename", "/etc/x"}}), unavailable("stdout_stream.filename"));
    EXPECT_EQ(set("his", {{"stdout_stream", {{"class", "StdoutStream"}}}}), ok());
    EXPECT_EQ(set("his", {{"cmd", "/bin/y"}, {"env", {{"A", "1"}}}}), ok());
}

TEST_F(OwnerTest, SetLeavesTheUserAndWhatRunsAsSomebodyElse) {
    EXPECT_EQ(set("his", {{"uid", 0}}), mismatch());
    EXPECT_EQ(set("his", {{"uid", 65534}}), ok());
    for (const auto& [key, value] :
         std::vector<std::pair<std::string, Json>>{{"cmd", "/bin/sh"},
                                                   {"args", "-c id"},
                                                   {"uid", 65534},
                                                   {"env", {{"A", "1"}}},
                                                   {"shell", true},
                                                   {"stop_command", "/bin/sh"},
                                                   {"stdout_stream.filename", "/etc/x"},
                                                   {"rlimit_core", 1}})
        EXPECT_EQ(set("others", {{key, value}}),
                  error(3, "watcher others does not run as endpoint_owner: '" + key + "' cannot be set"));
    EXPECT_EQ(set("others", {{"numprocesses", 3}, {"graceful_timeout", 1}, {"stop_signal", 2}}), ok());
    EXPECT_EQ(set("others", {{"nosuch", 3}}), error(3, "unknown key 'nosuch'"));
}

TEST_F(OwnerTest, AddAndSetHandOverNothingThatIsCircusds) {
    const std::vector<std::pair<std::string, Json>> rows{
        {"copy_env", true},           {"copy_path", true},
        {"use_sockets", true},        {"stdin_socket", "web"},
        {"close_child_stdin", false}, {"working_dir", "/root/x"},
        {"virtualenv", "/home/his"},  {"hooks.before_start", "his.so:f"}};
    for (const auto& [key, value] : rows) {
        EXPECT_EQ(set("his", {{key, value}}), unavailable(key));
        const bool is_checked_before = key == "virtualenv" || key == "hooks.before_start";
        EXPECT_TRUE(is_checked_before || add({{"uid", 65534}, {key, value}}) == unavailable(key)) << key;
    }
    EXPECT_EQ(set("his", {{"copy_env", false}, {"use_sockets", false}, {"working_dir", ""}}), ok());
}

TEST_F(OwnerTest, NorOneOfTheVariablesOfItsEnvironment) {
    const auto refused = [](const std::string& name) {
        return error(3, "variable '" + name +
                            "' of circusd's environment cannot be named over an endpoint with an "
                            "endpoint_owner");
    };
    for (const Json& options :
         std::vector<Json>{{{"env", {{"A", "$Secret"}}}},
                           {{"env", {{"A", "x${Secret}"}}}},
                           {{"env", {{"A", "((Circus.Env.Secret))"}}}},
                           {{"args", "-x $(circus.env.SECRET)"}},
                           {{"stop_command", "/bin/x '$(circus.e'nv.SECRET)"}},
                           {{"shell", true}, {"shell_args", {"$(circus.env.secret)"}}}}) {
        EXPECT_EQ(set("his", options), refused("secret")) << options;
        Json more = options;
        more["uid"] = 65534;
        EXPECT_EQ(add(more), refused("secret")) << options;
    }
    EXPECT_EQ(set("his", {{"cmd", "/bin/x \"$(cir\"cus.env.secret)"}}), refused("secret"));
    EXPECT_EQ(set("his", {{"env", {{"A", "$(circus.wid)"}, {"B", "5$"}}}}), ok());
}

TEST_F(ControlTest, WhatTheConfigurationGivesTheOwnersWatcherItKeepsAndNoMore) {
    config.circus.endpoint = "ipc:///run/e";
    config.circus.endpoint_owner = config::UserRef{"65534", 65534};
    auto& more = watcher("more");
    more.uid = config::UserRef{"65534", 65534};
    more.gid = config::GroupRef{"0", 0};
    auto& his = watcher("his");
    his.uid = config::UserRef{"65534", 65534};
    his.env = {{"PASSWORD", "$DB_PASSWORD"}};
    his.use_sockets = true;
    his.args = {"$(circus.sockets.web)"};
    serve();
    const auto set = [this](const char* name, const Json& options) {
        return ask("set", {{"name", name}, {"options", options}});
    };
    EXPECT_EQ(set("his", {{"env", {{"PASSWORD", "********"}, {"A", "1"}}}}), ok());
    EXPECT_EQ(set("his", {{"cmd", "/bin/y"}}), ok());
    EXPECT_EQ(set("his", {{"args", "$(circus.sockets.web) $(circus.sockets.web)"}}), ok());
    const Json others =
        error(3, "watcher his may have no other sockets over an endpoint with an endpoint_owner");
    EXPECT_EQ(set("his", {{"args", "none"}}), others);  // then it would get all
    EXPECT_EQ(set("his", {{"args", "$(circus.sockets.admin) $(circus.sockets.web)"}}), others);
    EXPECT_EQ(set("more", {{"cmd", "/bin/sh"}}),
              error(3, "watcher more does not run as endpoint_owner: 'cmd' cannot be set"));
}

TEST_F(OwnerTest, HeHimselfChoosesNoBinaryAndSeesSecretsOfHisOwnAlone) {
    int upgrades = 0;
    CommandRegistry::Entry entry;
    entry.name = "upgrade";
    entry.run = [&upgrades](const Json&, const CommandRegistry::Answered& answered) {
        ++upgrades;
        answered(Json::object());
    };
    ASSERT_TRUE(controller->registry().add(std::move(entry)));
    caller.is_limited = true;
    const Json no_binary =
        error(4, "permission denied: endpoint_owner may not say which binary circusd goes on as");
    EXPECT_EQ(ask("upgrade", {{"binary", "/home/his/circusd"}}), no_binary);
    EXPECT_EQ(ask("UpGrade", {{"binary", 3}}), no_binary);
    EXPECT_EQ(upgrades, 0);
    EXPECT_EQ(ask("upgrade"), ok());
    EXPECT_EQ(ask("upgrade", {{"binary", nullptr}}), ok());
    for (const char* command : {"options", "get"}) {
        EXPECT_EQ(ask(command, {{"name", "Others"}, {"keys", {"env"}}, {"secrets", true}}),
                  error(4,
                        "permission denied: watcher others does not run as endpoint_owner: its secrets are "
                        "not for him"));
        EXPECT_EQ(ask(command, {{"name", "others"}, {"keys", {"env"}}})["status"], "ok");
        EXPECT_EQ(ask(command, {{"name", "his"}, {"keys", {"env"}}, {"secrets", true}})["status"], "ok");
    }
    caller.is_limited = false;
    EXPECT_EQ(ask("upgrade", {{"binary", "/usr/sbin/circusd"}}), ok());
}

TEST_F(ControlTest, AnOwnerOfATcpEndpointIsNoOwner) {
    config.circus.endpoint = "tcp://127.0.0.1:5555";
    config.circus.endpoint_owner = config::UserRef{"65534", 65534};
    serve();
    EXPECT_EQ(ask("add", {{"name", "new"}, {"cmd", "/bin/x"}}), ok());
}

// What the log was told.
std::vector<std::string>& told() {
    static std::vector<std::string> lines;
    return lines;
}

TEST_F(ControlTest, WhatAClientHasAPluginsCommandDoIsWrittenDownAndWhatHasBegunIsCalledSo) {
    watcher("web");
    serve();
    CommandRegistry::Entry entry;
    entry.name = "autoscale";
    entry.owner = "scaler";
    entry.run = [](const Json&, const CommandRegistry::Answered& answered) { answered(Json::object()); };
    ASSERT_TRUE(controller->registry().add(std::move(entry)));
    told().clear();
    log::set_sink([](log::Level, std::string_view line) { told().emplace_back(line); });
    ask("Autoscale", {{"action", "pause"}, {"name", "web"}});
    ask("stop", {{"name", "web"}});
    ask("set", {{"name", "web"}, {"options", {{"priority", 3}}}});
    ask("rm", {{"name", "nosuch"}});
    ask("list");
    controller->call("scaler", "autoscale", Json::object(), [](const Result<Json>&) {});
    log::set_sink(nullptr);
    EXPECT_EQ(told(), (std::vector<std::string>{"audit: root: Autoscale web action=pause: ok",
                                                "audit: root: stop web: begun",
                                                "audit: root: set web options: priority: begun",
                                                "audit: root: rm nosuch: error: program nosuch not found"}));
}

TEST_F(ControlTest, UnknownWatchersAreNamedAsAsked) {
    serve();
    for (const char* command : {"list", "status", "numprocesses", "stats", "options", "start", "stop",
                                "restart", "reload", "incr", "decr", "kill", "rm"})
        EXPECT_EQ(ask(command, {{"name", "No*pe"}, {"waiting", true}}), error(3, "program No*pe not found"))
            << command;
    EXPECT_EQ(ask("signal", {{"name", "x"}, {"signum", 1}}), error(3, "program x not found"));
    EXPECT_EQ(ask("get", {{"name", "x"}, {"keys", Json::array()}}), error(3, "program x not found"));
    EXPECT_EQ(ask("set", {{"name", "x"}, {"options", Json::object()}}), error(3, "program x not found"));
}

TEST_F(ControlTest, PropertiesOfTheWrongTypeAreRefused) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("status", {{"name", 3}}), error(3, "'name' isn't a string"));
    EXPECT_EQ(ask("incr", {{"name", "web"}, {"nb", "x"}}), error(3, "'nb' isn't an integer"));
    EXPECT_EQ(ask("incr", {{"name", "web"}, {"nb", 1.5}}), error(3, "'nb' isn't an integer"));
    EXPECT_EQ(ask("get", {{"name", "web"}, {"keys", "cmd"}}), error(3, "'keys' isn't a list"));
    EXPECT_EQ(ask("set", {{"name", "web"}, {"options", 3}}),
              error(3, "'options' property should be an object"));
    EXPECT_EQ(ask("kill", {{"name", "web"}, {"graceful_timeout", "soon"}}),
              error(3, "'graceful_timeout' isn't a number"));
    EXPECT_EQ(ask("kill", {{"name", "web"}, {"graceful_timeout", -1}}),
              error(3, "'graceful_timeout' isn't a number"));
}

// ---- queries ----

TEST_F(ControlTest, NamesAreListedInLowerCaseAndStatusesAsWritten) {
    watcher("Web", 2);
    watcher("job").autostart = false;
    serve();
    EXPECT_EQ(ask("list"), ok({{"watchers", {"job", "web"}}}));
    EXPECT_EQ(ask("LIST", {{"name", "WEB"}}), ok({{"pids", {1001, 1002}}}));
    EXPECT_EQ(ask("list", {{"name", "job"}}), ok({{"pids", Json::array()}}));
    EXPECT_EQ(ask("status"), ok({{"statuses", {{"Web", "active"}, {"job", "stopped"}}}}));
    EXPECT_EQ(ask("status", {{"name", "web"}}), Json({{"status", "active"}}));
    EXPECT_EQ(ask("numwatchers"), ok({{"numwatchers", 2}}));
    EXPECT_EQ(ask("numprocesses"), ok({{"numprocesses", 2}}));
    EXPECT_EQ(ask("numprocesses", {{"name", "WEB"}}), ok({{"numprocesses", 2}, {"watcher_name", "WEB"}}));
}

TEST_F(ControlTest, ANullPropertyIsNotGiven) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("list", {{"name", nullptr}}), ok({{"watchers", {"web"}}}));
}

TEST_F(ControlTest, CastsAreNeverAnswered) {
    watcher("web");
    serve();
    for (const char* text :
         {R"({"id":7,"msg_type":"cast","command":"list"})", R"({"id":7,"msg_type":"cast","command":"nope"})",
          R"({"id":7,"msg_type":"cast","command":"incr","properties":{"name":"web","waiting":true}})"}) {
        send(text);
        spawn_all();
        EXPECT_EQ(taken(), nullptr) << text;
    }
    EXPECT_EQ(at("web").numprocesses(), 2);
}

TEST_F(ControlTest, LogsAsksForTheLinesOfTheWatcherAndShowsWhatIsKept) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("set", {{"name", "web"}, {"options", {{"stderr_stream", {{"class", "QueueStream"}}}}}}),
              ok());
    const Json none{{"lines", Json::array()}, {"cursor", ""}, {"skipped", 0}};
    EXPECT_EQ(ask("logs", {{"name", "WEB"}, {"stderr", true}}), ok(none)) << "no process wrote anything yet";
    streams.kept = stream::Tail{{{7, 1.5, "one"}, {8, 2.5, "bad \xff"}}, "r.2", 3};
    EXPECT_EQ(ask("logs", {{"name", "web"}, {"stderr", 1}, {"lines", "20"}, {"pid", "7"}, {"cursor", "r.0"}}),
              ok({{"lines",
                   {{{"pid", 7}, {"time", 1.5}, {"text", "one"}},
                    {{"pid", 8}, {"time", 2.5}, {"text", "bad \uFFFD"}}}},
                  {"cursor", "r.2"},
                  {"skipped", 3}}));
    const auto& [watcher, kind, query] = streams.asked.back();
    EXPECT_EQ(watcher, "web");
    EXPECT_EQ(kind, supervise::StreamKind::Stderr);
    EXPECT_EQ(query.lines, 20u);
    EXPECT_EQ(query.pid, 7);
    EXPECT_EQ(query.cursor, "r.0");
    EXPECT_EQ(ask("logs", {{"name", "web"}}),
              error(5,
                    "no lines of web are kept in memory: its stdout is circusd's own; give it a stream, as "
                    "stdout_stream.class = \"QueueStream\""));
    EXPECT_EQ(ask("set", {{"name", "web"}, {"options", {{"stdout_stream", {{"class", "StdoutStream"}}}}}}),
              ok());
    EXPECT_EQ(ask("logs", {{"name", "web"}})["lines"].size(), 2u) << "whatever the class";
    EXPECT_EQ(ask("rm", {{"name", "web"}}), ok());
    EXPECT_EQ(streams.forgotten, std::vector<std::string>{"web"});
}

TEST_F(ControlTest, ListenPointsToTheOtherSocket) {
    serve();
    EXPECT_EQ(ask("listen"), error(3, "invalid message. use a pub/sub socket"));
}

TEST_F(ControlTest, OptionsAndGetShowTheSame) {
    watcher("web", 3).graceful_timeout = 2;
    serve();
    const Json options = ask("options", {{"name", "web"}})["options"];
    EXPECT_EQ(options["numprocesses"], 3);
    EXPECT_EQ(options["graceful_timeout"], 2.0);
    EXPECT_EQ(ask("get", {{"name", "web"}, {"keys", {"numprocesses", "cmd"}}}),
              ok({{"options", {{"numprocesses", 3}, {"cmd", "/bin/program"}}}}));
    EXPECT_EQ(ask("get", {{"name", "web"}, {"keys", {"cmd", "k"}}}), error(3, "'k' option not found"));
    EXPECT_EQ(ask("get", {{"name", "web"}, {"keys", {{{"zz", 1}}}}}), error(3, "{'zz': 1} option not found"));
}

TEST_F(ControlTest, OptionsSayWhatCanBeSetAndWhatThatDoes) {
    watcher("web", 3).env = {{"API_KEY", "abc"}, {"PLAIN", "x"}};
    serve();
    EXPECT_FALSE(ask("options", {{"name", "web"}}).contains("settable"));
    const Json settable = ask("options", {{"name", "web"}, {"settable", true}})["settable"];
    const auto row = [](const char* type, const char* effect, const Json& value) {
        return Json{{"type", type}, {"effect", effect}, {"value", value}};
    };
    EXPECT_EQ(settable["numprocesses"], row("integer", "count", 3));
    EXPECT_EQ(settable["max_age"], row("integer", "respawn", 0));
    EXPECT_EQ(settable["max_surge"], row("integer", "live", nullptr)) << "also what is not set";
    EXPECT_EQ(settable["autostart"], row("boolean", "live", true)) << "also what options does not show";
    EXPECT_EQ(settable["stop_signal"], row("integer", "live", 15));
    EXPECT_EQ(settable["memory_max"]["type"], "size");
    EXPECT_EQ(settable["cmd"]["effect"], "respawn");
    EXPECT_EQ(settable["env"], row("any", "respawn", {{"API_KEY", "********"}, {"PLAIN", "x"}}));
    for (const auto& option : config::watcher_options())
        EXPECT_EQ(settable.contains(std::string(option.name)),
                  option.name != "hooks" && option.name != "rlimit_LIMIT")
            << option.name;
}

TEST_F(ControlTest, GlobalOptionsAreAllOrOne) {
    config.circus.endpoint = "ipc:///x/endpoint";
    serve();
    EXPECT_EQ(ask("globaloptions")["options"]["check_delay"], 5.0);
    EXPECT_EQ(ask("globaloptions", {{"option", "endpoint"}}),
              ok({{"options", {{"endpoint", "ipc:///x/endpoint"}}}}));
    EXPECT_EQ(ask("globaloptions", {{"option", "x"}}), error(3, "'x' not an existing option"));
    EXPECT_EQ(ask("globaloptions", {{"option", {{"zz", 1}}}}), error(3, "{'zz': 1} not an existing option"));
}

TEST_F(ControlTest, SocketsAreListedByDescriptor) {
    config::SocketConfig inet;
    inet.name = "web";
    inet.host = "127.0.0.1";
    inet.port = 0;
    inet.backlog = 9;
    config.sockets.push_back(inet);
    boot();
    controller = std::make_unique<Controller>(*arbiter, clock, ::getpid());
    const Json sockets = ask("listsockets")["sockets"];
    ASSERT_EQ(sockets.size(), 1U);
    EXPECT_GT(sockets[0]["port"], 0);
    EXPECT_EQ(sockets[0]["host"], "127.0.0.1");
    EXPECT_EQ(sockets[0]["fd"], 3);
    EXPECT_EQ(sockets[0]["backlog"], 9);
    arbiter->close_sockets();
}

TEST_F(ControlTest, StatsShowAProcessWithItsWid) {
    watcher("Web");
    watcher("job").autostart = false;
    next_pid = ::getpid();
    serve();
    const std::string pid = std::to_string(::getpid());
    const Json all = ask("stats")["infos"];
    EXPECT_EQ(all["job"], Json::object());
    EXPECT_EQ(all["Web"][pid]["wid"], 1);
    const Json of_one = ask("stats", {{"name", "WEB"}});
    EXPECT_EQ(of_one["name"], "WEB");
    EXPECT_EQ(of_one["info"][pid]["pid"], ::getpid());
    EXPECT_TRUE(of_one["info"][pid]["started"].is_number_float());
    EXPECT_TRUE(of_one["info"][pid]["children"].is_array());
    for (const Json& asked : {Json(::getpid()), Json(pid)}) {
        const Json info = ask("stats", {{"name", "web"}, {"process", asked}});
        EXPECT_EQ(info["process"], asked);
        EXPECT_EQ(info["info"]["pid"], ::getpid());
    }
    EXPECT_EQ(ask("stats", {{"name", "web"}, {"process", 1}}), error(3, "process 1 not found in 'web'"));
    EXPECT_EQ(ask("stats", {{"name", "web"}, {"process", "x"}}), error(3, "process 'x' not found in 'web'"));
}

TEST_F(ControlTest, AVanishedProcessIsAText) {
    watcher("web");
    next_pid = 1 << 30;  // above pid_max
    serve();
    EXPECT_EQ(ask("stats", {{"name", "web"}})["info"][std::to_string(1 << 30)], "No such process (stopped?)");
}

TEST_F(ControlTest, StatsOfManyAreMadeInPortionsAndOthersAreAnsweredMeanwhile) {
    watcher("web", 60);
    next_pid = 1 << 30;
    serve();
    EXPECT_EQ(ask("stats", {{"name", "web"}}), nullptr);
    EXPECT_EQ(ask("numprocesses")["numprocesses"], 60);
    die(child("web", 60), 0);
    arbiter->remove(at("web"), true, {});
    arbiter->settle();
    int portions = 0;
    for (; controller->has_work() && portions < 10; ++portions) controller->work();
    EXPECT_EQ(portions, 2);
    const Json answer = taken();
    EXPECT_EQ(answer["name"], "web");
    EXPECT_EQ(answer["info"].size(), 60U);
}

TEST_F(ControlTest, DetailsOfManyAreShownInPortionsTooOnceTheyAreLookedUp) {
    watcher("web", 60);
    next_pid = 1 << 30;
    serve();
    next_pid = ::getpid();
    die(child("web", 60), 0);
    pass(std::chrono::seconds(6));
    spawn_all();
    EXPECT_EQ(ask("stats", {{"name", "web"}, {"details", true}}), nullptr);
    EXPECT_FALSE(controller->has_work()) << "what it is made of is looked up first";
    ASSERT_EQ(worker.jobs.size(), 1U);
    worker.jobs[0].first();
    worker.jobs[0].second();
    int portions = 0;
    for (; controller->has_work() && portions < 10; ++portions) {
        EXPECT_TRUE(answers.empty());
        controller->work();
    }
    EXPECT_EQ(portions, 2);
    const Json info = taken()["info"];
    EXPECT_EQ(info.size(), 60U);
    EXPECT_GE(info[std::to_string(::getpid())]["threads"], 1);
}

TEST_F(ControlTest, AFloodOfStatsIsNotKept) {
    watcher("web", 60);
    next_pid = 1 << 30;
    serve();
    const std::string message = R"({"id": 7, "command": "stats"})";
    for (int n = 0; n < 100; ++n) send(message);
    EXPECT_EQ(answers.size(), 100 - kMostJobs);
    while (controller->has_work()) controller->work();
    EXPECT_EQ(answers.size(), 100U);
}

TEST_F(ControlTest, DstatsAreOfTheDaemonWithoutChildren) {
    serve();
    const Json info = ask("dstats")["info"];
    EXPECT_EQ(info["pid"], ::getpid());
    EXPECT_EQ(info["children"], Json::array());
}

// ---- lifecycle ----

TEST_F(ControlTest, WhoDoesNotWaitIsAnsweredAtOnce) {
    watcher("web");
    serve();
    for (const char* command : {"stop", "start", "restart", "reload"})
        EXPECT_EQ(ask(command, {{"name", "web"}}), ok()) << command;
    EXPECT_EQ(ask("kill", {{"name", "web"}}), ok());
    EXPECT_EQ(ask("incr", {{"name", "web"}, {"waiting", false}}), ok());
}

TEST_F(ControlTest, AWaitingStopIsAnsweredWhenTheLastProcessIsGone) {
    watcher("web", 2);
    serve();
    EXPECT_EQ(ask("stop", {{"name", "web"}, {"waiting", true}}), nullptr);
    EXPECT_EQ(ask("status", {{"name", "web"}}), Json({{"status", "stopping"}}));
    obey();
    EXPECT_EQ(taken(), ok({{"info", nullptr}}));
}

TEST_F(ControlTest, AWaitingStartNamesWhatItStartedAndKept) {
    watcher("web", 2);
    serve();
    EXPECT_EQ(ask("start", {{"name", "web"}, {"waiting", true}}),
              ok({{"info", {{"started", Json::array()}, {"kept", {1001, 1002}}}}}));
    ask("stop", {{"name", "web"}});
    obey();
    EXPECT_EQ(ask("start", {{"name", "web"}, {"waiting", true}}), nullptr);
    spawn_all();
    EXPECT_EQ(taken(), ok({{"info", {{"started", {1003, 1004}}, {"kept", Json::array()}}}}));
}

TEST_F(ControlTest, AWaitingRestartNamesOldAndNew) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("restart", {{"name", "web"}, {"waiting", true}}), nullptr);
    obey();
    spawn_all();
    EXPECT_EQ(taken(), ok({{"info", {{"stopped", {1001}}, {"started", {1002}}, {"kept", Json::array()}}}}));
}

TEST_F(ControlTest, AWaitingReloadOfOneNamesOldAndNewAndOfAllNothing) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("reload", {{"name", "web"}, {"waiting", true}}), nullptr);
    spawn_all();
    obey();
    EXPECT_EQ(taken(), ok({{"info", {{"stopped", {1001}}, {"started", {1002}}, {"kept", Json::array()}}}}));
    EXPECT_EQ(ask("reload", {{"waiting", true}}), nullptr);
    spawn_all();
    obey();
    EXPECT_EQ(taken(), ok());
}

TEST_F(ControlTest, AReloadThatIsNotGracefulStopsFirst) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("reload", {{"name", "web"}, {"graceful", false}}), ok());
    EXPECT_TRUE(keeper.asked.empty());
    EXPECT_EQ(keeper.sent.size(), 1U);
}

TEST_F(ControlTest, SeveralHitsHaveNoInfoAndLeaveOutWhatDoesNotStartByItself) {
    watcher("web1");
    watcher("web2").autostart = false;
    watcher("job");
    serve();
    EXPECT_EQ(ask("stop", {{"waiting", true}}), nullptr);
    obey();
    EXPECT_EQ(taken(), ok());
    EXPECT_EQ(ask("start", {{"name", "WEB*"}, {"waiting", true}}), nullptr);
    spawn_all();
    EXPECT_EQ(taken(), ok());
    EXPECT_EQ(ask("status")["statuses"], Json({{"job", "stopped"}, {"web1", "active"}, {"web2", "stopped"}}));
}

TEST_F(ControlTest, ASingleHitIsStartedWhateverItsAutostart) {
    watcher("web1");
    watcher("web2").autostart = false;
    serve();
    EXPECT_EQ(ask("start", {{"name", "w*2"}, {"waiting", true}}), nullptr);
    spawn_all();
    EXPECT_EQ(taken(), ok({{"info", {{"started", {1002}}, {"kept", Json::array()}}}}));
}

TEST_F(ControlTest, MatchMethodsAreGlobRegexAndSimple) {
    watcher("web1");
    serve();
    const auto stop = [this](const char* name, const Json& method) {
        return ask("stop", {{"name", name}, {"match", method}});
    };
    EXPECT_EQ(stop("EB1", "regex"), error(3, "program EB1 not found"));
    EXPECT_EQ(stop("W.*", "simple"), error(3, "program W.* not found"));
    EXPECT_EQ(stop("web", "glob"), error(3, "program web not found"));
    EXPECT_EQ(stop("web", "fuzzy"), error(3, "unknown match method fuzzy"));
    EXPECT_EQ(stop("(", "regex"), error(3, "invalid pattern '(': missing ), unterminated subpattern"));
    EXPECT_EQ(stop("WEB", "regex"), ok());
    EXPECT_EQ(stop("Web1", "simple"), ok());
    EXPECT_EQ(stop("we[a-c]?", nullptr), ok());
}

TEST_F(ControlTest, QuitAnswersWhenAllIsStoppedAndRefusesStartsMeanwhile) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("quit", {{"waiting", true}}), nullptr);
    EXPECT_EQ(ask("start", {{"name", "web"}}), error(5, "arbiter is already running arbiter_stop command"));
    EXPECT_EQ(ask("status", {{"name", "web"}}), Json({{"status", "stopping"}}));
    obey();
    EXPECT_EQ(taken(), ok());
    EXPECT_TRUE(arbiter->is_stopped());
}

// ---- processes ----

TEST_F(ControlTest, IncrAndDecrAnswerTheNewNumberToWhoWaits) {
    watcher("web", 2);
    serve();
    EXPECT_EQ(ask("incr", {{"name", "web"}, {"nb", "2"}, {"waiting", true}}), nullptr);
    spawn_all();
    EXPECT_EQ(taken(), ok({{"numprocesses", 4}}));
    EXPECT_EQ(ask("decr", {{"name", "web"}, {"nb", 9}, {"waiting", true}}), nullptr);
    obey();
    EXPECT_EQ(taken(), ok({{"numprocesses", 0}}));
}

TEST_F(ControlTest, ASingletonKeepsItsNumber) {
    watcher("web").singleton = true;
    serve();
    for (const char* command : {"incr", "decr"})
        EXPECT_EQ(ask(command, {{"name", "web"}}), ok({{"numprocesses", 1}, {"singleton", true}})) << command;
}

TEST_F(ControlTest, AnAbsurdNumberIsRefusedAndChangesNothing) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("incr", {{"name", "web"}, {"nb", 9223372036854775807LL}}),
              error(3, "'nb' makes it more than 100000 processes"));
    EXPECT_EQ(ask("decr", {{"name", "web"}, {"nb", -2000000}}),
              error(3, "'nb' makes it more than 100000 processes"));
    EXPECT_EQ(ask("set", {{"name", "web"}, {"options", {{"numprocesses", 2000000000}}}}),
              error(3, "'numprocesses' is more than 100000"));
    EXPECT_EQ(at("web").numprocesses(), 1);
}

TEST_F(ControlTest, KillSendsTheGivenSignalToTheGivenProcess) {
    watcher("web", 2);
    serve();
    EXPECT_EQ(ask("kill", {{"name", "web"},
                           {"pid", "1002"},
                           {"signum", "SIGHUP"},
                           {"graceful_timeout", "0.5"},
                           {"waiting", true}}),
              nullptr);
    ASSERT_EQ(keeper.sent.size(), 1U);
    EXPECT_EQ(keeper.sent[0].signo, SIGHUP);
    EXPECT_EQ(keeper.sent[0].id, child("web", 2));
    obey();
    EXPECT_EQ(taken(), ok());
}

TEST_F(ControlTest, StrangersAreNeverKilledOrSignalled) {
    watcher("web");
    serve();
    for (const Json& pid : {Json(0), Json(1), Json(-1), Json("-1"), Json(4294968297LL), Json(::getpid())}) {
        EXPECT_EQ(ask("kill", {{"name", "web"}, {"pid", pid}, {"waiting", true}}), ok()) << pid;
        EXPECT_EQ(ask("signal", {{"name", "web"}, {"pid", pid}, {"signum", 9}}), ok()) << pid;
    }
    EXPECT_TRUE(keeper.sent.empty());
}

TEST_F(ControlTest, SignalsReachTheProcessItsChildrenOrItsTree) {
    watcher("web");
    serve();
    const std::vector<std::pair<Json, keeper::Scope>> rows = {
        {{{"signum", "SIGRTMIN+1"}}, keeper::Scope::Process},
        {{{"signum", "9"}, {"pid", 1001}, {"children", true}}, keeper::Scope::Children},
        {{{"signum", 9}, {"pid", "1001"}, {"recursive", true}}, keeper::Scope::Tree},
        {{{"signum", 9}, {"pid", 1001}, {"childpid", "5"}}, keeper::Scope::Children},
        {{{"signum", 9}, {"pid", 1001}, {"child_pid", 5}}, keeper::Scope::Children}};
    for (auto [properties, scope] : rows) {
        properties["name"] = "web";
        EXPECT_EQ(ask("signal", properties), ok()) << properties;
        ASSERT_EQ(keeper.sent.size(), 1U) << properties;
        EXPECT_EQ(keeper.sent[0].scope, scope) << properties;
        EXPECT_FALSE(keeper.sent[0].stopping);
        EXPECT_EQ(keeper.sent[0].pid,
                  properties.contains("childpid") || properties.contains("child_pid") ? 5 : 0);
        keeper.sent.clear();
    }
}

TEST_F(ControlTest, WhatIsNoSignalIsInvalid) {
    watcher("web");
    serve();
    for (const Json& signum :
         {Json("nope"), Json(65), Json(-9), Json(99), Json(1.5), Json(nullptr), Json::array()})
        EXPECT_EQ(ask("signal", {{"name", "web"}, {"signum", signum}}), error(3, "signal invalid")) << signum;
    EXPECT_EQ(ask("kill", {{"name", "web"}, {"signum", "SIGNOPE"}}), error(3, "signal invalid"));
    EXPECT_EQ(ask("signal", {{"name", "web"}, {"signum", 9}, {"childpid", 5}}),
              error(5, "cannot specify childpid without pid"));
}

// ---- options ----

TEST_F(ControlTest, SetAppliesAllOrNothing) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("set", {{"name", "web"}, {"options", {{"graceful_timeout", 3}, {"k", 1}}}}),
              error(3, "unknown key 'k'"));
    EXPECT_EQ(at("web").config().graceful_timeout, 30);
    EXPECT_EQ(ask("set", {{"name", "web"}, {"options", {{"graceful_timeout", 3}, {"max_retry", 1}}}}), ok());
    EXPECT_EQ(at("web").config().graceful_timeout, 3);
    EXPECT_EQ(at("web").config().max_retry, 1);
}

TEST_F(ControlTest, SetWaitsForTheReplacementItCauses) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("set", {{"name", "web"}, {"options", {{"cmd", "/bin/other"}}}, {"waiting", true}}),
              nullptr);
    spawn_all();
    obey();
    EXPECT_EQ(taken(), ok());
    EXPECT_EQ(ask("list", {{"name", "web"}}), ok({{"pids", {1002}}}));
}

TEST_F(ControlTest, SetErrorsAreInCircusWords) {
    watcher("web").singleton = true;
    serve();
    const std::vector<std::pair<Json, Json>> rows = {
        {{{"numprocesses", "x"}}, error(3, "'numprocesses' isn't an integer")},
        {{{"warmup_delay", "x"}}, error(3, "'warmup_delay' isn't a number")},
        {{{"uid", 1.5}}, error(3, "'uid' isn't an integer or string")},
        {{{"shell", "x"}}, error(3, "'shell' isn't a valid boolean")},
        {{{"env", 3}}, error(3, "'env' isn't a valid object")},
        {{{"env", {{"KEY", 1}}}}, error(3, "'KEY' isn't a string")},
        {{{"stdout_stream", 3}}, error(3, "'stdout_stream' isn't a valid object")},
        {{{"stdout_stream", {{"filename", "x"}}}}, error(3, "'stdout_stream' must have a 'class' key")},
        {{{"numprocesses", 2}}, error(5, "Singleton watcher has a single process")},
        {{{"uid", "no such user"}}, error(5, "'no such user' isn't a valid user name")}};
    for (const auto& [options, answer] : rows)
        EXPECT_EQ(ask("set", {{"name", "web"}, {"options", options}}), answer) << options;
}

TEST_F(ControlTest, AddWithoutStartOnlyAdds) {
    serve();
    EXPECT_EQ(ask("add", {{"name", "Job"},
                          {"cmd", "/bin/x"},
                          {"args", {"a", "b c"}},
                          {"options", {{"numprocesses", 2}}},
                          {"waiting", true}}),
              ok());
    EXPECT_EQ(ask("status"), ok({{"statuses", {{"Job", "stopped"}}}}));
    EXPECT_EQ(at("job").config().args, (std::vector<std::string>{"a", "b c"}));
    EXPECT_EQ(at("job").numprocesses(), 2);
}

TEST_F(ControlTest, AddAndStartAnswersAtTheTopLevel) {
    serve();
    EXPECT_EQ(ask("add", {{"name", "job"}, {"cmd", "/bin/x"}, {"start", true}, {"waiting", true}}), nullptr);
    spawn_all();
    EXPECT_EQ(taken(), ok({{"started", {1001}}, {"kept", Json::array()}}));
}

TEST_F(ControlTest, AddingAProgramThatCannotStartIsOkAndStopped) {
    serve();
    const Json job = {{"name", "job"},
                      {"cmd", "/no/such"},
                      {"options", {{"max_retry", 1}}},
                      {"start", true},
                      {"waiting", true}};
    EXPECT_EQ(ask("add", job), nullptr);
    fail_all(ENOENT);
    EXPECT_EQ(taken(), ok({{"started", Json::array()}, {"kept", Json::array()}}));
    EXPECT_EQ(ask("status", {{"name", "job"}}), Json({{"status", "stopped"}}));
}

TEST_F(ControlTest, ANameIsTakenWhateverItsCase) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("add", {{"name", "WEB"}, {"cmd", "x"}}), error(5, "'WEB' already exist"));
}

TEST_F(ControlTest, AddRefusesWhatIsNoNameOrNoOption) {
    serve();
    for (const std::string& name : {std::string(), std::string("a\nb"), std::string(300, 'a')})
        EXPECT_EQ(ask("add", {{"name", name}, {"cmd", "x"}}), error(3, "'name' isn't a valid watcher name"));
    EXPECT_EQ(ask("add", {{"name", "job"}, {"cmd", "x"}, {"options", {{"zz", 1}}}}),
              error(3, "unknown key 'zz'"));
    EXPECT_EQ(ask("numwatchers"), ok({{"numwatchers", 0}}));
}

TEST_F(ControlTest, ARemovedNameIsGoneAtOnceAndAnsweredAtTheEnd) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("rm", {{"name", "web"}, {"waiting", true}}), nullptr);
    EXPECT_EQ(ask("list"), ok({{"watchers", Json::array()}}));
    obey();
    EXPECT_EQ(taken(), ok());
}

TEST_F(ControlTest, NostopLeavesTheProcessesAlone) {
    watcher("web");
    serve();
    EXPECT_EQ(ask("rm", {{"name", "web"}, {"nostop", true}, {"waiting", true}}), ok());
    EXPECT_TRUE(keeper.sent.empty());
}

TEST_F(ControlTest, AStopOvertakesAWaitingStart) {
    watcher("web").autostart = false;
    serve();
    EXPECT_EQ(ask("start", {{"name", "web"}, {"waiting", true}}), nullptr);
    send(R"({"id":8,"command":"stop","properties":{"name":"web"}})");
    ASSERT_EQ(answers.size(), 2U);
    EXPECT_EQ(answers[0]["id"], 8);
    EXPECT_EQ(answers[1]["id"], 7);
    EXPECT_EQ(answers[1]["errno"], 5);
    EXPECT_EQ(answers[1]["reason"], "arbiter is already running watcher_stop command");
}

}  // namespace
}  // namespace circus::control
