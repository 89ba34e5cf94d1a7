// The console's own code: which command a path is, of which circusd, and what is put together of several.
#include <algorithm>
#include <stdexcept>

#include "console/feed.hpp"
#include "console/openapi.hpp"
#include "console_fixture.hpp"

namespace console {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// ---- routes ----

TEST_F(ConsoleTest, APathIsACommand) {
    set_up();
    get("/api/v1/watchers/my%20job");
    get("/api/v1/watchers/web/logs?lines=5&stderr=1&other=x");
    get("/api/v1/watchers/web/deaths?last=5");
    get("/api/v1/watchers/web/gauges");
    get("/api/v1/watchers/web/autoscale");
    get("/api/v1/sockets");
    EXPECT_THAT(backend.calls,
                ElementsAre(FakeBackend::Call{"options", {{"name", "my job"}, {"settable", true}}},
                            FakeBackend::Call{"logs", {{"name", "web"}, {"lines", 5}, {"stderr", true}}},
                            FakeBackend::Call{"deaths", {{"name", "web"}, {"last", 5}}},
                            FakeBackend::Call{"gauge", {{"watcher", "web"}}},
                            FakeBackend::Call{"autoscale",
                                              {{"action", "explain"}, {"decisions", true}, {"name", "web"}}},
                            FakeBackend::Call{"listsockets", {{"figures", true}}}));
    EXPECT_EQ(get("/api/v1/watchers/web/logs?lines=x").status, 400);
    EXPECT_EQ(get("/api/v1/watchers/%zz").status, 400);
    EXPECT_EQ(get("/api/v1/watchers/a%00b").status, 400);
}

TEST_F(ConsoleTest, WhatThereIsNotIsNotFoundAndWhatIsNotDoneSaysWhatIs) {
    set_up({{"token", kToken}});
    bearer(kToken);
    for (const char* target :
         {"/api/v1/nothing", "/api/v1/watchers/a/b/c", "/nothing", "/api/v2/watchers", "/../x"})
        EXPECT_EQ(get(target).status, 404) << target;
    EXPECT_EQ(get("/api/v1/events").status, 426);
    EXPECT_EQ(header(get("/api/v1/commands/stop"), "Allow"), "POST");
    EXPECT_EQ(post("/api/v1/watchers").status, 404);
    EXPECT_EQ(ask(request("DELETE", "/api/v1/watchers/web")).status, 405);
    EXPECT_EQ(ask(request("POST", "/")).status, 405);
}

TEST_F(ConsoleTest, APageOfAnotherPluginIsItsCommand) {
    set_up({{"token", kToken}, {"read_token", kReadToken}});
    backend.answers["metrics.http"] =
        FakeBackend::ok({{"code", 503}, {"type", "text/plain"}, {"body", "not now\n"}});
    EXPECT_EQ(get("/metrics").status, 401) << "no token";
    EXPECT_THAT(backend.calls, IsEmpty());
    bearer(kReadToken);
    const Response page = get("/metrics?a=b");
    EXPECT_EQ(page.status, 503);
    EXPECT_EQ(page.type, "text/plain");
    EXPECT_EQ(page.body, "not now\n");
    EXPECT_THAT(backend.calls,
                ElementsAre(FakeBackend::Call{
                    "metrics.http",
                    {{"method", "GET"}, {"path", "/metrics"}, {"query", {{"a", "b"}}}, {"accept", ""}}}));
    backend.answers["metrics.http"] = FakeBackend::error(CIRCUS_E_TIMEOUT, "too late");
    EXPECT_EQ(get("/metrics").status, 504);
    backend.answers["metrics.http"] =
        FakeBackend::error(CIRCUS_E_NOT_FOUND, "unknown command: 'metrics.http'");
    EXPECT_EQ(get("/metrics").status, 404);
    EXPECT_EQ(post("/metrics").status, 405);
}

TEST_F(ConsoleTest, ErrorsOfCircusdHaveAStatus) {
    set_up({{"token", kToken}});
    bearer(kToken);
    const auto status_of = [this](circus_status status, const std::string& reason) {
        backend.answers["incr"] = FakeBackend::error(status, reason);
        const auto response = post("/api/v1/commands/incr", {{"name", "x"}});
        EXPECT_EQ(json(response).at("reason"), reason);
        return response.status;
    };
    EXPECT_EQ(status_of(CIRCUS_E_INVALID, "program x not found"), 404);
    EXPECT_EQ(status_of(CIRCUS_E_NOT_FOUND, "unknown command: 'incr'"), 404);
    EXPECT_EQ(status_of(CIRCUS_E_INVALID, "'nb' isn't an integer"), 400);
    EXPECT_EQ(status_of(CIRCUS_E_CONFLICT, "the daemon is stopping"), 409);
    EXPECT_EQ(status_of(CIRCUS_E_EXCEPTION, "server error"), 500);
}

TEST_F(ConsoleTest, HealthAndReadinessNeedNoLogin) {
    set_up({{"token", kToken}});
    EXPECT_EQ(get("/healthz").status, 200);
    backend.answers["status"] = FakeBackend::ok({{"statuses", {{"web", "active"}, {"off", "stopped"}}}});
    EXPECT_EQ(get("/readyz").status, 200);
    backend.answers["status"] = FakeBackend::ok({{"statuses", {{"web", "starting"}}}});
    EXPECT_EQ(get("/readyz").status, 503);
    EXPECT_THAT(get("/readyz").body, Not(HasSubstr("web")));
    backend.answers["status"] = FakeBackend::error(CIRCUS_E_CONFLICT, "no");
    EXPECT_EQ(get("/readyz").status, 503);
}

TEST_F(ConsoleTest, ThePageIsInTheLibraryAndItsFilesAreNotSentTwice) {
    set_up();
    const auto page = get("/");
    EXPECT_EQ(page.status, 200);
    EXPECT_THAT(page.body, HasSubstr("<title>circusd</title>"));
    EXPECT_THAT(page.body, Not(HasSubstr("<script>"))) << "the policy lets no inline script run";
    headers["if-none-match"] = header(page, "ETag");
    EXPECT_EQ(get("/").status, 304);
    EXPECT_EQ(get("/app.js").status, 200);
}

TEST_F(ConsoleTest, AWebSocketIsLetInAsEverybodyElse) {
    set_up({{"token", kToken}});
    console::Visitor visitor;
    console::Wish wish;
    const auto open = [&](const std::string& target) {
        const auto refused = parts->router.open_events(request("GET", target), now, visitor, wish);
        return refused ? refused->status : 101;
    };
    EXPECT_EQ(open("/api/v1/events"), 401);
    bearer(kToken);
    EXPECT_EQ(open("/api/v1/events?topic=watcher.*&past=9999&overview=1&watcher=web"), 101);
    EXPECT_EQ(wish.topic, "watcher.*");
    EXPECT_EQ(wish.past, 1000u) << "as many as are kept";
    EXPECT_TRUE(wish.overview);
    EXPECT_EQ(wish.watcher, "web");
    EXPECT_EQ(open("/api/v1/events?past=-1"), 400);
    EXPECT_EQ(open("/api/v1/watchers"), 404);
    headers["origin"] = "http://evil.example";
    EXPECT_EQ(open("/api/v1/events"), 403);
}

// ---- several circusds ----

struct ConsoleEndpointsTest : ConsoleTest {
    void set_up_two(const Json& options = Json::object()) {
        set_up(options);
        parts->stacks.add("east", "tcp://127.0.0.1:1", east);
    }
    Response ask_east(const std::string& method, const std::string& path, const Json& body = Json::object()) {
        Request made = request(method, "/api/v1/endpoints/east" + path, body.dump());
        made.headers.emplace_back("content-type", "application/json");
        std::optional<Response> got;
        parts->router.handle(made, now, [&](Response response) { got = std::move(response); });
        for (int i = 0; i < 3; ++i) east.answer_all();
        EXPECT_TRUE(got) << "not answered";
        return got.value_or(Response{});
    }
    FakeBackend east;
};

TEST_F(ConsoleEndpointsTest, APathNamesWhoseCircusdItIsAbout) {
    set_up_two({{"token", kToken}});
    bearer(kToken);
    EXPECT_EQ(ask_east("POST", "/commands/incr", {{"name", "web"}}).status, 200);
    EXPECT_EQ(ask_east("GET", "/watchers/web").status, 200);
    EXPECT_THAT(east.calls, ElementsAre(FakeBackend::Call{"incr", {{"name", "web"}}},
                                        FakeBackend::Call{"options", {{"name", "web"}, {"settable", true}}}));
    EXPECT_THAT(backend.calls, IsEmpty());
    const Json list = json(get("/api/v1/endpoints")).at("endpoints");
    EXPECT_EQ(list.at(0).at("name"), "");
    EXPECT_EQ(list.at(1),
              Json({{"name", "east"}, {"endpoint", "tcp://127.0.0.1:1"}, {"problem", "not connected yet"}}));
}

TEST_F(ConsoleEndpointsTest, WhatThereIsNotThereIsNotFound) {
    set_up_two({{"token", kToken}});
    EXPECT_EQ(get("/api/v1/endpoints").status, 401);
    EXPECT_EQ(get("/api/v1/endpoints/west/watchers").status, 401) << "nobody learns the names";
    bearer(kToken);
    for (const char* path :
         {"/api/v1/endpoints/west/watchers", "/api/v1/endpoints//watchers", "/api/v1/endpoints/east",
          "/api/v1/endpoints/east/session", "/api/v1/endpoints/east/login",
          "/api/v1/endpoints/east/endpoints", "/api/v1/endpoints/east/endpoints/east/watchers"})
        EXPECT_EQ(get(path).status, 404) << path;
    EXPECT_THAT(east.calls, IsEmpty());
}

TEST_F(ConsoleEndpointsTest, TheSameRolesAndRulesHoldThere) {
    set_up_two({{"token", kToken}, {"read_token", kReadToken}});
    east.answers["commands"] = FakeBackend::ok({{"commands", {{"list", {{"changes", false}}}}}});
    east.answers["options"] = FakeBackend::ok({{"options", {{"env", {{"SECRET", "abc"}}}}}});
    EXPECT_EQ(ask_east("POST", "/commands/incr").status, 401);
    bearer(kReadToken);
    EXPECT_EQ(ask_east("POST", "/commands/list").status, 200);
    EXPECT_EQ(ask_east("POST", "/commands/stop").status, 403);
    EXPECT_EQ(json(ask_east("GET", "/watchers/web")).at("options").at("env").at("SECRET"), "(hidden)");
    bearer(kToken);
    EXPECT_EQ(ask_east("POST", "/commands/add", {{"name", "x"}, {"cmd", "sh"}}).status, 403);
    headers.clear();
    take_session(post("/api/v1/login", {{"token", kToken}}));
    EXPECT_EQ(ask_east("POST", "/commands/incr").status, 200);
    headers.erase("x-circus-csrf");
    EXPECT_EQ(ask_east("POST", "/commands/incr").status, 403) << "no token against forgery";
    headers["origin"] = "http://evil.example";
    EXPECT_EQ(ask_east("GET", "/watchers").status, 403);
}

TEST_F(ConsoleEndpointsTest, OneThatCannotBeReachedSaysWhy) {
    set_up_two({{"token", kToken}});
    bearer(kToken);
    east.answers["incr"] = FakeBackend::error(CIRCUS_E_AGAIN, "east: nobody answers at tcp://127.0.0.1:1");
    const Response response = ask_east("POST", "/commands/incr");
    EXPECT_EQ(response.status, 503);
    EXPECT_THAT(response.body, HasSubstr("nobody answers"));
    east.answers["incr"] = FakeBackend::error(CIRCUS_DENY, "permission denied: not you");
    EXPECT_EQ(ask_east("POST", "/commands/incr").status, 403);
}

TEST_F(ConsoleEndpointsTest, AWebSocketIsAboutOneOfThem) {
    set_up_two();
    console::Visitor visitor;
    console::Wish wish;
    const auto open = [&](const std::string& target) {
        const auto refused = parts->router.open_events(request("GET", target), now, visitor, wish);
        return refused ? refused->status : 101;
    };
    EXPECT_EQ(open("/api/v1/events"), 101);
    EXPECT_EQ(wish.stack, &parts->stacks.own());
    EXPECT_EQ(open("/api/v1/endpoints/east/events"), 101);
    EXPECT_EQ(wish.stack, parts->stacks.find("east"));
    EXPECT_EQ(open("/api/v1/endpoints/west/events"), 404);
}

// ---- what is put together ----

TEST_F(ConsoleTest, AnOverviewIsPutTogetherOfCommands) {
    set_up();
    backend.answers["status"] =
        FakeBackend::ok({{"statuses", {{"My web", "active"}, {"off", "stopped"}}}, {"time", 5}});
    backend.answers["stats"] = FakeBackend::ok({{"infos",
                                                 {{"My web",
                                                   {{"11", {{"cpu", 1.5}, {"mem", 2}, {"mem_info1", "2M"}}},
                                                    {"12", {{"cpu", 2.5}, {"mem", 1}, {"mem_info1", "1M"}}},
                                                    {"13", "No such process (stopped?)"}}}}}});
    backend.answers["get"] = FakeBackend::ok({{"options", {{"numprocesses", 3}}}});
    backend.answers["figures"] =
        FakeBackend::ok({{"watchers", {{"My web", {{"replaced", {{"died", 2}, {"reload", 5}}}}}}}});
    parts->overview.heard("watcher.my_web.spawn", Json::object());
    parts->overview.heard("watcher.my_web.reap", Json::object());
    const Json web = json(get("/api/v1/watchers")).at("watchers").at(0);
    EXPECT_EQ(web, Json({{"name", "My web"},
                         {"status", "active"},
                         {"running", 2},
                         {"cpu", 4.0},
                         {"mem", 3.0},
                         {"rss", 3.0 * (1 << 20)},
                         {"spawns", 1},
                         {"deaths", 1},
                         {"numprocesses", 3},
                         {"restarts", 7},
                         {"replaced", {{"died", 2}, {"reload", 5}}}}));
    EXPECT_EQ(parts->overview.processes("My web").size(), 2u);
    // Options are asked for again only when they may have changed.
    backend.calls.clear();
    get("/api/v1/watchers");
    EXPECT_EQ(backend.calls.size(), 4u);
    parts->overview.heard("watcher.my_web.updated", {{"watcher", "My web"}});
    get("/api/v1/watchers");
    EXPECT_EQ(backend.calls.size(), 9u);
    EXPECT_EQ(backend.calls.back().properties.at("name"), "My web");
}

TEST_F(ConsoleTest, AnOverviewAsksForNoChildrenWhichItDoesNotShow) {
    set_up();
    get("/api/v1/watchers");
    EXPECT_THAT(backend.calls, Contains(FakeBackend::Call{"stats", {{"children", false}}}));
}

// Of a circusd elsewhere, or of a plugin: nothing says what they answer.
TEST_F(ConsoleTest, AnswersThatAreNotAsTheyShouldBeAreLivedWith) {
    set_up();
    backend.answers["status"] = FakeBackend::ok({{"statuses", {{"web", 5}}}, {"time", "noon"}});
    backend.answers["get"] = FakeBackend::ok({{"options", {{"numprocesses", 3}, {"name", 7}}}});
    backend.answers["figures"] = FakeBackend::ok({{"watchers", {{"web", {{"replaced", {1, "x"}}}}}}});
    backend.answers["stats"] =
        FakeBackend::ok({{"infos", {{"web", {{"1", {{"cpu", "much"}, {"mem_info1", Json::array()}}}}}}}});
    backend.answers["listsockets"] = backend.answers["dstats"] = FakeBackend::ok();
    const Json web = json(get("/api/v1/overview")).at("watchers").at(0);
    EXPECT_EQ(web.at("name"), "web");
    EXPECT_EQ(web.at("status"), "unknown");
    EXPECT_EQ(web.at("numprocesses"), 3);
    EXPECT_EQ(web.at("restarts"), 0);
    for (const Json& nonsense : {Json(), Json(5), Json("x"), Json::array({1}), Json::object()}) {
        now += std::chrono::seconds(11);  // all of it is asked for again
        for (const auto& [command, key] : {std::pair{"status", "statuses"},
                                           {"stats", "infos"},
                                           {"listsockets", "sockets"},
                                           {"dstats", "info"},
                                           {"get", "options"},
                                           {"figures", "watchers"}}) {
            const auto before = backend.answers[command];
            backend.answers[command] = FakeBackend::ok({{key, nonsense}});
            EXPECT_EQ(get("/api/v1/overview").status, 200) << command << nonsense;
            backend.answers[command] = before;
        }
        backend.answers["incr"] = {CIRCUS_E_INVALID, {{"status", "error"}, {"reason", nonsense}}};
        EXPECT_EQ(get("/readyz").status, 200) << nonsense;
        headers["x-circus-csrf"] = json(get("/api/v1/session")).at("csrf").get<std::string>();
        EXPECT_EQ(post("/api/v1/commands/incr").status, 400) << nonsense;
    }
    EXPECT_THAT(backend.thrown, IsEmpty());
}

TEST_F(ConsoleTest, APageThatIsNoneIsAnError) {
    set_up();
    for (const Json& page : {Json{{"code", "200"}, {"body", "x"}}, Json{{"code", 99}, {"body", "x"}},
                             Json{{"code", 1000}, {"body", "x"}}, Json{{"body", 5}},
                             Json{{"type", "text/plain\r\nSet-Cookie: x=y"}, {"body", "x"}}}) {
        backend.answers["metrics.http"] = FakeBackend::ok(page);
        EXPECT_EQ(get("/metrics").status, 500) << page;
    }
    backend.answers["metrics.http"] = FakeBackend::ok({{"body", "x"}});
    EXPECT_EQ(get("/metrics").status, 200);
}

TEST_F(ConsoleTest, WhatIsThrownOverAnAnswerFailsThatRequestAndIsHeardOf) {
    set_up();
    backend.answers["commands"] = FakeBackend::ok({{"commands", {{"x", {{"summary", 5}}}}}});
    EXPECT_EQ(get("/api/v1/openapi.json").status, 500);
    EXPECT_THAT(backend.thrown, ElementsAre(HasSubstr("type must be string")));
    // In a round of the overview as well, and the next ones come.
    int answered = 0;
    parts->overview.ask(now, [](const Answer&) { throw std::runtime_error("no"); });
    parts->overview.ask(now, [&](const Answer& answer) { answered += answer.ok(); });
    backend.answer_all();
    EXPECT_EQ(answered, 1);
    EXPECT_THAT(backend.thrown, ElementsAre(HasSubstr("type must be string"), "no"));
    EXPECT_EQ(get("/api/v1/watchers").status, 200);
}

TEST_F(ConsoleTest, WhatBecameOfProcessesIsAskedForWhenOneHasEnded) {
    set_up();
    backend.answers["status"] = FakeBackend::ok({{"statuses", {{"web", "active"}}}});
    backend.answers["get"] = FakeBackend::ok({{"options", {{"numprocesses", 1}}}});
    const auto restarts = [&] {
        return json(get("/api/v1/watchers")).at("watchers").at(0).value("restarts", Json());
    };
    const auto asked = [&] {
        return std::count_if(backend.calls.begin(), backend.calls.end(),
                             [](const auto& call) { return call.command == "figures"; });
    };
    // A Circus in Python knows no such command: that is asked again now and then, and is no error.
    backend.answers["figures"] = FakeBackend::error(CIRCUS_E_NOT_FOUND, "unknown command: 'figures'");
    EXPECT_EQ(restarts(), Json());
    EXPECT_EQ(restarts(), Json());
    EXPECT_EQ(asked(), 1);
    now += std::chrono::seconds(11);
    backend.answers["figures"] = FakeBackend::error(CIRCUS_E_AGAIN, "nobody answers");
    EXPECT_EQ(restarts(), Json());
    backend.answers["figures"] = FakeBackend::ok({{"watchers", {{"web", {{"replaced", {{"died", 1}}}}}}}});
    EXPECT_EQ(restarts(), 1) << "it may be there by now";
    backend.answers["figures"] = FakeBackend::ok({{"watchers", {{"web", {{"replaced", {{"died", 2}}}}}}}});
    EXPECT_EQ(restarts(), 1);
    parts->overview.heard("watcher.web.reap", Json::object());
    EXPECT_EQ(restarts(), 2);
    EXPECT_EQ(asked(), 4);
}

TEST_F(ConsoleTest, WhoAsksDuringARoundGetsItsResult) {
    set_up();
    int answered = 0;
    for (int i = 0; i < 3; ++i)
        parts->overview.ask(now, [&](const Answer& answer) { answered += answer.ok(); });
    EXPECT_EQ(backend.calls.size(), 5u);
    backend.answer_all();
    EXPECT_EQ(answered, 3);
    backend.answers["stats"] = FakeBackend::error(CIRCUS_E_CONFLICT, "no");
    EXPECT_EQ(get("/api/v1/overview").status, 409);
}

TEST(ConsoleFeed, IsBoundedAndCountsWhatASlowReaderMissed) {
    Feed feed(3);
    std::uint64_t next = feed.last(10);
    for (int i = 0; i < 5; ++i) feed.add("watcher.web.spawn", "{}");
    auto batch = feed.read(next, "", 2);
    EXPECT_EQ(batch.lost, 2u);
    EXPECT_EQ(Json::parse(batch.text).at(0).at("seq"), 2);
    batch = feed.read(next, "", 2);
    EXPECT_EQ(batch.lost, 0u);
    EXPECT_EQ(Json::parse(batch.text).size(), 1u);
    EXPECT_EQ(feed.read(next, "", 2).text, "");
    next = feed.last(2);
    feed.add("watcher.web.reap", R"({"exit_code":1})");
    batch = feed.read(next, "watcher.*.reap", 9);
    const Json events = Json::parse(batch.text);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events.at(0),
              Json({{"seq", 5}, {"topic", "watcher.web.reap"}, {"payload", {{"exit_code", 1}}}}));
}

