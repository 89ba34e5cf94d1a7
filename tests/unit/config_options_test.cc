#include <algorithm>
#include <set>
#include <string>
#include <sys/resource.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "config/option_table.hpp"

namespace circus::config {
namespace {

WatcherConfig added() {
    WatcherConfig config;
    config.name = "web";
    config.cmd = "sleep 1";
    return config;
}

// What set_watcher_option answers: "" for ok, else "errno: reason".
std::string answer(WatcherConfig config, const std::string& key, const Json& value) {
    const WatcherConfig before = config;
    const auto result = set_watcher_option(config, key, value);
    if (result) return {};
    EXPECT_EQ(config, before) << key << ": an error must leave the watcher as it was";
    return std::to_string(result.error().code) + ": " + result.error().text;
}

TEST(SetWatcherOption, RefusesInCircussWords) {
    const auto table = Json::parse(R"([
        ["zz", 1, "3: unknown key 'zz'"],
        ["rlimit_", 1, "3: 'rlimit_' isn't a valid rlimit setting"],
        ["rlimit_foo", 1, "3: 'rlimit_foo' isn't a valid rlimit setting"],
        ["rlimit_nofile", "many", "3: 'many' rlimit value isn't a valid int"],
        ["rlimit_nofile", 1.5, "3: 1.5 rlimit value isn't a valid int"],
        ["rlimit_nofile", {"zz": 1}, "3: {'zz': 1} rlimit value isn't a valid int"],
        ["rlimit_nofile", -2, "3: -2 rlimit value isn't a valid int"],
        ["numprocesses", "5", "3: 'numprocesses' isn't an integer"],
        ["numprocesses", 1.5, "3: 'numprocesses' isn't an integer"],
        ["numprocesses", null, "3: 'numprocesses' isn't an integer"],
        ["numprocesses", true, "3: 'numprocesses' isn't an integer"],
        ["max_retry", "x", "3: 'max_retry' isn't an integer"],
        ["max_age", "x", "3: 'max_age' isn't an integer"],
        ["max_age_variance", [], "3: 'max_age_variance' isn't an integer"],
        ["stop_signal", "TERM", "3: 'stop_signal' isn't an integer"],
        ["stop_signal", 999, "3: signal invalid"],
        ["warmup_delay", "1", "3: 'warmup_delay' isn't a number"],
        ["graceful_timeout", {}, "3: 'graceful_timeout' isn't a number"],
        ["graceful_timeout", -1, "3: 'graceful_timeout': must not be negative"],
        ["uid", 1.5, "3: 'uid' isn't an integer or string"],
        ["gid", [], "3: 'gid' isn't an integer or string"],
        ["uid", "nobdy-at-all", "5: 'nobdy-at-all' isn't a valid user name"],
        ["gid", "nobdy-at-all", "5: No such group: 'nobdy-at-all'"],
        ["send_hup", "yes", "3: 'send_hup' isn't a valid boolean"],
        ["shell", 1, "3: 'shell' isn't a valid boolean"],
        ["close_child_stdin", null, "3: 'close_child_stdin' isn't a valid boolean"],
        ["env", "A=1", "3: 'env' isn't a valid object"],
        ["env", {"A": 1}, "3: 'A' isn't a string"],
        ["env", {"A=B": "x"}, "3: 'A=B': no variable can have this name"],
        ["cmd", 5, "3: 'cmd' isn't a string"],
        ["cmd", null, "3: 'cmd' isn't a string"],
        ["cmd", "a\u0000b", "3: 'cmd': must not hold a NUL character"],
        ["args", 5, "3: 'args' isn't a string or list"],
        ["umask", 22, "3: 'umask' isn't an octal string"],
        ["nice", 40, "3: 'nice': must be at most 19"],
        ["stdout_stream", "x", "3: 'stdout_stream' isn't a valid object"],
        ["stdout_stream", {"filename": "x"}, "3: 'stdout_stream' must have a 'class' key"],
        ["stderr_stream.filename", "x", "3: 'stderr_stream' must have a 'class' key"],
        ["stdout_stream", {"class": "FileStrea"},
            "3: 'stdout_stream.class': no such class of streams; did you mean \"FileStream\"?"],
        ["stdout_stream", {"class": "FileStream", "x": 1}, "3: unknown key 'stdout_stream.x'"],
        ["stdout_stream", {"class": "FileStream", "filename": 5}, "3: 'stdout_stream.filename' isn't a string"],
        ["stdout_stream", {"class": "FileStream", "utc": true}, "3: unknown key 'stdout_stream.utc'"],
        ["stdout_stream", {"class": "FancyStdoutStream", "color": "purple"},
            "3: 'stdout_stream.color': must be one of red, green, yellow, blue, magenta, cyan, white"],
        ["hooks", "x", "3: 'x' isn't a valid hook dict"],
        ["hooks", {"zz": 1}, "3: Unknown hook {'zz': 1}"],
        ["hooks.zz", "l.so:f", "3: Unknown hook 'zz'"],
        ["hooks.before_start", "x.y", "3: 'hooks.before_start': names no function of a library; write \"library.so:function\" or {exec = \"command\"}"],
        ["hooks.before_start", {"exec": 5}, "3: 'hooks.before_start.exec' isn't a string"],
        ["hooks.before_start", {"exec": "x", "timeout": "5"}, "3: 'hooks.before_start.timeout' isn't a number"],
        ["hooks", {"after_stop": {"exec": "x", "tries": 5}}, "3: unknown key 'hooks.after_stop.tries'"],
        ["retry_in", "x", "3: 'retry_in' isn't a number"],
        ["on_demand", 1, "3: 'on_demand' isn't a valid boolean"]
    ])");
    for (const auto& row : table) EXPECT_EQ(answer(added(), row[0], row[1]), row[2]) << row.dump();
}

TEST(SetWatcherOption, AnswersADeepValueInAShortText) {
    Json deep = 1;
    for (int i = 0; i < 5000; ++i) deep = Json::array({std::move(deep)});
    WatcherConfig config = added();
    const auto result = set_watcher_option(config, "rlimit_nofile", deep);
    ASSERT_FALSE(result);
    EXPECT_LT(result.error().text.size(), 100U);
}

TEST(SetWatcherOption, TakesHooksInEveryFormAndOneAtATime) {
    const auto row = [](const char* value) {
        WatcherConfig config = added();
        EXPECT_TRUE(set_watcher_option(config, "hooks.before_start", Json::parse(value))) << value;
        return config.hooks[model::HookPoint::BeforeStart];
    };
    EXPECT_EQ(row(R"("/opt/l.so:check")"), (HookConfig{"/opt/l.so", "check", "", 10, false}));
    EXPECT_EQ(row(R"("l.so:check,true")"), (HookConfig{"l.so", "check", "", 10, true}));
    EXPECT_EQ(row(R"(" l.so : check , False ")"), (HookConfig{"l.so", "check", "", 10, false}));
    EXPECT_EQ(row(R"(["l.so:check", true])"), (HookConfig{"l.so", "check", "", 10, true}));
    EXPECT_EQ(row(R"({"exec": "check it"})"), (HookConfig{"", "", "check it", 10, false}));
    EXPECT_EQ(row(R"({"exec": "check it", "timeout": 0.5, "ignore_failure": true})"),
              (HookConfig{"", "", "check it", 0.5, true}));

    WatcherConfig config = added();
    const auto set = [&config](const char* key, const Json& value) {
        return set_watcher_option(config, key, value);
    };
    EXPECT_TRUE(set("hooks", {{"before_start", "l.so:f"}, {"after_reap", {{"exec", "x"}}}}));
    EXPECT_EQ(config.hooks.size(), 2U);
    EXPECT_TRUE(set("hooks.before_start", nullptr));
    EXPECT_FALSE(config.hooks.contains(model::HookPoint::BeforeStart));
    EXPECT_FALSE(set("hooks.after_reap", {{"exec", ""}}));
    EXPECT_EQ(config.hooks[model::HookPoint::AfterReap].command, "x") << "an error changes nothing";
    EXPECT_TRUE(set("hooks", Json::object()));
    EXPECT_TRUE(config.hooks.empty());
}

// A value for each option that differs from its default.
const Json& other_values() {
    static const Json values = Json::parse(R"({
        "cmd": "other", "args": "a b", "shell": true, "shell_args": ["x"], "executable": "/x",
        "numprocesses": 2, "singleton": true, "working_dir": "/tmp", "uid": 0, "gid": "root", "umask": "027",
        "nice": 1, "oom_score_adj": 1, "no_new_privs": true, "rlimit_nofile": 5, "copy_env": true,
        "env": {"A": "1"}, "warmup_delay": 1.5, "autostart": false, "respawn": false, "max_retry": 1,
        "stop_command": "end", "on_demand": true, "copy_path": true, "virtualenv": "/x",
        "virtualenv_py_ver": "3.11", "min_uptime": 2.0, "max_backoff": 2.0, "max_age": 1, "max_age_variance": 1, "stop_signal": 2,
        "stop_children": true, "graceful_timeout": 1.0, "kill_tree": false, "send_hup": true, "priority": 1,
        "use_sockets": true, "stdin_socket": "s", "close_child_stdin": false, "close_child_stdout": true,
        "close_child_stderr": true, "stdout_stream": {"class": "StdoutStream"},
        "stderr_stream": {"class": "FileStream", "filename": "/f"}, "hooks": {"after_stop": "l.so:f"},
        "ready": "notify", "ready_timeout": 1.5, "reload_mode": "hup", "max_surge": 1, "max_unavailable": 1,
        "depends_on": ["db"], "critical": true, "memory_soft": "1M", "memory_max": 1000
    })");
    return values;
}

