// What tests of the console share: its settings with the defaults filled in, and a backend whose answers are
// at hand.
#pragma once

#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "console/router.hpp"

namespace console {

// Of "correct horse", as Python's hashlib.scrypt has it.
inline constexpr const char* kHash =
    "$scrypt$ln=10,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$6g3umF+uVrJsObaTZhIbbTlgrvOEFcCItdwSjtPF67M";
inline constexpr const char* kToken = "a-token-to-operate";
inline constexpr const char* kReadToken = "a-token-that-only-reads";

inline Settings console_settings(const Json& given = Json::object()) {
    Json config{{"listen", "127.0.0.1:8080"},
                {"users", Json::object()},
                {"read_only", false},
                {"allow_add", false},
                {"hosts", Json::array()},
                {"endpoints", Json::object()},
                {"interval", 1.0},
                {"session_hours", 12}};
    config.update(given);
    return Settings::parse(config);
}

class FakeBackend final : public console::Backend, public console::Passwords {
  public:
    struct Call {
        std::string command;
        Json properties;
        bool operator==(const Call&) const = default;
    };
    void command(const std::string& name, const Json& properties, Answered answered) override {
        calls.push_back({name, properties});
        waiting_.push_back([this, name, answered] {
            try {
                answered(answers.contains(name) ? answers.at(name) : ok());
            } catch (const std::exception& wrong) {
                thrown.push_back(wrong.what());  // which the server writes down
            }
        });
    }
    bool check_password(const console::PasswordHash& hash, const std::string& password,
                        std::function<void(bool)> done) override {
        if (is_busy) return false;
        ++checked;
        waiting_.push_back([=] { done(hash.is_of(password)); });
        return true;
    }
    void answer_all() {
        while (!waiting_.empty())
            for (const auto& each : std::exchange(waiting_, {})) each();
    }
    static Answer ok(Json fields = Json::object()) {
        fields["status"] = "ok";
        return {CIRCUS_OK, fields};
    }
    static Answer error(circus_status status, const std::string& reason) {
        return {status, {{"status", "error"}, {"reason", reason}}};
    }

    std::map<std::string, Answer> answers;  // by command; else an empty ok
    std::vector<Call> calls;
    std::vector<std::string> thrown;  // by those that were answered
    int checked = 0;
    bool is_busy = false;

  private:
    std::vector<std::function<void()>> waiting_;
};

struct ConsoleTest : ::testing::Test {
    void set_up(const Json& options = Json::object()) {
        parts.emplace(console_settings(options), backend);
        backend.answers["commands"] = FakeBackend::ok({{"commands",
                                                        {{"list", {{"changes", false}}},
                                                         {"options", {{"changes", false}}},
                                                         {"stop", {{"changes", true}}},
                                                         {"added_by_a_plugin", {{"plugin", "x"}}}}}});
    }
    Request request(const std::string& method, const std::string& target, std::string body = {}) {
        Request made{method, target, {{"host", "127.0.0.1:8080"}}, std::move(body), peer};
        for (const auto& [name, value] : headers) made.headers.emplace_back(name, value);
        return made;
    }
    Response ask(const Request& request) {
        std::optional<Response> got;
        parts->router.handle(request, now, [&](Response response) {
            EXPECT_FALSE(got) << "answered twice";
            got = std::move(response);
        });
        backend.answer_all();
        EXPECT_TRUE(got) << "not answered";
        return got.value_or(Response{});
    }
    Response get(const std::string& target) { return ask(request("GET", target)); }
    Response post(const std::string& target, const Json& body = Json::object()) {
        Request made = request("POST", target, body.dump());
        made.headers.emplace_back("content-type", "application/json");
        return ask(made);
    }
    static Json json(const Response& response) { return Json::parse(response.body); }
    static std::string header(const Response& response, const std::string& name) {
        for (const auto& [key, value] : response.headers)
            if (key == name) return value;
        return {};
    }
    void bearer(const std::string& token) { headers["authorization"] = "Bearer " + token; }
    // Takes over the session of a response, as a browser would.
    void take_session(const Response& response) {
        const std::string cookie = header(response, "Set-Cookie");
        headers["cookie"] = cookie.substr(0, cookie.find(';'));
        headers["x-circus-csrf"] = json(response).at("csrf").get<std::string>();
    }

    struct Parts {
        Parts(Settings s, FakeBackend& backend)
            : settings(std::move(s)),
              login(settings, sessions, gate, backend, warn),
              stacks(backend),
              router(settings, gate, login, stacks, tell) {}
        std::vector<std::string> warned, told;
        console::Note warn = [this](const std::string& line) { warned.push_back(line); };
        console::Note tell = [this](const std::string& line) { told.push_back(line); };
        Settings settings;
        console::Sessions sessions{settings.session_time};
        console::Gate gate{settings, sessions, warn};
        console::Login login;
        console::Stacks stacks;
        console::Overview& overview = stacks.own().overview;
        console::Router router;
    };
    FakeBackend backend;
    std::optional<Parts> parts;
    std::map<std::string, std::string> headers;
    std::string peer = "127.0.0.1";
    console::Time now{std::chrono::hours(5)};
};

}  // namespace console
