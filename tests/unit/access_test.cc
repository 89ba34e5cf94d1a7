// Who may do what: tables, and the words of the log.
#include "control/access.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "control/audit.hpp"
#include "control/command_table.hpp"
#include "control/request.hpp"
#include "control/secrets.hpp"

namespace circus::control {
namespace {

using model::Role;
using namespace std::chrono_literals;

config::CircusConfig configured() {
    config::CircusConfig circus;
    circus.allow_users = {
        {{"deploy", 33}, Role::Operate}, {{"1001", 1001}, Role::Read}, {{"boss", 1002}, Role::Admin}};
    return circus;
}

TEST(Access, WhoAUserIsDecidesWhatHeMayDo) {
    config::CircusConfig owned = configured();
    owned.endpoint_owner = config::UserRef{"app", 44};
    struct Row {
        uid_t uid;
        bool owner;
        Role role;
    };
    for (const Row& row :
         {Row{0, false, Role::Admin}, Row{500, false, Role::Admin}, Row{33, false, Role::Operate},
          Row{1001, false, Role::Read}, Row{1002, false, Role::Admin}, Row{44, false, Role::None},
          Row{44, true, Role::Admin}, Row{65534, false, Role::None},
          Row{static_cast<uid_t>(-1), false, Role::None}})
        EXPECT_EQ(role_of_user(row.uid, row.owner ? owned : configured(), 500), row.role) << row.uid;
}

TEST(Access, EndpointOwnerHasLimitsAndRootHasNone) {
    config::CircusConfig owned = configured();
    owned.endpoint_owner = config::UserRef{"app", 44};
    const auto is_limited = [&owned](uid_t uid, uid_t daemon) {
        const sys::Peer peer{.uid = uid, .pid = 12};
        return caller_of(&peer, owned, daemon).is_limited;
    };
    EXPECT_TRUE(is_limited(44, 0));
    EXPECT_FALSE(is_limited(44, 44));  // the daemon's own user
    EXPECT_FALSE(is_limited(0, 500));
    EXPECT_FALSE(is_limited(1002, 0));
}

TEST(Access, OfTwoRolesOfOneUserTheGreaterCounts) {
    config::CircusConfig circus;
    circus.allow_users = {{{"a", 7}, Role::Operate}, {{"7", 7}, Role::Read}};
    EXPECT_EQ(role_of_user(7, circus, 0), Role::Operate);
}

TEST(Access, WhoIsNotKnownMayDoNothing) {
    const sys::Peer gone{.address = "127.0.0.1:4", .unknown = "it is gone"};
    for (const auto& caller : {caller_of(nullptr, configured(), 0), caller_of(&gone, configured(), 0)}) {
        EXPECT_EQ(caller.role, Role::None);
        const Status may = check_role(caller, Role::Read);
        ASSERT_FALSE(may);
        EXPECT_EQ(may.error().code, static_cast<int>(Errno::Os));
        EXPECT_TRUE(may.error().text.starts_with("permission denied: it is not known who asks: "));
    }
}

TEST(Access, ACommandTakesItsRowsRole) {
    for (const auto& [name, role] :
         std::initializer_list<std::pair<const char*, Role>>{{"list", Role::Read},
                                                             {"logs", Role::Read},
                                                             {"incr", Role::Operate},
                                                             {"reload", Role::Operate},
                                                             {"signal", Role::Operate},
                                                             {"add", Role::Admin},
                                                             {"set", Role::Admin},
                                                             {"quit", Role::Admin}})
        EXPECT_EQ(role_needed(*find_command(name), Json::object()), role) << name;
}

TEST(Access, WhatChangesSomethingIsForNobodyWhoMayOnlyLook) {
    for (const Command& command : commands()) {
        EXPECT_NE(command.role, Role::None) << command.name;
        const bool looks_only = !command.changes || command.name == "gauge";
        EXPECT_TRUE(looks_only || command.role >= Role::Operate) << command.name;
    }
}

TEST(Access, APropertyMayTakeMoreThanItsCommand) {
    const Command& gauge = *find_command("gauge");
    EXPECT_EQ(role_needed(gauge, {{"watcher", "w"}, {"name", "n"}}), Role::Read);
    EXPECT_EQ(role_needed(gauge, {{"watcher", "w"}, {"name", "n"}, {"value", 0}}), Role::Operate);
    const Command& options = *find_command("options");
    EXPECT_EQ(role_needed(options, {{"name", "w"}, {"secrets", false}}), Role::Read);
    EXPECT_EQ(role_needed(options, {{"name", "w"}, {"secrets", true}}), Role::Admin);
}

TEST(Access, ARefusalNamesTheOneAndTheRemedy) {
    const sys::Peer peer{.uid = 65534, .pid = 12};
    EXPECT_EQ(
        check_role(caller_of(&peer, configured(), 0), Role::Read).error().text,
        "permission denied: uid 65534, pid 12 is not among those who may command circusd (allow_users in "
        "[circus])");
    const sys::Peer deploy{.uid = 33, .address = "127.0.0.1:5"};
    EXPECT_EQ(check_role(caller_of(&deploy, configured(), 0), Role::Admin).error().text,
              "permission denied: this takes the role admin, and uid 33 (deploy), 127.0.0.1:5 has operate");
}

TEST(Secrets, TheyAreKnownByNameOrShape) {
    for (const char* name :
         {"DB_PASSWORD", "password2",       "MY_SECRET_X",        "GITHUB_TOKEN", "API_KEY",    "key",
          "AWS.KEY.ID",  "SMTP_PASS",       "GOOGLE_CREDENTIALS", "APIKEY",       "PASSPHRASE", "MYSQLPASSWD",
          "MYSQL_PWD",   "DBPWD",           "pwd.of.mysql",       "SSHPASS",      "REDIS_AUTH", "AUTH",
          "PRIVATEKEY",  "SSH_PRIVATE_KEY", "MyPrivateKeyPem"})
        EXPECT_TRUE(is_secret(name, "x")) << name;
    for (const char* name : {"PATH", "MONKEY", "KEYBOARD", "COMPASS", "HOME", "PASSENGER", "PWD", "OLDPWD",
                             "AUTHOR", "OAUTHLIB", "PWDX"})
        EXPECT_FALSE(is_secret(name, "x")) << name;
    EXPECT_FALSE(is_secret("PASSWORD", ""));
    for (const char* url : {"postgres://me:word@db:5432/x", "https://token@sentry.example/1",
                            "http://a/,redis://:word@b/", "ssh://me:word@host"})
        EXPECT_TRUE(is_secret("DATABASE_URL", url)) << url;
    for (const char* url : {"postgres://db:5432/x", "http://host/me@host", "redis://host/p?u=a:b@c",
                            "me:word@host", "http://@host/", "git+ssh://git@host/x"})
        EXPECT_FALSE(is_secret("DATABASE_URL", url)) << url;
    EXPECT_TRUE(is_secret("PWD", "http://me:word@host/"));
}

TEST(Secrets, WhatWasMaskedComesBackAsItWas) {
    const Json now = {{"env", {{"TOKEN", "t"}, {"A", "1"}}}, {"cmd", "x"}, {"redis_observer.password", "p"}};
    Json shown = now;
    mask_secrets(shown);
    EXPECT_EQ(
        shown,
        Json({{"env", {{"TOKEN", kMask}, {"A", "1"}}}, {"cmd", "x"}, {"redis_observer.password", kMask}}));
    Json sent = {{"env", {{"TOKEN", kMask}, {"A", "2"}, {"OTHER_TOKEN", kMask}}}};
    unmask_secrets(sent, now);
    EXPECT_EQ(sent, Json({{"env", {{"TOKEN", "t"}, {"A", "2"}}}}));
}

TEST(Audit, ALineHasWhatWasAskedAndNoValueOfAnOption) {
    EXPECT_EQ(audit_text("incr", {{"name", "web"}, {"nb", 2}, {"waiting", true}}),
              "incr web nb=2 waiting=true");
    EXPECT_EQ(audit_text("set", {{"name", "web"}, {"options", {{"env", {{"PASSWORD", "x"}}}, {"nice", 3}}}}),
              "set web options: env, nice");
    EXPECT_EQ(audit_text("add", {{"name", "w"}, {"cmd", "run --password x"}, {"args", "-p x"}}), "add w");
    EXPECT_LE(audit_text("stop", {{"name", std::string(5000, 'x')}}).size(), 310U);
}

TEST(Audit, ALineHasWhoAndTheResult) {
    const Caller root{Role::Admin, "root, pid 5", {}};
    EXPECT_EQ(audit_line(root, "stop web", Json::object()), "audit: root, pid 5: stop web: ok");
    EXPECT_EQ(audit_line(root, "stop web", Json::object(), true), "audit: root, pid 5: stop web: begun");
    EXPECT_EQ(audit_line(root, "stop web", Error{"no", 3}), "audit: root, pid 5: stop web: error: no");
}

TEST(Audit, OfManyRefusalsAFewAreTold) {
    RefusalLog log;
    const Caller nobody{Role::None, "uid 9", {}};
    TimePoint now{};
    int told = 0;
    for (int i = 0; i < 1000; ++i) told += log.line(nobody, "quit", "no", now).empty() ? 0 : 1;
    EXPECT_EQ(told, 10);
    EXPECT_EQ(log.line(nobody, "quit", "no", now + 10s),
              "(990 more refusals since the last of these lines) refused: uid 9: quit: no");
}

}  // namespace
}  // namespace circus::control
