// Asks a Redis server every loop_rate whether it is there, what it says of itself (INFO), and what else is to
// be measured, such as the length of a queue that workers are scaled by.
//
// One connection, made at the first look and again when it was lost. A look is PING, INFO and the commands of
// `gauges`, sent together; the answer to PING is the latency. Whatever is bad closes the connection, so that
// no answer of one look is taken for one of the next.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <circus/observer.hpp>

#include "connection.hpp"
#include "lookup.hpp"
#include "url.hpp"

namespace {

using circus::Json;
using redis_observer::Connection;
using redis_observer::Lookup;
using redis_observer::Url;
using Words = std::vector<std::string>;

constexpr const char* kOptions =
    R"({
    "redis_url": {"type": "string", "default": "redis://localhost:6379/0",
                  "doc": "redis://[USER:PASSWORD@]HOST:PORT/DB or unix:///PATH?db=DB"},
    "timeout": {"type": "number", "default": 5, "min": 0.01, "doc": "seconds for one look, all in all"},
    "gauges": {"type": "table", "default": {}, "doc": "measured at each look: NAME = \"LLEN KEY\""},
    "restart_on_timeout": {"type": "string", "doc": "a watcher that is restarted when Redis is down"},
    )" CIRCUS_OBSERVER_OPTIONS("redis_observer") "}";

constexpr const char* kInfoCommand = "INFO";

// The figures of INFO that Circus tells.
constexpr std::array<std::string_view, 22> kInfo{"pubsub_channels",
                                                 "connected_slaves",
                                                 "lru_clock",
                                                 "connected_clients",
                                                 "keyspace_misses",
                                                 "used_memory",
                                                 "used_memory_peak",
                                                 "total_commands_processed",
                                                 "used_memory_rss",
                                                 "total_connections_received",
                                                 "pubsub_patterns",
                                                 "used_cpu_sys",
                                                 "used_cpu_sys_children",
                                                 "blocked_clients",
                                                 "used_cpu_user",
                                                 "client_biggest_input_buf",
                                                 "mem_fragmentation_ratio",
                                                 "expired_keys",
                                                 "evicted_keys",
                                                 "client_longest_output_list",
                                                 "uptime_in_seconds",
                                                 "keyspace_hits"};

std::optional<double> number_in(std::string_view text) {
    double value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = failed == std::errc() && end == text.data() + text.size() && std::isfinite(value);
    return whole ? std::optional(value) : std::nullopt;
}

std::string_view text_of(const redisReply& reply) {
    return reply.str ? std::string_view(reply.str, reply.len) : std::string_view();
}

// An integer, or a text that is a number (GET).
std::optional<double> number_of(const redisReply& reply) {
    if (reply.type == REDIS_REPLY_INTEGER) return static_cast<double>(reply.integer);
    return reply.type == REDIS_REPLY_STRING ? number_in(text_of(reply)) : std::nullopt;
}

class RedisObserver final : public circus::Observer {
  public:
    RedisObserver(circus::Host host, Json config)
        : Observer(host, std::move(config), {"redis_observer", "restart_on_timeout", "redis_stats"}) {}

  private:
    void prepare() override {
        try {
            url_ = redis_observer::parse_url(config().at("redis_url").get<std::string>());
        } catch (const std::invalid_argument& error) {
            // Without the URL itself: it may have a password.
            throw circus::Failure(CIRCUS_E_INVALID, std::string("the option \"redis_url\": ") + error.what());
        }
        for (const auto& [name, command] : config().at("gauges").items()) {
            Words words;
            if (command.is_string()) {
                std::istringstream in(command.get<std::string>());
                for (std::string word; in >> word;) words.push_back(word);
            }
            if (words.empty()) throw wrong("gauges", name + " is no command; write \"LLEN KEY\"");
            measured_.emplace(name, std::move(words));
        }
        connection_.emplace(
            host(),
            [this](int fd, std::uint32_t events, Connection::Ready ready) {
                return watch(fd, events, std::move(ready));
            },
            [this](const std::string& why) { lost(why); });
        lookup_.emplace(
            [this](TaskFn task) { circus::guard_task(host().raw(), [&] { post(std::move(task)); }); });
    }