TEST(WatcherOptions, EveryOptionChangesWhatIsCompared) {
    size_t tried = 0;
    for (const auto& option : watcher_options()) {
        const std::string name =
            option.type == ValueType::Rlimit ? "rlimit_nofile" : std::string(option.name);
        ASSERT_TRUE(other_values().contains(name)) << "the test knows no value for " << name;
        WatcherConfig config = added();
        const auto effect = set_watcher_option(config, name, other_values()[name]);
        ASSERT_TRUE(effect) << effect.error().text;
        EXPECT_EQ(*effect, option.effect) << name;
        EXPECT_NE(config, added()) << name;
        ++tried;
    }
    EXPECT_EQ(tried, other_values().size());
}

TEST(WatcherOptions, EachRowIsDocumentedAndNamedOnce) {
    std::set<std::string_view> names;
    for (const auto* table : {&watcher_options(), &circus_options(), &socket_options()}) {
        names.clear();
        for (const auto& option : *table) {
            EXPECT_TRUE(names.insert(option.name).second) << option.name;
            EXPECT_FALSE(option.doc.empty()) << option.name;
            EXPECT_FALSE(option.default_text.empty()) << option.name;
        }
    }
    EXPECT_EQ(watcher_options().front().name, "cmd");
}

TEST(WatcherOptions, TakeEffectAsCircusSaysTheyDo) {
    const std::vector<std::pair<std::string_view, Effect>> table{
        {"numprocesses", Effect::Count},    {"working_dir", Effect::Respawn},
        {"uid", Effect::Respawn},           {"gid", Effect::Respawn},
        {"shell", Effect::Respawn},         {"env", Effect::Respawn},
        {"cmd", Effect::Respawn},           {"args", Effect::Respawn},
        {"max_age", Effect::Respawn},       {"max_age_variance", Effect::Respawn},
        {"graceful_timeout", Effect::Live}, {"warmup_delay", Effect::Live},
        {"send_hup", Effect::Live},         {"stop_signal", Effect::Live},
        {"stop_children", Effect::Live}};
    for (const auto& [name, effect] : table) {
        const auto row = std::find_if(watcher_options().begin(), watcher_options().end(),
                                      [name = name](const auto& option) { return option.name == name; });
        ASSERT_NE(row, watcher_options().end()) << name;
        EXPECT_EQ(row->effect, effect) << name;
        EXPECT_TRUE(row->settable) << name;
    }
}

