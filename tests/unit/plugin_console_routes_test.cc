// The console's own code: which command a path is, and what is put together of several.
#include "console/feed.hpp"
#include "console/openapi.hpp"
#include "console_fixture.hpp"

namespace console {
namespace {

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
    get("/api/v1/sockets");
    EXPECT_THAT(backend.calls,
                ElementsAre(FakeBackend::Call{"options", {{"name", "my job"}}},
                            FakeBackend::Call{"logs", {{"name", "web"}, {"lines", 5}, {"stderr", true}}},
                            FakeBackend::Call{"deaths", {{"name", "web"}, {"last", 5}}},
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
    EXPECT_EQ(wish.past, 200u);
    EXPECT_TRUE(wish.overview);
    EXPECT_EQ(wish.watcher, "web");
    EXPECT_EQ(open("/api/v1/events?past=-1"), 400);
    EXPECT_EQ(open("/api/v1/watchers"), 404);
    headers["origin"] = "http://evil.example";
    EXPECT_EQ(open("/api/v1/events"), 403);
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
                         {"numprocesses", 3}}));
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

TEST_F(ConsoleTest, WhoAsksDuringARoundGetsItsResult) {
    set_up();
    int answered = 0;
    for (int i = 0; i < 3; ++i)
        parts->overview.ask(now, [&](const Answer& answer) { answered += answer.ok(); });
    EXPECT_EQ(backend.calls.size(), 4u);
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
    EXPECT_TRUE(document.at("paths").contains("/healthz"));
}

}  // namespace
}  // namespace console