TEST(ConsoleOpenapi, HasEveryCommandWithWhatItTakes) {
    const Json document = console::openapi({{"incr",
                                             {{"summary", "more"},
                                              {"help", "More."},
                                              {"changes", true},
                                              {"properties",
                                               {{"name", {{"type", "string"}, {"required", true}}},
                                                {"nb", {{"type", "integer"}, {"required", false}}}}}}},
                                            {"scale", {{"summary", "s"}, {"plugin", "scaler"}}}});
    const Json& incr = document.at("paths").at("/api/v1/commands/incr").at("post");
    const Json& schema = incr.at("requestBody").at("content").at("application/json").at("schema");
    EXPECT_EQ(schema.at("required"), Json::array({"name"}));
    EXPECT_EQ(schema.at("properties").at("nb").at("type"), "integer");
    EXPECT_EQ(document.at("paths").at("/api/v1/commands/scale").at("post").at("tags"),
              Json::array({"scaler"}));
    EXPECT_TRUE(document.at("paths").at("/api/v1/watchers/{name}/logs").contains("get"));
    for (const char* path : {"/healthz", "/readyz", "/api/v1/events", "/api/v1/session", "/api/v1/endpoints",
                             "/api/v1/openapi.json"})
        EXPECT_TRUE(document.at("paths").contains(path)) << path;
    EXPECT_TRUE(document.at("paths").at("/api/v1/events").at("get").at("responses").contains("101"));
}

