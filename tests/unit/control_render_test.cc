#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "control/command_table.hpp"
#include "control/python_text.hpp"
#include "control/render.hpp"

namespace circus::control {
namespace {

std::string shown(const char* command, const char* answer, const Json& asked = Json::object()) {
    return find_command(command)->render(Json::parse(answer), asked);
}

TEST(ControlRender, OkCommandsPrintOk) {
    for (const char* command :
         {"start", "stop", "restart", "reload", "kill", "signal", "set", "add", "rm", "quit"})
        EXPECT_EQ(shown(command, R"({"status":"ok","info":{"started":[1]}})"), "ok") << command;
}

TEST(ControlRender, ListIsAListWithCommas) {
    EXPECT_EQ(shown("list", R"({"watchers":["job","web"]})"), "job,web");
    EXPECT_EQ(shown("list", R"({"pids":[12,7]})"), "12,7");
    EXPECT_EQ(shown("list", R"({"pids":[]})"), "");
}

TEST(ControlRender, LogsAreTheLinesAsTheyWereWritten) {
    const char* answer = R"({"lines":[{"pid":7,"time":1.5,"text":"one"},{"pid":8,"time":2.5,"text":""}]})";
    EXPECT_EQ(shown("logs", answer), "one\n");
    EXPECT_EQ(shown("logs", R"({"lines":[]})"), "");
    EXPECT_TRUE(find_command("logs")->prints_lines);
    const std::string prefixed = shown("logs", answer, {{"prefix", true}});
    EXPECT_NE(prefixed.find(" [7] | one\n"), std::string::npos) << prefixed;
    EXPECT_TRUE(prefixed.ends_with(" [8] | ")) << prefixed;
}

TEST(ControlRender, DeathsAreSortedByTimeAndSayWhatIsKnown) {
    const char* const answer = R"({"watchers":{
        "web":{"deaths":[{"wid":1,"pid":7,"time":20,"age":7300,"exit_code":null,"signal":"SIGKILL","core":false,
            "oom":null,"reason":"killed","why":null,"max_rss":2097152,"cpu_user":1,"cpu_system":0.5,
            "stderr":["one","\u001b[2J"]}]},
        "job":{"deaths":[{"wid":2,"pid":8,"time":10,"age":0.25,"exit_code":0,"signal":null,"core":false,
            "oom":false,"reason":"memory","why":"used 1M","max_rss":0,"cpu_user":0,"cpu_system":0,"stderr":null}]}}})";
    const std::string lines = shown("deaths", answer, {{"stderr", true}});
    EXPECT_NE(lines.find("  job  wid 2  pid 8  exit 0  memory: used 1M  after 0.2s  max RSS 0B  CPU 0.00s\n"),
              std::string::npos)
        << lines;
    EXPECT_NE(lines.find("  web  wid 1  pid 7  SIGKILL  killed, perhaps out of memory  after 2h01m"),
              std::string::npos)
        << lines;
    EXPECT_LT(lines.find("  job  "), lines.find("  web  "));
    EXPECT_TRUE(lines.ends_with("\n    one\n    \x1b[2J")) << lines;
    EXPECT_EQ(shown("deaths", answer).find("one"), std::string::npos);
    const std::string table = find_command("deaths")->table(Json::parse(answer), Json::object(), Look{});
    EXPECT_NE(table.find("LAST ON STDERR"), std::string::npos) << table;
    EXPECT_NE(table.find("\\x1b[2J"), std::string::npos) << "a terminal would obey it: " << table;
}

TEST(ControlRender, StatusIsSortedByName) {
    EXPECT_EQ(shown("status", R"({"status":"ok","statuses":{"web":"active","Job":"stopped"}})"),
              "Job: stopped\nweb: active");
    EXPECT_EQ(shown("status", R"({"status":"stopping"})"), "stopping");
}

TEST(ControlRender, CountsAreTheNumberOrOk) {
    EXPECT_EQ(shown("numwatchers", R"({"numwatchers":3})"), "3");
    EXPECT_EQ(shown("numprocesses", R"({"numprocesses":0})"), "0");
    EXPECT_EQ(shown("incr", R"({"status":"ok","numprocesses":5})"), "5");
    EXPECT_EQ(shown("incr", R"({"status":"ok"})"), "ok");
    EXPECT_EQ(shown("decr", R"({"status":"ok","numprocesses":1,"singleton":true})"),
              "This watcher is a Singleton - not changing the number of processes");
}

TEST(ControlRender, OptionsAreInPythonsSpelling) {
    EXPECT_EQ(shown("options",
                    R"({"options":{"shell":false,"copy_env":true,"uid":null,"graceful_timeout":30.0,
                        "env":{"B":"2","A":"1"},"cmd":"run it","args":["a","b"],"stop_signal":15,
                        "stdout_stream_conf":{"filename":"x"}}})"),
              "args: ['a', 'b']\ncmd: run it\ncopy_env: True\nenv: A=1,B=2\ngraceful_timeout: 30.0\n"
              "shell: False\nstdout_stream_conf: {'filename': 'x'}\nstop_signal: 15\nuid: ");
}