    void look() override {
        if (connection_->is_open()) return ask();
        addresses_.clear();
        if (!url_.path.empty()) return greet(connection_->open_path(url_.path));
        if (Lookup::is_numeric(url_.host)) {
            addresses_ = {url_.host};
            return connect();
        }
        if (lookup_->is_busy()) return fail(url_.host + ": the name server has not answered yet");
        const bool begun = lookup_->begin(url_.host, [this](Lookup::Found found) {
            if (found.addresses.empty()) return fail(url_.host + ": " + found.error);
            addresses_.assign(found.addresses.rbegin(), found.addresses.rend());
            connect();
        });
        if (!begun) fail("no thread to look up " + url_.host);
    }
    void abandon() override {
        lookup_->forget();
        connection_->close();
    }
    void finish() override { abandon(); }

    // Tries the last of addresses_, which are those that are left.
    void connect() {
        std::string why = "no address";
        while (!addresses_.empty()) {
            const std::string address = std::exchange(addresses_.back(), {});
            addresses_.pop_back();
            why = connection_->open(address, url_.port);
            if (why.empty()) break;
        }
        greet(why);
    }
    void greet(const std::string& why) {
        if (!why.empty()) return fail(why);
        if (!url_.password.empty())
            must(url_.user.empty() ? Words{"AUTH", url_.password} : Words{"AUTH", url_.user, url_.password});
        if (url_.db != 0) must({"SELECT", std::to_string(url_.db)});
        ask();
    }
    void must(const Words& words) {
        connection_->send(words, [this, what = words.front()](const redisReply& reply) {
            if (reply.type == REDIS_REPLY_ERROR) fail(what + ": " + std::string(text_of(reply)));
        });
    }

    void ask() {
        left_ = 1 + measured_.size();
        asked_ = host().now();
        connection_->send({"PING"}, [this](const redisReply& reply) {
            latency_ = host().now() - asked_;
            if (reply.type == REDIS_REPLY_ERROR) fail("PING: " + std::string(text_of(reply)));
        });
        connection_->send({kInfoCommand}, [this](const redisReply& reply) {
            if (is_right(kInfoCommand, reply)) tell_info(text_of(reply));
            next_step();
        });
        for (const auto& [name, words] : measured_)
            connection_->send(words, [this, &name = name](const redisReply& reply) {
                if (is_right(name, reply)) tell(name, number_of(reply));
                next_step();
            });
    }
    void next_step() {
        if (--left_ == 0) good(latency_);
    }

    // A figure that cannot be had is no reason to call the server down: its gauge grows old.
    bool is_right(const std::string& what, const redisReply& reply) {
        if (reply.type != REDIS_REPLY_ERROR) return true;
        complain(what, std::string(text_of(reply)));
        return false;
    }
    void complain(const std::string& what, const std::string& why) {
        if (complained_.insert(what).second) host().warning(label() + ": " + what + ": " + why);
    }
    void tell(const std::string& name, std::optional<double> value) {
        if (!value) return complain(name, "the answer is no number");
        complained_.erase(name);
        figure(name, *value);
    }
    void tell_info(std::string_view info) {
        complained_.erase(kInfoCommand);
        const std::set<std::string_view> wanted(kInfo.begin(), kInfo.end());
        while (!info.empty()) {
            const auto end = std::min(info.find("\r\n"), info.size());
            const std::string_view line = info.substr(0, end);
            info.remove_prefix(std::min(end + 2, info.size()));
            const auto colon = line.find(':');
            if (colon == line.npos || !wanted.contains(line.substr(0, colon))) continue;
            if (const auto value = number_in(line.substr(colon + 1)))
                figure(std::string(line.substr(0, colon)), *value);
        }
    }

    void lost(const std::string& why) {
        // Not the one that the server closed in between: another address, or another connection.
        if (!connection_->is_connected() && !addresses_.empty()) return connect();
        fail(why);
    }
    void fail(const std::string& why) {
        connection_->close();
        bad(why, {{"server", url_.path.empty() ? url_.host + ":" + std::to_string(url_.port) : url_.path}});
    }

    Url url_;
    std::map<std::string, Words> measured_;  // by gauge
    std::optional<Connection> connection_;
    std::optional<Lookup> lookup_;
    Words addresses_;
    std::size_t left_ = 0;  // answers of this look
    std::chrono::nanoseconds asked_{};
    Milliseconds latency_{};
    std::set<std::string> complained_;
};

}  // namespace

CIRCUS_PLUGIN(RedisObserver, "redis_observer", "1.0",
              "asks a Redis server whether it is there, and measures its queues", kOptions)
