// The console's own code: who comes in, what he may do, and which command a path is.
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "console_fixture.hpp"

namespace console {
namespace {

using std::chrono::seconds;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

std::string failure_of(const Json& options) {
    try {
        console_settings(options);
        return {};
    } catch (const circus::Failure& failure) {
        return failure.what();
    }
}

// ---- settings ----

TEST(ConsoleSettings, WhatOtherMachinesReachNeedsATokenOrUsers) {
    for (const char* listen : {"0.0.0.0:80", "[::]:80", "192.168.1.5:80"}) {
        EXPECT_THAT(failure_of({{"listen", listen}}), HasSubstr("that needs a token or users")) << listen;
        EXPECT_EQ(failure_of({{"listen", listen}, {"token", kToken}}), "");
        EXPECT_EQ(failure_of({{"listen", listen}, {"users", {{"ann", kHash}}}}), "");
    }
    for (const char* listen : {"127.0.0.1:80", "127.8.0.1:80", "[::1]:80", "::1:80", "localhost:0"})
        EXPECT_EQ(failure_of({{"listen", listen}}), "") << listen;
}

TEST(ConsoleSettings, WhatCannotBeMeantIsNamed) {
    EXPECT_THAT(failure_of({{"listen", "8080"}}), HasSubstr("ADDRESS:PORT"));
    EXPECT_THAT(failure_of({{"listen", "127.0.0.1:99999"}}), HasSubstr("no port"));
    EXPECT_THAT(failure_of({{"listen", "example.com:80"}}), HasSubstr("no address"));
    EXPECT_THAT(failure_of({{"token", "short"}}), HasSubstr("16 characters"));
    EXPECT_THAT(failure_of({{"token", "$(circus.env.CONSOLE_TOKEN)"}}), HasSubstr("is not set"));
    EXPECT_THAT(failure_of({{"token", kToken}, {"read_token", kToken}}), HasSubstr("the same"));
    EXPECT_THAT(failure_of({{"users", {{"ann", "correct horse"}}}}), HasSubstr("must be a hash"));
    EXPECT_THAT(failure_of({{"users", {{"ann", {{"password", kHash}, {"role", "boss"}}}}}}),
                HasSubstr("role"));
    EXPECT_THAT(failure_of({{"users", {{"ann", {{"role", "read"}}}}}}), HasSubstr("users.ann"));
}

TEST(ConsoleSettings, AHostWithMoreThanANameWouldNeverMatchAndIsRefused) {
    for (const char* host : {"Console.example.com:8443", "https://console.example.com",
                             "https://console.example.com:8443/", "console.example.com/x"})
        EXPECT_THAT(failure_of({{"hosts", {host}}}),
                    HasSubstr("write \"console.example.com\", which holds for any port"))
            << host;
    for (const char* host : {"[::1]:80", "2001:db8::1", "::1", ""})
        EXPECT_THAT(failure_of({{"hosts", {host}}}), HasSubstr("addresses need no entry")) << host;
    EXPECT_EQ(failure_of({{"hosts", {"console.example.com", "10.0.0.1", "console"}}}), "");
}

// ---- endpoints ----

class KeyFile {
  public:
    explicit KeyFile(const std::string& text, mode_t mode = 0600) {
        const int fd = ::mkstemp(path_);
        EXPECT_EQ(::write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
        ::fchmod(fd, mode);
        ::close(fd);
    }
    ~KeyFile() { ::unlink(path_); }
    KeyFile(const KeyFile&) = delete;
    KeyFile& operator=(const KeyFile&) = delete;
    const char* path() const { return path_; }

  private:
    char path_[32] = "/tmp/console_key_XXXXXX";
};

TEST(ConsoleEndpoints, AreNamesAndWhereTheyAre) {
    const std::string key(40, 'a');
    const KeyFile file("# a client\npublic " + key + "\nsecret\t" + key + "\nserver " + key + "\n");
    const Settings settings = console_settings({{"endpoints",
                                                 {{"east", "ipc:///run/east/endpoint"},
                                                  {"west",
                                                   {{"endpoint", "tcp://10.0.0.2:5555"},
                                                    {"pubsub_endpoint", "tcp://10.0.0.2:6000"},
                                                    {"curve", file.path()}}}}}});
    ASSERT_EQ(settings.endpoints.size(), 2u);
    EXPECT_EQ(settings.endpoints[0].name, "east");
    EXPECT_EQ(settings.endpoints[0].control, "ipc:///run/east/endpoint");
    EXPECT_FALSE(settings.endpoints[0].keys);
    EXPECT_EQ(settings.endpoints[1].events, "tcp://10.0.0.2:6000");
    ASSERT_TRUE(settings.endpoints[1].keys);
    EXPECT_EQ(settings.endpoints[1].keys->server_key, key);
}

TEST(ConsoleEndpoints, WhatCannotBeMeantIsNamed) {
    const auto failure = [](const Json& entry) { return failure_of({{"endpoints", {{"east", entry}}}}); };
    EXPECT_THAT(failure("http://127.0.0.1:80"),
                HasSubstr("endpoints.east: endpoint = \"http://127.0.0.1:80\""));
    EXPECT_THAT(failure("tcp://127.0.0.1"), HasSubstr("tcp://HOST:PORT"));
    EXPECT_THAT(failure("tcp://127.0.0.1:0"), HasSubstr("tcp://HOST:PORT"));
    EXPECT_THAT(failure("ipc://"), HasSubstr("ipc://PATH"));
    EXPECT_THAT(failure("ipc://" + std::string(108, 'x')), HasSubstr("107"));
    EXPECT_THAT(failure(5), HasSubstr("endpoints.east"));
    EXPECT_THAT(failure({{"pubsub_endpoint", "tcp://127.0.0.1:1"}}), HasSubstr("endpoint is missing"));
    EXPECT_THAT(failure({{"endpoint", "tcp://127.0.0.1:1"}, {"ssh", "x"}}), HasSubstr("\"ssh\""));
    EXPECT_THAT(failure({{"endpoint", "ipc:///x"}, {"curve", "/x"}}), HasSubstr("tcp endpoints"));
    EXPECT_THAT(failure({{"endpoint", "tcp://127.0.0.1:1"}, {"curve", "/no/such/file"}}),
                HasSubstr("/no/such/file: No such file"));
    EXPECT_THAT(failure_of({{"endpoints", {{"a/b", "ipc:///x"}}}}), HasSubstr("letters, digits"));
}

TEST(ConsoleEndpoints, AKeyFileIsOnesOwnAndWhole) {
    const auto failure = [](const std::string& text, mode_t mode = 0600) {
        const KeyFile file(text, mode);
        return failure_of(
            {{"endpoints", {{"east", {{"endpoint", "tcp://127.0.0.1:1"}, {"curve", file.path()}}}}}});
    };
    const std::string key(40, 'a');
    EXPECT_THAT(failure("public " + key, 0644), HasSubstr("chmod 600"));
    EXPECT_THAT(failure("public " + key + "\nsecret " + key), HasSubstr("no line \"server KEY\""));
    EXPECT_THAT(failure("public short"), HasSubstr(":1: behind public belongs a key"));
    EXPECT_THAT(failure("\nprivate " + key), HasSubstr(":2: \"private\" is no word"));
}

TEST(ConsoleEndpoints, EventsAreWhereTheDaemonIsReached) {
    using console::reachable_events;
    EXPECT_EQ(reachable_events("tcp://0.0.0.0:5556", "tcp://10.0.0.2:5555"), "tcp://10.0.0.2:5556");
    EXPECT_EQ(reachable_events("tcp://*:5556", "tcp://[::1]:5555"), "tcp://[::1]:5556");
    EXPECT_EQ(reachable_events("tcp://127.0.0.1:5556", "tcp://127.0.0.1:5555"), "tcp://127.0.0.1:5556");
    EXPECT_EQ(reachable_events("ipc:///x/pubsub", "ipc:///x/endpoint"), "ipc:///x/pubsub");
}

TEST(ConsoleSecrets, APasswordIsKnownByItsHash) {
    const auto hash = PasswordHash::parse(kHash);
    ASSERT_TRUE(hash);
    EXPECT_TRUE(hash->is_of("correct horse"));
    EXPECT_FALSE(hash->is_of("correct horsf"));
    EXPECT_FALSE(hash->is_of(""));
    EXPECT_FALSE(PasswordHash::of_nobody().is_of(""));
}

TEST(ConsoleSecrets, HashesThatAreNoneOrCostTooMuchAreRefused) {
    for (const char* text :
         {"", "$scrypt$", "$argon2id$v=19$m=1$a$b", "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFi",
          "$scrypt$ln=10,r=8,p=1$!!!!$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M",
          "$scrypt$ln=20,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M",
          "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"})
        EXPECT_FALSE(PasswordHash::parse(text)) << text;
}

// ---- the gate ----

TEST_F(ConsoleTest, ANameThatIsNotThisConsolesIsRefused) {
    set_up({{"hosts", {"Console.Example.com"}}});
    for (const char* host :
         {"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "", "localhost.evil.example"}) {
        Request rebound = request("GET", "/healthz");
        rebound.headers.front().second = host;
        EXPECT_EQ(ask(rebound).status, 403) << host;
    }
    for (const char* host :
         {"127.0.0.1", "localhost:9000", "[::1]:8080", "10.0.0.7:8080", "console.example.com"}) {
        Request own = request("GET", "/healthz");
        own.headers.front().second = host;
        EXPECT_EQ(ask(own).status, 200) << host;
    }
}

TEST_F(ConsoleTest, PagesOfOthersAreRefused) {
    set_up();
    for (const char* origin :
         {"http://evil.example", "null", "http://127.0.0.1:9999", "file://127.0.0.1:8080"}) {
        headers = {{"origin", origin}};
        EXPECT_EQ(get("/api/v1/watchers").status, 403) << origin;
    }
    headers = {{"origin", "http://127.0.0.1:8080"}, {"sec-fetch-site", "same-origin"}};
    EXPECT_EQ(get("/api/v1/watchers").status, 200);
    for (const char* site : {"cross-site", "same-site"}) {
        headers = {{"sec-fetch-site", site}, {"sec-fetch-mode", "navigate"}};
        EXPECT_EQ(get("/api/v1/watchers").status, 403) << site;
        EXPECT_EQ(get("/").status, 200) << "a link to the page";
    }
}

TEST_F(ConsoleTest, AWriteNeedsTheTokenAgainstForgery) {
    set_up();
    EXPECT_EQ(post("/api/v1/commands/stop", {{"name", "web"}}).status, 403);
    EXPECT_THAT(backend.calls, IsEmpty());
    headers["x-circus-csrf"] = json(get("/api/v1/session")).at("csrf").get<std::string>();
    EXPECT_EQ(post("/api/v1/commands/stop", {{"name", "web"}}).status, 200);
    EXPECT_THAT(backend.calls, ElementsAre(FakeBackend::Call{"stop", {{"name", "web"}}}));
    headers["x-circus-csrf"].back() ^= 1;
    EXPECT_EQ(post("/api/v1/commands/stop").status, 403);
}

TEST_F(ConsoleTest, AWriteIsJson) {
    set_up({{"token", kToken}});
    bearer(kToken);
    Request form = request("POST", "/api/v1/commands/stop", "{}");
    EXPECT_EQ(ask(form).status, 415);
    form.headers.emplace_back("content-type", "text/plain");
    EXPECT_EQ(ask(form).status, 415);
    form.headers.back().second = "Application/JSON; charset=utf-8";
    EXPECT_EQ(ask(form).status, 200);
    form.body = "[1]";
    EXPECT_EQ(ask(form).status, 400);
}

TEST_F(ConsoleTest, WithTokensNobodyComesInWithoutOne) {
    set_up({{"token", kToken}});
    EXPECT_EQ(get("/api/v1/watchers").status, 401);
    EXPECT_EQ(post("/api/v1/commands/stop").status, 401);
    EXPECT_EQ(get("/api/v1/openapi.json").status, 401);
    EXPECT_EQ(get("/api/v1/nothing").status, 401);
    bearer("a-token-to-operatf");
    EXPECT_EQ(get("/api/v1/watchers").status, 401);
    bearer("");
    EXPECT_EQ(get("/api/v1/watchers").status, 401);
    EXPECT_THAT(backend.calls, IsEmpty());
    bearer(kToken);
    EXPECT_EQ(get("/api/v1/watchers").status, 200);
    EXPECT_EQ(post("/api/v1/commands/stop").status, 200) << "no cookie, no forgery";
}

TEST_F(ConsoleTest, WrongTokensAreWrittenDownAndThrottledAndARightOneNever) {
    set_up({{"token", kToken}, {"read_token", kReadToken}});
    for (int i = 0; i < 5; ++i) {
        bearer("a-token-to-operatf");
        EXPECT_EQ(get("/api/v1/watchers").status, 401);
        bearer(kReadToken);
        EXPECT_EQ(get("/api/v1/watchers").status, 200);
    }
    EXPECT_THAT(parts->warned, SizeIs(5));
    EXPECT_THAT(parts->warned, Each("console: a token from 127.0.0.1 was refused"));
    bearer("a-token-to-operatf");
    const auto soon = get("/metrics");
    EXPECT_EQ(soon.status, 429) << "a success of another one forgets nothing";
    EXPECT_EQ(header(soon, "Retry-After"), "1");
    EXPECT_EQ(post("/api/v1/login", {{"token", "a-token-to-operatf"}}).status, 429) << "the same guess";
    EXPECT_THAT(parts->warned, SizeIs(5));
    EXPECT_EQ(post("/api/v1/login", {{"token", kToken}}).status, 429) << "the header is wrong as well";
    bearer(kToken);
    EXPECT_EQ(get("/api/v1/watchers").status, 200) << "a right one does not wait for what others did";
    headers.clear();
    EXPECT_EQ(post("/api/v1/login", {{"token", kToken}}).status, 200);
    headers["authorization"] = "Basic YW5uOng=";
    EXPECT_EQ(get("/api/v1/watchers").status, 401) << "no token: a proxy's own";
    bearer("a-token-to-operatf");
    peer = "10.0.0.9";
    EXPECT_EQ(get("/api/v1/watchers").status, 401);
}

// ---- logging in ----

TEST_F(ConsoleTest, ALoginIsASessionInACookieOfItsOwn) {
    set_up({{"users", {{"ann", kHash}}}});
    const auto in = post("/api/v1/login", {{"user", "ann"}, {"password", "correct horse"}});
    ASSERT_EQ(in.status, 200);
    EXPECT_THAT(header(in, "Set-Cookie"), ::testing::StartsWith("circus_console_8080="));
    EXPECT_THAT(header(in, "Set-Cookie"), HasSubstr("; HttpOnly; SameSite=Strict; Max-Age=43200"));
    EXPECT_THAT(header(in, "Set-Cookie"), Not(HasSubstr("Secure")));
    take_session(in);
    EXPECT_EQ(json(get("/api/v1/session")).at("user"), "ann");
    EXPECT_EQ(post("/api/v1/commands/stop").status, 200);
    EXPECT_EQ(post("/api/v1/logout").status, 200);
    EXPECT_EQ(get("/api/v1/watchers").status, 401);
}

TEST_F(ConsoleTest, ASessionEnds) {
    set_up({{"users", {{"ann", kHash}}}});
    take_session(post("/api/v1/login", {{"user", "ann"}, {"password", "correct horse"}}));
    now += std::chrono::hours(12) - seconds(1);
    EXPECT_EQ(get("/api/v1/watchers").status, 200);
    now += seconds(1);
    EXPECT_EQ(get("/api/v1/watchers").status, 401);
}

TEST_F(ConsoleTest, ASessionOutlivesItsConsoleUnlessWhoMayLogInHasChanged) {
    Json kept;
    console::Sessions before(std::chrono::hours(1), [&](const Json& state) { kept = state; });
    before.recall(Json(), "these may", now);
    const std::string ann = before.open("ann", Role::Read, now);
    const std::string bob = before.open("bob", Role::Operate, now);
    before.close(bob);
    console::Sessions same(std::chrono::hours(1));
    same.recall(kept, "these may", now + seconds(60));
    ASSERT_TRUE(same.find(ann, now + seconds(60)));
    EXPECT_EQ(same.find(ann, now)->user, "ann");
    EXPECT_EQ(same.find(ann, now)->role, Role::Read);
    EXPECT_EQ(same.find(ann, now)->csrf, before.find(ann, now)->csrf);
    EXPECT_FALSE(same.find(bob, now)) << "he has logged out";
    EXPECT_FALSE(same.find(ann, now + std::chrono::hours(1)));
    console::Sessions others(std::chrono::hours(1));
    others.recall(kept, "others may", now);
    EXPECT_FALSE(others.find(ann, now));
    console::Sessions late(std::chrono::hours(1));
    late.recall(kept, "these may", now + std::chrono::hours(1));
    EXPECT_FALSE(late.find(ann, now));
}

TEST(ConsoleSettings, WhoMayLogInChangesWithTokensUsersAndRoles) {
    std::set<std::string> seen;
    for (const Json& options :
         {Json::object(), Json{{"token", kToken}}, Json{{"read_token", kToken}}, Json{{"token", kReadToken}},
          Json{{"users", {{"ann", kHash}}}}, Json{{"users", {{"bob", kHash}}}},
          Json{{"users", {{"ann", {{"password", kHash}, {"role", "read"}}}}}}})
        seen.insert(console_settings(options).who_may());
    EXPECT_EQ(seen.size(), 7u);
    EXPECT_EQ(console_settings({{"token", kToken}}).who_may(),
              console_settings({{"token", kToken}, {"interval", 5}}).who_may());
}

TEST_F(ConsoleTest, BehindTlsTheCookieIsForTlsAlone) {
    set_up({{"token", kToken}});
    headers["origin"] = "https://127.0.0.1:8080";
    EXPECT_THAT(header(post("/api/v1/login", {{"token", kToken}}), "Set-Cookie"), HasSubstr("; Secure"));
}

TEST_F(ConsoleTest, AWrongLoginTellsNothing) {
    set_up({{"users", {{"ann", kHash}}}, {"token", kToken}});
    const auto wrong = post("/api/v1/login", {{"user", "ann"}, {"password", "x"}});
    EXPECT_EQ(wrong.status, 401);
    EXPECT_EQ(header(wrong, "Set-Cookie"), "");
    const auto unknown = post("/api/v1/login", {{"user", "bob"}, {"password", "correct horse"}});
    EXPECT_EQ(unknown.body, wrong.body);
    EXPECT_EQ(backend.checked, 2) << "a name that there is not takes as long";
    EXPECT_EQ(post("/api/v1/login", {{"token", "a-token-to-operatf"}}).status, 401);
    EXPECT_EQ(post("/api/v1/login", {{"user", 5}}).status, 401);
    backend.is_busy = true;
    EXPECT_EQ(post("/api/v1/login", {{"user", "bob"}, {"password", "x"}}).status, 503);
}

TEST_F(ConsoleTest, LoginsAreThrottledByAddress) {
    set_up({{"users", {{"ann", kHash}}}});
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(post("/api/v1/login", {{"user", "ann"}, {"password", "x"}}).status, 401);
    const auto soon = post("/api/v1/login", {{"user", "ann"}, {"password", "correct horse"}});
    EXPECT_EQ(soon.status, 429);
    EXPECT_EQ(header(soon, "Retry-After"), "1");
    peer = "10.0.0.9";
    EXPECT_EQ(post("/api/v1/login", {{"user", "ann"}, {"password", "x"}}).status, 401);
    peer = "127.0.0.1";
    now += seconds(1);
    EXPECT_EQ(post("/api/v1/login", {{"user", "ann"}, {"password", "correct horse"}}).status, 200);
    EXPECT_EQ(post("/api/v1/login", {{"user", "ann"}, {"password", "x"}}).status, 401) << "a success forgets";
}

TEST_F(ConsoleTest, WhoHasOnePasswordDoesNotGetToGuessAnotherForEver) {
    set_up({{"users", {{"ann", kHash}, {"eve", {{"password", kHash}, {"role", "read"}}}}}});
    const auto log_in = [this](const char* user, const char* password) {
        return post("/api/v1/login", {{"user", user}, {"password", password}}).status;
    };
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(log_in("ann", "x"), 401);
        EXPECT_EQ(log_in("eve", "correct horse"), 200);
    }
    EXPECT_EQ(log_in("ann", "x"), 429);
    EXPECT_EQ(log_in("eve", "correct horse"), 200) << "she has done nothing wrong in her own name";
    EXPECT_THAT(parts->warned, SizeIs(5));
}

TEST(ConsoleThrottle, ThePauseDoublesUpToAMinuteAndIsForgotten) {
    Throttle throttle;
    console::Time now{std::chrono::hours(1)};
    for (int i = 0; i < 5; ++i)
        EXPECT_FALSE(throttle.login("10.0.0.1", "ann", now)) << "the first ones are free";
    std::vector<long long> pauses;
    for (int i = 0; i < 8; ++i) {
        const auto wait = throttle.login("10.0.0.1", "ann", now);
        ASSERT_TRUE(wait);
        pauses.push_back(wait->count());
        now += *wait;
        EXPECT_FALSE(throttle.login("10.0.0.1", "ann", now));
    }
    EXPECT_THAT(pauses, ElementsAre(1, 2, 4, 8, 16, 32, 60, 60));
    EXPECT_TRUE(throttle.login("10.0.0.1", "ann", now + seconds(59)));
    EXPECT_FALSE(throttle.login("10.0.0.1", "ann", now + std::chrono::minutes(11)));
    EXPECT_FALSE(throttle.login("10.0.0.1", "ann", now + std::chrono::minutes(11)));
}

TEST(ConsoleThrottle, ANetworkOfIpv6IsOneAndTheTableIsBounded) {
    Throttle throttle;
    const console::Time now{std::chrono::hours(1)};
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(throttle.login("2001:db8::" + std::to_string(i), "ann", now));
    EXPECT_TRUE(throttle.login("2001:db8::ffff", "ann", now));
    for (int i = 0; i < 5000; ++i) throttle.login("address " + std::to_string(i), "ann", now + seconds(i));
    EXPECT_LE(throttle.remembered(), 4096u);
}

TEST(ConsoleThrottle, AnIpv4AddressOnAListenerOfIpv6IsItselfAndNotAllOfThem) {
    Throttle throttle;
    const console::Time now{std::chrono::hours(1)};
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(throttle.login("::ffff:10.0.0.1", "ann", now));
    EXPECT_TRUE(throttle.login("::ffff:10.0.0.1", "ann", now));
    EXPECT_TRUE(throttle.login("10.0.0.1", "ann", now)) << "the same one";
    EXPECT_FALSE(throttle.login("::ffff:10.0.0.2", "ann", now));
    EXPECT_FALSE(throttle.login("::1", "ann", now));
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(throttle.login("fe80::1%eth0", "ann", now));
    EXPECT_TRUE(throttle.login("fe80::2%eth0", "ann", now));
}

TEST(ConsoleThrottle, ManyNamesFromOneAddressAreCountedTogether) {
    Throttle throttle;
    const console::Time now{std::chrono::hours(1)};
    const auto login = [&](int i) { return throttle.login("10.0.0.1", "user" + std::to_string(i), now); };
    for (int i = 0; i < 20; ++i) EXPECT_FALSE(login(i));
    EXPECT_TRUE(login(20));
    EXPECT_FALSE(throttle.wrong_token("10.0.0.1", now)) << "those of tokens are others";
    throttle.succeeded("10.0.0.1", "user20");
    EXPECT_TRUE(login(20)) << "nothing of it was that one's";
    throttle.succeeded("10.0.0.1", "user19");
    EXPECT_FALSE(login(20));
    EXPECT_TRUE(login(21));
}

// ---- roles ----

TEST_F(ConsoleTest, WhoMayReadChangesNothing) {
    set_up({{"token", kToken}, {"read_token", kReadToken}});
    bearer(kReadToken);
    EXPECT_EQ(get("/api/v1/watchers").status, 200);
    EXPECT_EQ(post("/api/v1/commands/list").status, 200);
    EXPECT_EQ(post("/api/v1/commands/LIST").status, 200);
    backend.calls.clear();
    for (const char* command : {"stop", "STOP", "added_by_a_plugin", "nothing"})
        EXPECT_EQ(post(std::string("/api/v1/commands/") + command).status, 403) << command;
    for (const auto& call : backend.calls) EXPECT_EQ(call.command, "commands");
}

TEST_F(ConsoleTest, WhoMayReadSeesNoEnvironment) {
    set_up({{"token", kToken}, {"read_token", kReadToken}});
    backend.answers["options"] = FakeBackend::ok({{"options", {{"cmd", "x"}, {"env", {{"SECRET", "abc"}}}}}});
    bearer(kReadToken);
    EXPECT_EQ(json(get("/api/v1/watchers/web")).at("options").at("env").at("SECRET"), "(hidden)");
    EXPECT_EQ(json(post("/api/v1/commands/options", {{"name", "web"}})).at("options").at("env").at("SECRET"),
              "(hidden)");
    bearer(kToken);
    EXPECT_EQ(json(get("/api/v1/watchers/web")).at("options").at("env").at("SECRET"), "abc");
}

TEST_F(ConsoleTest, WhoMayReadSeesNoSecretsByAnyOtherWay) {
    const Json settable{{"env", {{"type", "any"}, {"value", {{"SECRET", "abc"}}}}}};
    for (const bool allow_add : {false, true}) {
        set_up({{"token", kToken}, {"read_token", kReadToken}, {"allow_add", allow_add}});
        backend.answers["options"] =
            FakeBackend::ok({{"options", {{"env", {{"SECRET", "abc"}}}}}, {"settable", settable}});
        bearer(kReadToken);
        const auto shown = post("/api/v1/commands/options", {{"name", "web"}, {"settable", true}});
        EXPECT_EQ(shown.status, 200);
        EXPECT_THAT(shown.body, Not(HasSubstr("abc")));
        backend.calls.clear();
        for (const Json& yes : {Json(true), Json(1), Json("yes"), Json::array({0})})
            EXPECT_EQ(post("/api/v1/commands/options", {{"name", "web"}, {"secrets", yes}}).status, 403)
                << yes;
        for (const auto& call : backend.calls) EXPECT_EQ(call.command, "commands");
        EXPECT_EQ(post("/api/v1/commands/options", {{"name", "web"}, {"secrets", false}}).status, 200);
    }
    backend.answers["options"] = FakeBackend::ok({{"options", {{"env", "SECRET=abc"}}}});
    EXPECT_THAT(get("/api/v1/watchers/web").body, Not(HasSubstr("abc"))) << "as another Circus may have it";
}

TEST_F(ConsoleTest, WhoMayReadGivesNoCommandOfWhichCircusdSaysThatItTakesMore) {
    set_up({{"token", kToken}, {"read_token", kReadToken}});
    backend.answers["commands"] = FakeBackend::ok({{"commands",
                                                    {{"list", {{"changes", false}, {"role", "read"}}},
                                                     {"peek", {{"changes", false}, {"role", "operate"}}}}}});
    bearer(kReadToken);
    EXPECT_EQ(post("/api/v1/commands/list").status, 200);
    EXPECT_EQ(post("/api/v1/commands/peek").status, 403);
}

TEST_F(ConsoleTest, ReadOnlyIsForEverybody) {
    set_up({{"read_only", true}, {"token", kToken}});
    bearer(kToken);
    EXPECT_EQ(get("/api/v1/watchers").status, 200);
    EXPECT_EQ(post("/api/v1/commands/stop").status, 403);
    EXPECT_EQ(json(get("/api/v1/session")).at("role"), "read");
    headers.clear();
    take_session(post("/api/v1/login", {{"token", kToken}}));
    EXPECT_EQ(post("/api/v1/commands/stop").status, 403);
}

TEST_F(ConsoleTest, AUserHasItsRole) {
    set_up({{"users", {{"eve", {{"password", kHash}, {"role", "read"}}}}}});
    take_session(post("/api/v1/login", {{"user", "eve"}, {"password", "correct horse"}}));
    EXPECT_EQ(json(get("/api/v1/session")).at("role"), "read");
    EXPECT_EQ(post("/api/v1/commands/stop").status, 403);
}

TEST_F(ConsoleTest, WhatRunsIsNotSaidHereUnlessAllowed) {
    set_up({{"token", kToken}});
    bearer(kToken);
    EXPECT_EQ(post("/api/v1/commands/add", {{"name", "x"}, {"cmd", "sh"}}).status, 403);
    EXPECT_EQ(post("/api/v1/commands/Add", {{"name", "x"}, {"cmd", "sh"}}).status, 403);
    for (const char* option :
         {"cmd", "args", "env", "uid", "hooks", "hooks.before_start", "stdout_stream.filename"})
        EXPECT_EQ(post("/api/v1/commands/set", {{"name", "x"}, {"options", {{"priority", 1}, {option, "x"}}}})
                      .status,
                  403)
            << option;
    EXPECT_THAT(backend.calls, IsEmpty());
    EXPECT_EQ(post("/api/v1/commands/set", {{"name", "x"}, {"options", {{"numprocesses", 2}}}}).status, 200);
    set_up({{"token", kToken}, {"allow_add", true}});
    EXPECT_EQ(post("/api/v1/commands/add", {{"name", "x"}, {"cmd", "sh"}}).status, 200);
    EXPECT_EQ(post("/api/v1/commands/set", {{"name", "x"}, {"options", {{"cmd", "x"}}}}).status, 200);
}

TEST_F(ConsoleTest, WhatTakesTheRoleAdminIsNobodysUnlessAllowed) {
    const std::vector<std::pair<const char*, Json>> all{{"upgrade", {{"binary", "/tmp/x"}}},
                                                        {"Upgrade", Json::object()},
                                                        {"quit", Json::object()},
                                                        {"rm", {{"name", "web"}}},
                                                        {"ipython", Json::object()},
                                                        {"get", {{"name", "web"}, {"secrets", true}}},
                                                        {"stop", {{"name", "web"}, {"secrets", true}}}};
    const auto give = [&](int status) {
        for (const auto& [command, properties] : all) {
            const auto answer = post(std::string("/api/v1/commands/") + command, properties);
            EXPECT_EQ(answer.status, status) << command;
            EXPECT_EQ(answer.body.find("allow_add = true") != std::string::npos, status == 403) << command;
        }
    };
    set_up({{"token", kToken}});
    bearer(kToken);
    give(403);
    EXPECT_THAT(backend.calls, IsEmpty());
    EXPECT_THAT(parts->told, IsEmpty());
    set_up({{"token", kToken}, {"allow_add", true}});
    give(200);
    set_up({{"token", kToken}, {"allow_add", true}, {"read_only", true}});
    for (const auto& [command, properties] : all)
        EXPECT_EQ(post(std::string("/api/v1/commands/") + command, properties).status, 403) << command;
}

TEST_F(ConsoleTest, WhoChangedSomethingIsWrittenDownWithHowItEnded) {
    set_up({{"token", kToken}, {"users", {{"ann", kHash}}}});
    backend.answers["stop"] = FakeBackend::error(CIRCUS_E_INVALID, "program web not found");
    peer = "10.0.0.1";
    bearer(kToken);
    post("/api/v1/commands/incr", {{"name", "web"}, {"nb", 2}});
    post("/api/v1/commands/list", {{"name", "web"}});
    post("/api/v1/commands/gauge", {{"watcher", "web"}});
    get("/api/v1/watchers/web");
    headers.clear();
    take_session(post("/api/v1/login", {{"user", "ann"}, {"password", "correct horse"}}));
    post("/api/v1/commands/stop", {{"name", "web"}});
    post("/api/v1/commands/reloadconfig");
    EXPECT_THAT(parts->told, ElementsAre("console: (token) from 10.0.0.1: incr web: ok",
                                         "console: ann from 10.0.0.1: stop web: error: program web not found",
                                         "console: ann from 10.0.0.1: reloadconfig: ok"));
    set_up();
    headers = {{"x-circus-csrf", json(get("/api/v1/session")).at("csrf").get<std::string>()}};
    post("/api/v1/commands/incr", {{"name", "web"}});
    EXPECT_THAT(parts->told, ElementsAre("console: (not asked) from 10.0.0.1: incr web: ok"));
}

TEST_F(ConsoleTest, ABodyThatIsNestedTooDeepForAnybodysStackIsRefused) {
    set_up({{"token", kToken}, {"read_token", kReadToken}});
    bearer(kReadToken);
    Request deep = request("POST", "/api/v1/commands/list",
                           R"({"name": )" + std::string(130000, '[') + std::string(130000, ']') + "}");
    deep.headers.emplace_back("content-type", "application/json");
    EXPECT_EQ(ask(deep).status, 400);
    deep.target = "/api/v1/login";
    EXPECT_EQ(ask(deep).status, 400);
    EXPECT_THAT(backend.calls, IsEmpty());
    deep.target = "/api/v1/commands/list";
    deep.body = R"({"name": )" + std::string(100, '[') + std::string(100, ']') + "}";
    EXPECT_EQ(ask(deep).status, 200);
}

TEST_F(ConsoleTest, WhatMayBeChangedIsWhatCircusdCanSetAndTheConsoleAllows) {
    set_up({{"token", kToken}, {"read_token", kReadToken}});
    const auto option = [](const char* effect, Json value) {
        return Json{{"type", "any"}, {"effect", effect}, {"value", std::move(value)}};
    };
    const Json settable{{"cmd", option("respawn", "x")},
                        {"critical", option("live", false)},
                        {"max_age", option("respawn", 0)},
                        {"numprocesses", option("count", 2)},
                        {"stop_command", option("live", "")}};
    backend.answers["options"] = FakeBackend::ok({{"options", {{"cmd", "x"}}}, {"settable", settable}});
    const auto of = [this](const char* token) {
        bearer(token);
        return json(get("/api/v1/watchers/web"));
    };
    const Json seen = of(kToken);
    EXPECT_EQ(seen.at("editable"), Json({{"critical", settable["critical"]},
                                         {"max_age", settable["max_age"]},
                                         {"numprocesses", settable["numprocesses"]}}));
    EXPECT_EQ(seen.at("options"), Json({{"cmd", "x"}}));
    EXPECT_FALSE(seen.contains("settable"));
    EXPECT_EQ(of(kReadToken).at("editable"), Json::object());
    set_up({{"token", kToken}, {"allow_add", true}});
    EXPECT_EQ(of(kToken).at("editable"), settable);
}

TEST_F(ConsoleTest, OfACircusThatDoesNotSayTheUsualOptionsMayBeChanged) {
    set_up({{"token", kToken}});
    backend.answers["options"] =
        FakeBackend::ok({{"options", {{"cmd", "x"}, {"max_age", 0}, {"numprocesses", 2}, {"uid", 0}}}});
    bearer(kToken);
    EXPECT_EQ(json(get("/api/v1/watchers/web")).at("editable"),
              Json({{"max_age", {{"effect", "respawn"}}}, {"numprocesses", {{"effect", "live"}}}}));
    backend.answers["options"] = FakeBackend::error(CIRCUS_E_INVALID, "program web not found");
    EXPECT_EQ(get("/api/v1/watchers/web").status, 404);
}

}  // namespace
}  // namespace console