// Every "$ref" leads somewhere, and each operation has a name that no other has.
void collect(const Json& node, std::vector<std::string>& references, std::vector<std::string>& names) {
    if (!node.is_structured()) return;
    for (const auto& [key, value] : node.items()) {
        if (key == "$ref" && value.is_string()) references.push_back(value);
        if (key == "operationId") names.push_back(value);
        collect(value, references, names);
    }
}

TEST(ConsoleOpenapi, IsSoundInItself) {
    const Json document = console::openapi({{"incr", {{"summary", "more"}}}, {"stop", {{"summary", "no"}}}});
    std::vector<std::string> references;
    std::vector<std::string> names;
    collect(document, references, names);
    EXPECT_FALSE(references.empty());
    for (const std::string& each : references)
        EXPECT_TRUE(document.contains(Json::json_pointer(each.substr(1)))) << each;
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
    for (const auto& [path, item] : document.at("paths").items())
        for (const auto& [method, operation] : item.items()) {
            EXPECT_TRUE(operation.contains("summary")) << path;
            EXPECT_TRUE(operation.contains("responses")) << path;
            const bool has_name = path.find("{name}") != path.npos;
            const Json parameters = operation.value("parameters", Json::array());
            EXPECT_EQ(has_name, !parameters.empty() && parameters[0].value("in", "") == "path") << path;
        }
}

TEST(ConsoleOpenapi, OfAnotherCircusdIsBelowItsName) {
    const Json document = console::openapi({{"incr", {{"summary", "more"}}}}, "east");
    EXPECT_TRUE(document.at("paths").contains("/api/v1/endpoints/east/commands/incr"));
    EXPECT_TRUE(document.at("paths").contains("/api/v1/endpoints/east/events"));
    for (const char* path : {"/api/v1/session", "/healthz", "/api/v1/commands/incr"})
        EXPECT_FALSE(document.at("paths").contains(path)) << path;
}

}  // namespace
}  // namespace console