TEST(SetWatcherOption, TakesANegativeCountAsNone) {
    WatcherConfig config = added();
    ASSERT_TRUE(set_watcher_option(config, "numprocesses", -3));
    EXPECT_EQ(config.numprocesses, 0);
}

TEST(SetWatcherOption, ReadsWhenAProcessIsReady) {
    using Kind = ReadyConfig::Kind;
    WatcherConfig config = added();
    ASSERT_TRUE(set_watcher_option(config, "stdout_stream", Json{{"class", "StdoutStream"}}));
    const std::vector<std::pair<Json, ReadyConfig>> rows = {
        {"notify", {Kind::Notify, {}}},
        {{{"log", "ready$"}}, {Kind::Log, "ready$"}},
        {{{"tcp", "localhost:80"}}, {Kind::Tcp, "localhost:80"}},
        {{{"tcp", "unix:/run/x"}}, {Kind::Tcp, "unix:/run/x"}},
        {{{"tcp", "[::1]:80"}}, {Kind::Tcp, "[::1]:80"}},
        {{{"tcp", "127.0.0.1:80$(circus.wid)"}}, {Kind::Tcp, "127.0.0.1:80$(circus.wid)"}},
        {{{"http", "http://unix:/run/x:/health"}}, {Kind::Http, "http://unix:/run/x:/health"}},
        {{{"http", "http://localhost"}}, {Kind::Http, "http://localhost"}},
        {{{"exec", "true"}}, {Kind::Exec, "true"}},
        {"spawned", {Kind::Spawned, {}}},
    };
    for (const auto& [value, expected] : rows) {
        ASSERT_TRUE(set_watcher_option(config, "ready", value)) << value;
        EXPECT_EQ(config.ready, expected) << value;
        EXPECT_TRUE(check_watcher(config)) << value;
        EXPECT_EQ(watcher_options_to_json(config, "/").value("ready", Json("spawned")), value);
    }
    for (const Json& value : {Json{{"tcp", "localhost"}}, Json{{"tcp", "h:0"}}, Json{{"tcp", "unix:x"}},
                              Json{{"http", "localhost"}}, Json{{"http", "https://x/"}}, Json{{"exec", ""}},
                              Json{{"log", ""}}, Json{{"log", "("}}}) {
        WatcherConfig wrong = config;
        ASSERT_TRUE(set_watcher_option(wrong, "ready", value)) << value;
        EXPECT_FALSE(check_watcher(wrong)) << value;
    }
    for (const Json& value : {Json(3), Json("tcp"), Json::object(), Json{{"tcp", "h:1"}, {"exec", "x"}}})
        EXPECT_FALSE(set_watcher_option(config, "ready", value)) << value;
}