TEST(ControlRender, GetKeepsTheOrderAskedFor) {
    EXPECT_EQ(shown("get", R"({"options":{"a":1,"b":2}})", {{"keys", {"b", "a"}}}), "b: 2\na: 1");
}

TEST(ControlRender, SocketsShowAddressOrPath) {
    EXPECT_EQ(shown("listsockets",
                    R"({"sockets":[{"fd":7,"name":"web","backlog":5,"host":"127.0.0.1","port":80},
                                   {"fd":8,"name":"u","backlog":5,"path":"/path"}]})"),
              "7:socket 'web' at 127.0.0.1:80\n8:socket 'u' at /path");
    EXPECT_EQ(shown("listsockets", R"({"sockets":[]})"), "");
    EXPECT_EQ(shown("listsockets",
                    R"({"sockets":[{"fd":7,"name":"web","backlog":5,"host":"::1","port":80,"figures":
                       {"queue":1,"limit":5,"in_flight":2,"accepted":null,"drops":0}}]})"),
              "7:socket 'web' at ::1:80  queue 1  of 5  in flight 2  drops 0");
}

constexpr const char* kProcess =
    R"({"pid":999,"cmdline":"python","username":"root","nice":0,"mem_info1":"1.46M","mem_info2":"2.00G",
        "cpu":0.0,"mem":0.125,"ctime":"0:00.41","children":[%]})";

std::string process(const std::string& children = "") {
    std::string text = kProcess;
    return text.replace(text.find('%'), 1, children);
}

constexpr const char* kLine = "999  python root 0 1.46M 2.00G 0.0 0.125 0:00.41";

TEST(ControlRender, StatsOfAWatcherHaveALineAProcess) {
    const std::string gone = R"J("No such process (stopped?)")J";
    const std::string answer =
        R"({"name":"web","info":{"1001":)" + gone + R"(,"999":)" + process(process()) + "}}";
    EXPECT_EQ(shown("stats", answer.c_str()),
              std::string("web:\n999: ") + kLine + "\n   " + kLine + "\n1001: No such process (stopped?)");
}

TEST(ControlRender, StatsOfAllWatchersAreBelowTheirNames) {
    const std::string answer = R"({"infos":{"web":{"999":)" + process() + R"(},"job":{}}})";
    EXPECT_EQ(shown("stats", answer.c_str()), std::string("job:\nweb:\n999: ") + kLine);
}

TEST(ControlRender, StatsOfOneProcessEndWithAnEmptyLine) {
    const std::string answer = R"({"process":999,"info":)" + process() + "}";
    EXPECT_EQ(shown("stats", answer.c_str()), std::string("999: ") + kLine + "\n");
}

TEST(ControlRender, DstatsNameTheMainProcess) {
    const std::string answer = R"({"info":)" + process() + "}";
    EXPECT_EQ(shown("dstats", answer.c_str()), std::string("Main Process:\n    ") + kLine);
}

std::string in_columns(const char* command, const std::string& answer, const Json& asked = Json::object()) {
    return find_command(command)->table(Json::parse(answer), asked, {.table = true, .width = 20});
}

TEST(ControlRenderTable, StatusAndListForATerminal) {
    const Look colourful{.table = true, .colour = true};
    EXPECT_EQ(in_columns("status", R"({"statuses":{"web":"active","Job":"stopped"}})"),
              "WATCHER  STATUS\nJob      stopped\nweb      active");
    EXPECT_EQ(find_command("status")->table(
                  Json::parse(R"({"statuses":{"a":"active","b":"stopped","c":"stopping"}})"), {}, colourful),
              "\033[1mWATCHER\033[0m  \033[1mSTATUS\033[0m\na        \033[32mactive\033[0m\n"
              "b        \033[31mstopped\033[0m\nc        \033[33mstopping\033[0m");
    EXPECT_EQ(find_command("status")->table(Json::parse(R"({"status":"active"})"), {}, colourful),
              "\033[32mactive\033[0m");
    EXPECT_EQ(in_columns("list", R"({"watchers":["job","web","x"]})"), "job  web  x");
    EXPECT_EQ(in_columns("list", R"({"pids":[1000001,1000002,1000003]})"), "1000001  1000003\n1000002");
}

