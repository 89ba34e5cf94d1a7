// A HostTable with a backend that remembers, and what a plugin's callbacks are given.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/text.hpp"
#include "loop/loop.hpp"
#include "plugin/abi_text.hpp"
#include "plugin/host_table.hpp"

namespace circus::plugin {

class FakeBackend final : public Backend {
  public:
    void call(const std::string& command, const std::string&, Reply reply) override {
        calls.push_back(command);
        if (reply) replies.push_back(std::move(reply));
    }
    void publish(const std::string& topic, const std::string& json) override {
        published.push_back(topic + " " + json);
    }
    circus_status declare(Declared, const std::string& name, const std::string&, circus_id id,
                          std::string& why) override {
        if (name == taken) {
            why = "it is taken";
            return CIRCUS_E_CONFLICT;
        }
        declared[id] = name;
        return CIRCUS_OK;
    }
    void retract(Declared, circus_id id) override { declared.erase(id); }
    void set_gauge(const std::string&, const std::string&, double) override {}
    std::optional<Gauge> gauge(const std::string&, const std::string&) override { return std::nullopt; }
    void sink_opened(SinkId sink, circus_status status, const std::string& why) override {
        sinks.push_back(cat("opened ", sink, " ", status, why.empty() ? "" : " ", why));
    }
    void sink_took(SinkId sink, std::size_t count, circus_status status, const std::string& why) override {
        sinks.push_back(cat("took ", sink, " ", count, " ", status, why.empty() ? "" : " ", why));
    }
    void sink_ready(SinkId sink) override { sinks.push_back(cat("ready ", sink)); }
    void keep(const std::string& json) override { state = json; }
    std::string kept() override { return state; }
    void log(log::Level, const std::string& line) override { lines.push_back(line); }

    circus_id id_of(const std::string& name) const {
        for (const auto& [id, each] : declared)
            if (each == name) return id;
        return 0;
    }
    std::string taken, state;
    std::vector<std::string> calls, published, lines, sinks;
    std::vector<Reply> replies;
    std::map<circus_id, std::string> declared;
};

// What a plugin's callback is given.
struct Seen {
    const circus_host* host = nullptr;
    std::vector<std::string> what;
    circus_id to_cancel = 0;
};
inline void on_event(void* user, circus_str topic, circus_str) {
    auto& seen = *static_cast<Seen*>(user);
    seen.what.emplace_back(from_abi(topic));
    if (seen.to_cancel) seen.host->cancel(seen.host, std::exchange(seen.to_cancel, 0));
}
inline void on_reply(void* user, circus_status status, circus_str) {
    static_cast<Seen*>(user)->what.push_back(cat("reply ", status));
}
inline circus_status on_command(void* user, circus_str, circus_token token) {
    auto& seen = *static_cast<Seen*>(user);
    seen.host->complete(seen.host, token, CIRCUS_OK, to_abi("{\"n\": 1}"));
    seen.what.push_back(cat("again ", seen.host->complete(seen.host, token, CIRCUS_OK, to_abi("{}"))));
    return CIRCUS_PENDING;
}

class Host : public testing::Test {
  protected:
    void SetUp() override {
        seen.host = table.raw();
        table.open();
    }
    void turn() {
        loop.run_once(false);
        while (table.deliver(Monotonic::now() + Milliseconds(100))) {
        }
    }
    circus_id subscribe(const char* glob) {
        circus_id id = 0;
        EXPECT_EQ(seen.host->subscribe(seen.host, to_abi(glob), on_event, &seen, &id), CIRCUS_OK);
        return id;
    }

    loop::Loop loop;
    FakeBackend backend;
    HostTable table{loop, backend, "x"};
    Seen seen;
};

}  // namespace circus::plugin