TEST(SetWatcherOption, ReadsSizesByUnitsOf1024) {
    WatcherConfig config = added();
    const std::vector<std::pair<Json, unsigned long long>> rows = {
        {"200M", 200ULL << 20}, {"1.5G", 3ULL << 29}, {"64 KiB", 1ULL << 16}, {"2gb", 2ULL << 30},
        {"4096", 4096},         {4096, 4096},         {nullptr, 0},
    };
    for (const auto& [value, bytes] : rows) {
        ASSERT_TRUE(set_watcher_option(config, "memory_max", value)) << value;
        EXPECT_EQ(config.memory_max.bytes, bytes) << value;
    }
    for (const Json& value : {Json("M"), Json("1X"), Json("-1M"), Json(0), Json(-1), Json(true), Json("0")})
        EXPECT_FALSE(set_watcher_option(config, "memory_max", value)) << value;
}

TEST(SetWatcherOption, ReadsWhatAWatcherDependsOn) {
    using Until = Dependency::Until;
    WatcherConfig config = added();
    ASSERT_TRUE(set_watcher_option(config, "depends_on", Json::array({"db", "cache"})));
    EXPECT_EQ(config.depends_on, (std::vector<Dependency>{{"db", Until::Ready}, {"cache", Until::Ready}}));
    ASSERT_TRUE(set_watcher_option(config, "depends_on", Json{{"db", "started"}, {"job", "completed"}}));
    EXPECT_EQ(config.depends_on,
              (std::vector<Dependency>{{"db", Until::Started}, {"job", Until::Completed}}));
    EXPECT_EQ(watcher_options_to_json(config, "/").at("depends_on"),
              (Json{{"db", "started"}, {"job", "completed"}}));
    for (const Json& value :
         {Json("db"), Json::array({1}), Json::array({"db", "DB"}), Json{{"db", "up"}}, Json::array({""})})
        EXPECT_FALSE(set_watcher_option(config, "depends_on", value)) << value;
}

TEST(SetWatcherOption, ReadsLimitsInEverySpelling) {
    const std::optional<unsigned long long> none;
    WatcherConfig config = added();
    for (const Json& value : {Json("unlimited"), Json(""), Json(-1), Json::array({-1, "Unlimited"})}) {
        ASSERT_TRUE(set_watcher_option(config, "rlimit_core", value)) << value;
        EXPECT_EQ(config.rlimits.at("core"), (RlimitSetting{RLIMIT_CORE, none, none})) << value;
    }
    ASSERT_TRUE(set_watcher_option(config, "rlimit_NOFILE", Json::array({10, 20})));
    EXPECT_EQ(config.rlimits.at("nofile"), (RlimitSetting{RLIMIT_NOFILE, 10, 20}));
}