TEST(ControlRenderTable, OptionsAndSocketsForATerminal) {
    EXPECT_EQ(in_columns("options", R"({"options":{"shell":false,"uid":null,"env":{"B":"2","A":"1"}}})"),
              "OPTION  VALUE\nenv     A=1,B=2\nshell   False\nuid");
    EXPECT_EQ(in_columns("get", R"({"options":{"a":1,"b":2}})", {{"keys", {"b", "a"}}}),
              "OPTION  VALUE\nb       2\na       1");
    EXPECT_EQ(in_columns("listsockets",
                         R"({"sockets":[{"fd":7,"name":"web","backlog":5,"host":"127.0.0.1","port":80},
                                        {"fd":18,"name":"u","backlog":2048,"path":"/path"}]})"),
              "FD  SOCKET  ADDRESS       BACKLOG\n 7  web     127.0.0.1:80        5\n"
              "18  u       /path            2048");
    EXPECT_EQ(in_columns("listsockets",
                         R"({"sockets":[{"fd":7,"name":"u","backlog":5,"path":"/p","figures":
                            {"queue":1,"limit":5,"in_flight":2,"accepted":null,"drops":0}}]})"),
              "FD  SOCKET  ADDRESS  BACKLOG  QUEUE  LIMIT  IN FLIGHT  ACCEPTED  DROPS\n"
              " 7  u       /p             5      1      5          2         -      0");
    const char* steered = R"({"sockets":[{"fd":7,"name":"u","backlog":5,"host":"h","port":1,"figures":
        {"queue":1,"limit":5,"in_flight":2,"accepted":3,"drops":0,"steering":"kernel",
         "absent":{"steering":"not permitted"}}}]})";
    EXPECT_EQ(in_columns("listsockets", steered),
              "FD  SOCKET  ADDRESS  BACKLOG  QUEUE  LIMIT  IN FLIGHT  ACCEPTED  DROPS  STEERING\n"
              " 7  u       h:1            5      1      5          2         3      0    kernel");
    EXPECT_EQ(find_command("listsockets")->render(Json::parse(steered), {}),
              "7:socket 'u' at h:1  queue 1  of 5  in flight 2  accepted 3  drops 0  steered by kernel "
              "(not permitted)");
}

TEST(ControlRenderTable, StatsOfEveryKindForATerminal) {
    const std::string head = "WATCHER  PID    COMMAND  USER  NICE    RSS    VSZ  CPU%   MEM%     TIME\n";
    const std::string figures = "python   root     0  1.46M  2.00G   0.0  0.125  0:00.41";
    EXPECT_EQ(in_columns("stats", R"({"name":"web","info":{"999":)" + process(process()) + "}}"),
              head + "web      999    " + figures + "\n           999  " + figures);
    EXPECT_EQ(in_columns("stats", R"({"infos":{"job":{},"web":{"12345":)" + process() + "}}}"),
              head + "job\nweb      12345  " + figures);
    EXPECT_EQ(in_columns("stats", R"({"process":12345,"info":)" + process() + "}"),
              head + "         12345  " + figures);
    EXPECT_EQ(in_columns("dstats", R"({"info":)" + process() + "}").substr(0, 20), "WATCHER  PID  COMMAN");
    EXPECT_NE(in_columns("stats", R"J({"name":"w","info":{"1":"No such process (stopped?)"}})J")
                  .find("No such process (stopped?)"),
              std::string::npos);
}

TEST(ControlRender, AnAnswerOfTheWrongShapeNeverThrows) {
    for (const char* answer : {"{}", "[]", "3", "null", R"({"options":3,"watchers":3,"sockets":3,"infos":3,
        "statuses":3,"info":3,"name":3,"pids":{"a":1}})"})
        for (const Command& command : commands()) {
            EXPECT_NO_THROW(command.render(Json::parse(answer), Json())) << command.name;
            if (command.table != nullptr) {
                EXPECT_NO_THROW(command.table(Json::parse(answer), Json(), {})) << command.name;
            }
        }
}

TEST(PythonText, ReprIsPythons) {
    EXPECT_EQ(repr(Json::parse(R"({"zz":1})")), "{'zz': 1}");
    EXPECT_EQ(repr(Json::parse(R"([true,false,null,1.5,"it's",[],{}])")),
              "[True, False, None, 1.5, \"it's\", [], {}]");
    EXPECT_EQ(str("x"), "x");
}

TEST(PythonText, TruthIsPythons) {
    for (const char* no : {"null", "false", "0", "0.0", "\"\"", "[]", "{}"})
        EXPECT_FALSE(is_true(Json::parse(no)));
    for (const char* yes : {"true", "1", "-1", "\"0\"", "[0]"}) EXPECT_TRUE(is_true(Json::parse(yes)));
}

TEST(ControlRender, FiguresAreALineAWatcher) {
    EXPECT_EQ(shown("figures", R"({"watchers":{}})"), "no watchers");
    EXPECT_EQ(shown("figures",
                    R"({"watchers":{"web":{"status":"active","pids":[7,8],"ready":1,"wanted":2,"spawned":9,
                        "ended":[{"cause":"exit 1","asked":2,"unasked":3},{"cause":"SIGKILL","asked":0,"unasked":1}],
                        "replaced":{"died":4,"reload":2},"stdout":{"bytes":100,"dropped":1},
                        "stderr":{"bytes":20,"dropped":0}}}})"),
              "NAME  STATUS  RUNNING  READY  WANTED  SPAWNED  DIED  REPLACED  WRITTEN  DROPPED\n"
              "web   active  2        1      2       9        4     6         120      1");
}

}  // namespace
}  // namespace circus::control
