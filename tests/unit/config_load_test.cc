#include <filesystem>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "config/endpoints.hpp"
#include "config/load.hpp"
#include "config/log_output.hpp"
#include "config/multicast.hpp"

namespace circus::config {
namespace {

namespace fs = std::filesystem;

class Load : public testing::Test {
  protected:
    Load() {
        std::string pattern = (fs::temp_directory_path() / "circus-config-XXXXXX").string();
        directory_ = ::mkdtemp(pattern.data());
    }
    ~Load() override {
        std::error_code ignored;
        fs::remove_all(directory_, ignored);
    }

    void write(const std::string& name, const std::string& text) {
        fs::create_directories((directory_ / name).parent_path());
        std::ofstream(directory_ / name) << text;
    }
    Loaded loaded(const std::string& text) {
        write("stack.toml", text);
        return load((directory_ / "stack.toml").string(), environment_);
    }
    // The configuration of a text that has neither errors nor warnings.
    Config good(const std::string& text) {
        Loaded result = loaded(text);
        for (const auto& error : result.errors) ADD_FAILURE() << error.to_string();
        for (const auto& warning : result.warnings) ADD_FAILURE() << warning.to_string();
        return std::move(result.config);
    }

    fs::path directory_;
    std::vector<std::string> environment_{"HOME=/home/u", "PORT=8081", "SLOW=1.5", "YES=true", "N=3"};
};

const std::string kWeb = "[watcher.web]\ncmd = \"sleep 1\"\n";

TEST_F(Load, AHookKnowsWhereItStandsAndIsTheSameElsewhere) {
    const std::string hook = "hooks.before_stop = \"lib.so:f\"\n";
    const auto here = good(kWeb + hook).watchers[0].hooks;
    const auto there = good(kWeb + "\n" + hook).watchers[0].hooks;
    const auto& place = here.at(model::HookPoint::BeforeStop).place;
    EXPECT_TRUE(place.starts_with((directory_ / "stack.toml:3:").string())) << place;
    EXPECT_NE(place, there.at(model::HookPoint::BeforeStop).place);
    EXPECT_EQ(here, there);
}

TEST_F(Load, OptionsLeftOutHaveCircussDefaults) {
    const Config config = good(kWeb);
    WatcherConfig expected;
    expected.name = "web";
    expected.cmd = "sleep 1";
    expected.args_given_as_text = true;
    expected.from_file = true;
    ASSERT_EQ(config.watchers.size(), 1U);
    EXPECT_EQ(config.watchers[0], expected);
    EXPECT_TRUE(fs::path(config.file).is_absolute());
    EXPECT_EQ(config.directory, fs::current_path().string());
}

TEST_F(Load, EveryWatcherOptionReachesItsField) {
    const Config config = good(R"toml(
[socket.http]
port = 0
[watcher.Web]
cmd = "web -v"
args = ["--fd", "$(circus.sockets.http)"]
shell = true
shell_args = "a 'b c'"
executable = "/bin/web"
numprocesses = 4
working_dir = "/tmp"
uid = 0
gid = "root"
umask = "027"
nice = 5
oom_score_adj = -7
no_new_privs = true
rlimit_NOFILE = 500
rlimit_core = "unlimited"
rlimit_nproc = [10, ""]
copy_env = true
warmup_delay = 1
autostart = false
respawn = false
max_retry = -1
min_uptime = 0.5
max_backoff = 2
max_age = 60
max_age_variance = 5
stop_signal = "int"
stop_children = true
graceful_timeout = 2.5
kill_tree = false
send_hup = true
priority = -3
use_sockets = true
stdin_socket = "HTTP"
close_child_stdin = false
stdout_stream.class = "FileStream"
stdout_stream.filename = "/log/$(circus.wid)"
stdout_stream.max_bytes = 1000
stdout_stream.backup_count = 3
stdout_stream.time_format = "%H"
stderr_stream = {class = "StdoutStream"}
env = {A = "1"}
)toml");
    WatcherConfig w;
    w.name = "Web";
    w.from_file = true;
    w.cmd = "web -v";
    w.args = {"--fd", "$(circus.sockets.http)"};
    w.shell = true;
    w.shell_args = {"a", "b c"};
    w.executable = "/bin/web";
    w.numprocesses = 4;
    w.working_dir = "/tmp";
    w.uid = UserRef{"0", 0};
    w.gid = GroupRef{"root", 0};
    w.umask = 027;
    w.nice = 5;
    w.oom_score_adj = -7;
    w.no_new_privs = true;
    w.rlimits = {{"nofile", {RLIMIT_NOFILE, 500, 500}},
                 {"core", {RLIMIT_CORE, std::nullopt, std::nullopt}},
                 {"nproc", {RLIMIT_NPROC, 10, std::nullopt}}};
    w.copy_env = true;
    w.warmup_delay = 1;
    w.autostart = false;
    w.respawn = false;
    w.max_retry = -1;
    w.min_uptime = 0.5;
    w.max_backoff = 2;
    w.max_age = 60;
    w.max_age_variance = 5;
    w.stop_signal = 2;
    w.stop_children = true;
    w.graceful_timeout = 2.5;
    w.kill_tree = false;
    w.send_hup = true;
    w.priority = -3;
    w.use_sockets = true;
    w.stdin_socket = "HTTP";
    w.close_child_stdin = false;
    w.stdout_stream = StreamConfig{.class_name = "FileStream",
                                   .filename = "/log/$(circus.wid)",
                                   .time_format = "%H",
                                   .max_bytes = 1000,
                                   .backup_count = 3};
    w.stderr_stream = StreamConfig{.class_name = "StdoutStream"};
    w.env = {{"A", "1"}};
    EXPECT_EQ(config.watchers.at(0), w);
}

TEST_F(Load, EverySocketAndDaemonOptionReachesItsField) {
    const Config config = good(kWeb + R"toml(
[socket.tcp]
host = "::1"
port = 80
family = "af_inet6"
type = "SOCK_DGRAM"
proto = "udp"
backlog = 5
interface = "lo"
so_reuseport = true
blocking = true
[socket.unix]
path = "/run/x"
umask = "077"
replace = true
owner = "root"
group = 0
[circus]
endpoint = "ipc:///run/c.sock"
endpoint_owner = "root"
stats_endpoint = "ipc:///run/s"
check_delay = 1
umask = "022"
pidfile = "/run/p"
loglevel = "WARNING"
logoutput = "/log/d"
log_format = "JSON"
debug = true
multicast_endpoint = "udp://239.1.2.3:999"
warmup_delay = 0.5
stop_timeout = 9
)toml");
    SocketConfig tcp{"tcp", "::1", 80,   Family::Inet6, SocketType::Dgram,    17,   5,  "",
                     {},    false, "lo", true,          SteeringKind::Kernel, true, {}, {}};
    SocketConfig unix_socket;
    unix_socket.name = "unix";
    unix_socket.family = Family::Unix;
    unix_socket.path = "/run/x";
    unix_socket.umask = 077;
    unix_socket.replace = true;
    unix_socket.owner = UserRef{"root", 0};
    unix_socket.group = GroupRef{"0", 0};
    EXPECT_EQ(config.sockets, (std::vector{tcp, unix_socket}));
    CircusConfig circus;
    circus.endpoint = "ipc:///run/c.sock";
    circus.pubsub_endpoint = "ipc:///run/c.sock.pubsub";
    circus.stats_endpoint = "ipc:///run/s";
    circus.endpoint_owner = UserRef{"root", 0};
    circus.check_delay = 1;
    circus.umask = 022;
    circus.pidfile = "/run/p";
    circus.loglevel = "warning";
    circus.logoutput = "/log/d";
    circus.log_format = "json";
    circus.debug = true;
    circus.multicast_endpoint = "udp://239.1.2.3:999";
    circus.warmup_delay = 0.5;
    circus.stop_timeout = 9;
    EXPECT_EQ(config.circus, circus);
}

TEST_F(Load, OutputsThatGoNowhereAreClosed) {
    const Config config =
        good("[watcher.a]\ncmd = \"a\"\nclose_child_stdout = true\nclose_child_stderr = true\n");
    EXPECT_TRUE(config.watchers.at(0).close_child_stdout);
    EXPECT_TRUE(config.watchers.at(0).close_child_stderr);
}

TEST_F(Load, AHundredThousandProcessesAreTheMost) {
    EXPECT_EQ(good("[watcher.a]\ncmd = \"a\"\nnumprocesses = 100000\n").watchers.at(0).numprocesses, 100000);
}

TEST_F(Load, SectionsKeepTheOrderOfTheFile) {
    const Config config = good(
        "[watcher.z]\ncmd = \"z\"\n[socket.y]\n[watcher.a]\ncmd = \"a\"\n[socket.b]\n[watcher.M]\ncmd = "
        "\"m\"\n");
    std::string order;
    for (const auto& watcher : config.watchers) order += watcher.name;
    for (const auto& socket : config.sockets) order += socket.name;
    EXPECT_EQ(order, "zaMyb");
}

TEST_F(Load, ALaterSourceOfAVariableWins) {
    const Config config = good(R"toml(
[env."we*"]
B = "glob"
C = "glob"
Z = "glob"
[env]
A = "all"
B = "all"
[env."job, WEB"]
C = "list"
D = "list"
[watcher.web]
cmd = "web"
env = {D = "own", AA = "own"}
[watcher.job]
cmd = "job"
)toml");
    EXPECT_EQ(
        config.watchers.at(0).env,
        (EnvList{{"A", "all"}, {"B", "glob"}, {"C", "list"}, {"Z", "glob"}, {"D", "own"}, {"AA", "own"}}));
    EXPECT_EQ(config.watchers.at(1).env, (EnvList{{"A", "all"}, {"B", "all"}, {"C", "list"}, {"D", "list"}}));
}

TEST_F(Load, GroupsOfEnvApplyInFileOrderNotByName) {
    const Config config = good(
        "[env.\"z*,web\"]\nA = \"first\"\n[env.\"a*,web\"]\nA = \"second\"\n[watcher.web]\ncmd = \"w\"\n"
        "[watcher.zz]\ncmd = \"w\"\n");
    EXPECT_EQ(config.watchers.at(0).env, (EnvList{{"A", "second"}}));
    EXPECT_EQ(config.watchers.at(1).env, (EnvList{{"A", "first"}}));
}

TEST_F(Load, TheEnvironmentFillsInStringsNumbersAndBooleans) {
    const Config config = good(R"toml(
[watcher.web]
cmd = "web $(circus.env.home)"
numprocesses = "$(circus.env.n)"
graceful_timeout = "((CIRCUS.ENV.SLOW))"
executable = "$(circus.env.HOME)/bin/web"
copy_env = "$(circus.env.yes)"
rlimit_nofile = "$(circus.env.port)"
[watcher.web.stdout_stream]
class = "FileStream"
filename = "$(circus.env.home)/$(circus.wid)"
max_bytes = "$(circus.env.port)0"
backup_count = 1
[socket.s]
port = "$(circus.env.port)"
)toml");
    const WatcherConfig& web = config.watchers.at(0);
    EXPECT_EQ(web.cmd, "web $(circus.env.home)") << "cmd is substituted for each worker, word by word";
    EXPECT_EQ(web.numprocesses, 3);
    EXPECT_EQ(web.graceful_timeout, 1.5);
    EXPECT_EQ(web.executable, "/home/u/bin/web");
    EXPECT_TRUE(web.copy_env);
    EXPECT_EQ(web.rlimits.at("nofile").soft, 8081U);
    EXPECT_EQ(web.stdout_stream->filename, "/home/u/$(circus.wid)");
    EXPECT_EQ(web.stdout_stream->max_bytes, 80810U);
    EXPECT_EQ(config.sockets.at(0).port, 8081);
}

TEST_F(Load, AnIncludedFileAddsAndFillsInButNeverOverrides) {
    write("conf/a.toml",
          "[watcher.WEB]\ncmd = \"other\"\nnumprocesses = 2\n[watcher.job]\ncmd = \"job\"\n"
          "[circus]\nloglevel = \"debug\"\ncheck_delay = 9\ninclude = \"conf/deep.toml\"\n");
    write("conf/deep.toml",
          "[env]\nA = \"deep\"\nB = \"deep\"\n[watcher.job]\ncmd = \"deep\"\npriority = 4\n");
    write("conf/b.toml", "[watcher.job]\npriority = 7\nnice = 1\n");
    const Config config =
        good("[circus]\ninclude = \"conf/[ab].toml\"\ncheck_delay = 1\n" + kWeb + "[env]\nA = \"main\"\n");
    ASSERT_EQ(config.watchers.size(), 2U);
    const auto& web = config.watchers[0];
    const auto& job = config.watchers[1];
    EXPECT_EQ(web.name + web.cmd, "websleep 1");
    EXPECT_EQ(web.numprocesses, 2);
    EXPECT_EQ(job.cmd, "job");
    EXPECT_EQ(job.priority, 4);
    EXPECT_EQ(job.nice, 1);
    EXPECT_EQ(web.env, (EnvList{{"A", "main"}, {"B", "deep"}}));
    EXPECT_EQ(config.circus.check_delay, 1);
    EXPECT_EQ(config.circus.loglevel, "debug");
}

TEST_F(Load, IncludeDirTakesItsTomlFilesByName) {
    write("d[1]/2.toml", "[watcher.b]\ncmd = \"b\"\n");
    write("d[1]/1.toml", "[watcher.a]\ncmd = \"a\"\n");
    write("d[1]/3.conf", "this is not TOML");
    const Config config = good("[circus]\ninclude_dir = [\"d[1]\"]\n" + kWeb);
    std::string order;
    for (const auto& watcher : config.watchers) order += watcher.name + " ";
    EXPECT_EQ(order, "web a b ");
}

TEST_F(Load, IncludePathsAreRelativeToTheMainFileWhoeverIncludes) {
    write("conf/a.toml", "[circus]\ninclude = \"other/b.toml\"\ninclude_dir = \"conf/more\"\n");
    write("other/b.toml", "[watcher.b]\ncmd = \"b\"\n[circus]\ninclude = [\"conf/c.toml\"]\n");
    write("conf/c.toml", "[watcher.c]\ncmd = \"c\"\n");
    write("conf/more/d.toml", "[watcher.d]\ncmd = \"d\"\n");
    const std::string absolute = (directory_ / "conf/a.toml").string();
    for (const std::string& how : {std::string("conf/a.toml"), absolute}) {
        const Config config = good("[circus]\ninclude = \"" + how + "\"\n" + kWeb);
        std::string order;
        for (const auto& watcher : config.watchers) order += watcher.name + " ";
        EXPECT_EQ(order, "web b c d ") << how;
    }
}

TEST_F(Load, WhatAnIncludedFileGetsWrongIsToldWithItsOwnPlace) {
    write("conf/a.toml", "[watcher.web]\n\nnumproceses = 2\n");
    const Loaded result = loaded("[circus]\ninclude = \"conf/*.toml\"\n" + kWeb);
    ASSERT_EQ(result.errors.size(), 1U);
    EXPECT_EQ(result.errors[0].to_string(),
              "conf/a.toml:3:1: unknown option \"numproceses\" in [watcher.web]; did you mean "
              "\"numprocesses\"?");
}

TEST_F(Load, AFileReachedTwiceWithoutALoopIsReadOnce) {
    write("a.toml", "[circus]\ninclude = \"common.toml\"\n");
    write("b.toml", "[circus]\ninclude = \"common.toml\"\n");
    write("common.toml", "[watcher.c]\ncmd = \"c\"\n");
    EXPECT_EQ(good("[circus]\ninclude = [\"a.toml\", \"b.toml\"]\n").watchers.size(), 1U);
}

TEST_F(Load, EveryUnreadableByteIsAnErrorAndNothingThrows) {
    for (const std::string& text : std::vector<std::string>{
             "\xff\xfe", "a", "[", "=", "[watcher.web]\ncmd = \"\\ud800\"", std::string("\0", 1)}) {
        const Loaded result = loaded(text);
        EXPECT_EQ(result.errors.size(), 1U) << text;
    }
    EXPECT_FALSE(loaded("x = " + std::string(20000, '[')).errors.empty());
}

TEST_F(Load, SummaryNamesEverySectionInALine) {
    const std::string text =
        summary(good("[circus]\nendpoint = \"ipc:///r/endpoint\"\n[socket.s]\nport = 80\n"
                     "[socket.u]\npath = \"/r/u\"\n[watcher.web]\ncmd = \"web\"\n"
                     "args = [\"-v\"]\nautostart = false\n"));
    EXPECT_EQ(text,
              "control at ipc:///r/endpoint, events at ipc:///r/pubsub\n"
              "socket s: stream at localhost:80\n"
              "socket u: stream at /r/u\n"
              "watcher web: 1 x web -v, not started by itself\n");
}

TEST(LogOutput, IsReadInEverySpelling) {
    const auto read = [](std::string_view written) { return *parse_log_output(written); };
    EXPECT_EQ(read("-").kind, LogOutput::Kind::Stderr);
    EXPECT_EQ(read("").kind, LogOutput::Kind::Stderr);
    EXPECT_EQ(read("syslog.log").kind, LogOutput::Kind::File);
    EXPECT_EQ(read("/var/log/c").path, "/var/log/c");
    struct Case {
        std::string written, path, host;
        int port, facility;
    };
    for (const Case& c : std::vector<Case>{{"syslog:///dev/log", "/dev/log", "", 514, LOG_USER},
                                           {"syslog:///run/x?local7", "/run/x", "", 514, LOG_LOCAL7},
                                           {"syslog://logs", "", "logs", 514, LOG_USER},
                                           {"syslog://logs:1514?Daemon", "", "logs", 1514, LOG_DAEMON},
                                           {"syslog://[::1]?mail", "", "::1", 514, LOG_MAIL},
                                           {"syslog://[::1]:99", "", "::1", 99, LOG_USER}}) {
        const LogOutput output = read(c.written);
        EXPECT_EQ(output.kind, LogOutput::Kind::Syslog);
        EXPECT_EQ(std::tuple(output.path, output.host, output.port, output.facility),
                  std::tuple(c.path, c.host, c.port, c.facility))
            << c.written;
    }
    for (const char* wrong :
         {"syslog:", "syslog:/dev/log", "syslog://", "syslog://:514", "syslog://h:0", "syslog://h:70000",
          "syslog://h:x", "syslog://[::1", "syslog://h?local9", "syslog:///dev/log?"})
        EXPECT_FALSE(parse_log_output(wrong)) << wrong;
    EXPECT_FALSE(parse_log_output("syslog:///" + std::string(120, 'x')));
}

TEST(Multicast, TakesAGroupAndAPort) {
    const auto group = parse_multicast(kUsualMulticast);
    ASSERT_TRUE(group);
    EXPECT_EQ(group->address + " " + std::to_string(group->port), "237.219.251.97 12027");
    for (const char* wrong : {"", "udp://", "udp://237.1.1.1", "udp://:12027", "tcp://237.1.1.1:1",
                              "udp://223.255.255.255:1", "udp://240.0.0.0:1", "udp://localhost:1",
                              "udp://237.1.1.1:0", "udp://237.1.1.1:65536", "udp://237.1.1.1:x"})
        EXPECT_FALSE(parse_multicast(wrong)) << wrong;
}

struct EndpointCase {
    std::string given;
    bool as_root;
    std::vector<std::string> environment;
    std::vector<std::string> expected;  // endpoint, pubsub, stats
};

TEST(Endpoints, LieBesideTheControlEndpoint) {
    const std::vector<EndpointCase> cases{
        {"",
         true,
         {"XDG_RUNTIME_DIR=/x"},
         {"ipc:///run/circus/endpoint", "ipc:///run/circus/pubsub", "ipc:///run/circus/stats"}},
        {"",
         false,
         {"XDG_RUNTIME_DIR=/x"},
         {"ipc:///x/circus/endpoint", "ipc:///x/circus/pubsub", "ipc:///x/circus/stats"}},
        {"",
         false,
         {},
         {"ipc:///tmp/circus-7/endpoint", "ipc:///tmp/circus-7/pubsub", "ipc:///tmp/circus-7/stats"}},
        {"ipc:///r/c.sock",
         false,
         {},
         {"ipc:///r/c.sock", "ipc:///r/c.sock.pubsub", "ipc:///r/c.sock.stats"}},
        {"tcp://[::1]:5555", false, {}, {"tcp://[::1]:5555", "tcp://[::1]:5556", "tcp://[::1]:5557"}},
    };
    for (const auto& c : cases) {
        CircusConfig config;
        config.endpoint = c.given;
        fill_endpoints(config, c.as_root, 7, c.environment);
        EXPECT_EQ((std::vector{config.endpoint, config.pubsub_endpoint, config.stats_endpoint}), c.expected);
    }
}

}  // namespace
}  // namespace circus::config