TEST(SetWatcherOption, ChangesOneOptionOfAStream) {
    WatcherConfig config = added();
    ASSERT_TRUE(set_watcher_option(config, "stdout_stream.class", "FileStream"));
    EXPECT_EQ(check_watcher(config).error().text,
              "'stdout_stream.filename' is missing; a FileStream needs one");
    ASSERT_TRUE(set_watcher_option(config, "stdout_stream.filename", "/f"));
    ASSERT_TRUE(set_watcher_option(config, "stdout_stream.max_bytes", 100));
    EXPECT_FALSE(check_watcher(config)) << "rotation without backups";
    ASSERT_TRUE(set_watcher_option(config, "stdout_stream.backup_count", 2));
    EXPECT_TRUE(check_watcher(config));
    EXPECT_EQ(
        config.stdout_stream,
        (StreamConfig{.class_name = "FileStream", .filename = "/f", .max_bytes = 100, .backup_count = 2}));
    ASSERT_TRUE(set_watcher_option(config, "stdout_stream.class", "StdoutStream"));
    EXPECT_EQ(config.stdout_stream, (StreamConfig{.class_name = "StdoutStream"}));
}

TEST(SetWatcherOption, TakesEachOptionOfAStreamAndShowsItAsItWasGiven) {
    const Json streams = Json::parse(R"([
        {"class": "FileStream", "filename": "/f", "time_format": "%H", "max_bytes": 9, "backup_count": 3,
         "compress": true, "on_slow": "drop"},
        {"class": "WatchedFileStream", "filename": "/f", "time_format": "%H", "on_slow": "drop"},
        {"class": "TimedRotatingFileStream", "filename": "/f", "time_format": "%H", "backup_count": 2,
         "rotate_when": "W3", "rotate_interval": 2, "utc": true, "compress": true, "on_slow": "drop"},
        {"class": "StdoutStream", "on_slow": "drop"},
        {"class": "FancyStdoutStream", "color": "red", "time_format": "%H", "on_slow": "drop"},
        {"class": "QueueStream", "lines": 5}])");
    EXPECT_EQ(streams.size(), stream_classes().size());
    for (Json stream : streams) {
        WatcherConfig config = added();
        ASSERT_TRUE(set_watcher_option(config, "stdout_stream", stream)) << stream;
        EXPECT_TRUE(check_watcher(config)) << stream;
        for (const auto& row : stream_classes())
            EXPECT_TRUE(row.name != stream["class"] || row.options.size() == stream.size())
                << "not all of them: " << stream;
        stream.erase("class");
        EXPECT_EQ(watcher_options_to_json(config, "/")["stdout_stream_conf"], stream);
    }
}

TEST(SetWatcherOption, ATimedStreamNeedsItsPeriodInAnyCase) {
    WatcherConfig config = added();
    ASSERT_TRUE(set_watcher_option(config, "stdout_stream",
                                   {{"class", "TimedRotatingFileStream"}, {"filename", "/f"}}));
    EXPECT_EQ(check_watcher(config).error().text,
              "'stdout_stream.rotate_when' is missing; a TimedRotatingFileStream needs one");
    ASSERT_TRUE(set_watcher_option(config, "stdout_stream.rotate_when", "midnight"));
    EXPECT_TRUE(check_watcher(config));
}

TEST(SetWatcherOption, AClassThatIsOfferedHasWhateverOptionsItIsGiven) {
    const Json stream{
        {"class", "KafkaStream"}, {"topic", "logs"}, {"brokers", {"a", "b"}}, {"on_slow", "drop"}};
    WatcherConfig config = added();
    EXPECT_FALSE(set_watcher_option(config, "stdout_stream", stream));
    offer_stream_class("KafkaStream");
    EXPECT_TRUE(set_watcher_option(config, "stdout_stream", stream));
    EXPECT_TRUE(check_watcher(config));
    EXPECT_EQ(Json::parse(config.stdout_stream->offered), Json({{"topic", "logs"}, {"brokers", {"a", "b"}}}));
    EXPECT_EQ(config.stdout_stream->on_slow, StreamConfig::OnSlow::Drop);
    ASSERT_TRUE(set_watcher_option(config, "stdout_stream.topic", "other"));
    Json shown = stream;
    shown.erase("class");
    shown["topic"] = "other";
    EXPECT_EQ(watcher_options_to_json(config, "/")["stdout_stream_conf"], shown);
    withdraw_stream_class("KafkaStream");
    EXPECT_FALSE(set_watcher_option(config, "stdout_stream", stream));
}

TEST(CheckWatcher, KnowsTheRulesBetweenOptions) {
    WatcherConfig config = added();
    EXPECT_TRUE(check_watcher(config));
    config.singleton = true;
    config.numprocesses = 2;
    EXPECT_EQ(check_watcher(config).error().text, "Singleton watcher has a single process");
    EXPECT_EQ(check_watcher(config).error().code, 5);
    config.numprocesses = 1;
    config.cmd = "echo 'a";
    EXPECT_EQ(check_watcher(config).error().text, "'cmd': no closing quotation (')");
    config.shell = true;
    EXPECT_TRUE(check_watcher(config)) << "a shell reads its script itself";
}

TEST(WatcherOptionsToJson, ShowsAnAddedWatcherAsCircusDoes) {
    EXPECT_EQ(watcher_options_to_json(added(), "/here"), Json::parse(R"({
        "args": null, "close_child_stdin": true, "close_child_stdout": false, "close_child_stderr": false,
        "cmd": "sleep 1", "copy_env": false, "env": null, "executable": null, "gid": null,
        "graceful_timeout": 30.0, "max_age": 0, "max_age_variance": 30, "max_retry": 5, "numprocesses": 1,
        "on_demand": false, "priority": 0, "respawn": true, "send_hup": false, "shell": false,
        "shell_args": null, "singleton": false, "stderr_stream_conf": null, "stdout_stream_conf": null,
        "stop_children": false, "stop_signal": 15, "uid": null, "use_sockets": false, "warmup_delay": 0,
        "working_dir": "/here"})"));
}

TEST(WatcherOptionsToJson, ShowsWhatAFileLeavesOutAsEmptyObjects) {
    WatcherConfig config = added();
    config.from_file = true;
    const Json options = watcher_options_to_json(config, "/here");
    for (const char* name : {"env", "stdout_stream_conf", "stderr_stream_conf"})
        EXPECT_EQ(options[name], Json::object()) << name;
    EXPECT_TRUE(options["uid"].is_null());
}

TEST(WatcherOptionsToJson, KeepsTheTypesOfTheAnswer) {
    WatcherConfig config = added();
    config.graceful_timeout = 5;
    EXPECT_TRUE(watcher_options_to_json(config, "/")["graceful_timeout"].is_number_float());
    EXPECT_TRUE(watcher_options_to_json(config, "/")["warmup_delay"].is_number_integer());
    config.warmup_delay = 0.5;
    EXPECT_EQ(watcher_options_to_json(config, "/")["warmup_delay"], 0.5);
    ASSERT_TRUE(set_watcher_option(config, "args", "a  b"));
    EXPECT_EQ(watcher_options_to_json(config, "/")["args"], "a  b");
    ASSERT_TRUE(set_watcher_option(config, "args", Json::array({"a", "b"})));
    EXPECT_EQ(watcher_options_to_json(config, "/")["args"], Json::array({"a", "b"}));
}

TEST(WatcherOptionsToJson, ShowsWhatWasSetAndHidesWhatCircusHides) {
    WatcherConfig config = added();
    for (const auto& [name, value] : other_values().items())
        ASSERT_TRUE(set_watcher_option(config, name, value)) << name;
    const Json options = watcher_options_to_json(config, "/here");
    EXPECT_EQ(options["uid"], 0);
    EXPECT_EQ(options["gid"], "root");
    EXPECT_EQ(options["umask"], "027");
    EXPECT_EQ(options["min_uptime"], 2.0);
    EXPECT_EQ(options["kill_tree"], false);
    EXPECT_EQ(options["env"], Json({{"A", "1"}}));
    EXPECT_EQ(options["stdout_stream_conf"], Json::object());
    EXPECT_EQ(options["stderr_stream_conf"], Json({{"filename", "/f"}}));
    for (const char* hidden :
         {"autostart", "stdin_socket", "rlimit_nofile", "hooks", "name", "stdout_stream"})
        EXPECT_FALSE(options.contains(hidden)) << hidden;
}

TEST(GlobalOptions, HaveCircussKeys) {
    CircusConfig config;
    config.endpoint = "ipc:///e";
    config.check_delay = 5;
    const Json options = global_options_to_json(config);
    EXPECT_EQ(options.size(), 5U);
    EXPECT_EQ(options["endpoint"], "ipc:///e");
    EXPECT_TRUE(options["check_delay"].is_number_float());
    for (const char* key : {"pubsub_endpoint", "stats_endpoint", "multicast_endpoint"})
        EXPECT_TRUE(options.contains(key)) << key;
}

}  // namespace
}  // namespace circus::config
