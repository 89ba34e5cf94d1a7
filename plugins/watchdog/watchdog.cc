// Kills workers that have stopped sending heartbeats, datagrams that tell their pid.
//
// A worker has loop_rate * max_count seconds from its spawn, or from the start of the plugin, to its first
// heartbeat, and from each to the next. Every loop_rate seconds those whose time is over get a `kill`;
// circusd puts new ones in their place. What waits in the socket is read before anybody is judged, so that a
// heartbeat is not late because the daemon was.
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <map>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <circus/plugin.hpp>
#include <circus/values.hpp>

#include "pattern.hpp"

namespace {

using circus::Json;
using watchdog::Pattern;

constexpr const char* kOptions = R"({
    "loop_rate": {"type": "number", "default": 60, "min": 0.1, "doc": "seconds between two looks"},
    "watchers_regex": {"type": "string", "default": ".*",
                       "doc": "whose workers are watched: matched at the beginning of the name, without case"},
    "msg_regex": {"type": "string", "default": "^(?P<pid>.*);(?P<timestamp>.*)$",
                  "doc": "what a heartbeat looks like; the group (?P<pid>…) is the sender's pid"},
    "max_count": {"type": "integer", "default": 3, "min": 1,
                  "doc": "a worker is killed after so many loop_rates without a heartbeat"},
    "ip": {"type": "string", "default": "127.0.0.1", "doc": "the address to listen on, IPv4 or IPv6"},
    "port": {"type": "integer", "default": 1664, "min": 0, "max": 65535, "doc": "0: one that is free"},
    "watchers_stop_signal": {"type": ["integer", "string"],
                             "doc": "what a worker gets; not given: its watcher's stop_signal"},
    "watchers_graceful_timeout": {"type": "number", "min": 0,
                                  "doc": "seconds until SIGKILL; not given: its watcher's graceful_timeout"}
})";

constexpr std::size_t kMessage = 1024;  // of a heartbeat; what is longer is cut, as in Circus
constexpr int kMostMessages = 5000;     // read in one callback

class Watchdog final : public circus::Plugin {
  public:
    static constexpr const char* kNeeds[] = {CIRCUS_EXT_FDS, nullptr};
    using Plugin::Plugin;
    ~Watchdog() override {
        if (fd_ >= 0) ::close(fd_);
    }

    void start() override {
        watchers_.emplace(compiled("watchers_regex", true));
        message_.emplace(compiled("msg_regex", false));
        if (!message_->has_group("pid")) throw bad("msg_regex", "it has no group (?P<pid>…)");
        if (const auto at = config().find("watchers_stop_signal"); at != config().end()) {
            signal_ = circus::signal_of(*at);
            if (!signal_) throw bad("watchers_stop_signal", "no signal; write 15 or \"SIGTERM\"");
        }
        period_ = circus::period_of(config().at("loop_rate").get<double>());
        open();
        readable_ = watch(fd_, CIRCUS_FD_IN, [this](std::uint32_t) { read(); });
        spawned_ = on("watcher.*.spawn", [this](std::string_view, const Json& event) {
            add(event.at("watcher").get<std::string>(), event.at("process_pid"));
        });
        reaped_ = on("watcher.*.reap", [this](std::string_view, const Json& event) {
            workers_.erase(event.at("process_pid").get<long long>());
        });
        timer_ = every(period_, [this] { look(); });
        call("list", Json::object(), [this](circus_status status, const Json& answer) {
            if (status == CIRCUS_OK)
                for (const Json& name : answer.at("watchers")) discover(name.get<std::string>());
        });
    }

  private:
    struct Worker {
        std::string watcher;
        std::chrono::nanoseconds heard{};
        bool killed = false;
    };

    circus::Failure bad(const char* option, const std::string& why) const {
        return {CIRCUS_E_INVALID,
                "the option \"" + std::string(option) + "\" is " + config().at(option).dump() + ": " + why};
    }
    Pattern compiled(const char* option, bool any_case) const {
        try {
            return Pattern(config().at(option).get<std::string>(), any_case);
        } catch (const std::invalid_argument& error) {
            throw bad(option, error.what());
        }
    }

    void open() {
        const auto ip = config().at("ip").get<std::string>();
        const auto port = htons(config().at("port").get<std::uint16_t>());
        sockaddr_storage address{};
        auto& v4 = reinterpret_cast<sockaddr_in&>(address);
        auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
        socklen_t size = sizeof v4;
        if (inet_pton(AF_INET, ip.c_str(), &v4.sin_addr) == 1) {
            v4.sin_family = AF_INET;
            v4.sin_port = port;
        } else if (inet_pton(AF_INET6, ip.c_str(), &v6.sin6_addr) == 1) {
            v6.sin6_family = AF_INET6;
            v6.sin6_port = port;
            size = sizeof v6;
        } else {
            throw bad("ip", "no address; write one as 127.0.0.1 or ::1");
        }
        fd_ = ::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd_ < 0 || ::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size) != 0) {
            const int error = errno;
            throw circus::Failure(CIRCUS_E_CONFLICT, "cannot listen on " + ip + " port " +
                                                         config().at("port").dump() + ": " +
                                                         std::strerror(error));
        }
        size = sizeof address;
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
        const auto bound = ntohs(address.ss_family == AF_INET ? v4.sin_port : v6.sin6_port);
        host().info("heartbeats are expected at " + ip + " port " + std::to_string(bound));
    }

    void discover(const std::string& name) {
        if (!is_watched(name)) return;
        call("list", {{"name", name}}, [this, name](circus_status status, const Json& answer) {
            if (status == CIRCUS_OK)
                for (const Json& pid : answer.at("pids")) add(name, pid.get<long long>());
        });
    }
    bool is_watched(const std::string& name) const {
        return !name.starts_with("plugin:") && watchers_->matches(name);
    }
    void add(const std::string& name, long long pid) {
        if (is_watched(name)) workers_.try_emplace(pid, Worker{name, host().now()});
    }

    // Until nothing is left or the loop has others to see to: whoever floods the socket may not hold it up.
    void read() {
        constexpr std::chrono::milliseconds kLongest{2};
        const auto until = host().now() + kLongest;
        std::array<char, kMessage> buffer;
        for (int i = 0; i < kMostMessages && host().now() < until; ++i) {
            const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (size < 0) return;
            if (!heard(std::string(buffer.data(), static_cast<std::size_t>(size)))) ++strange_;
        }
    }
    // False: it is no heartbeat, or not of a process that is watched.
    bool heard(std::string message) {
        while (!message.empty() && (message.back() == '\n' || message.back() == '\r')) message.pop_back();
        std::string text;
        if (!message_->group(message, "pid", text)) return false;
        long long pid = 0;
        const char* const end = text.data() + text.size();
        const auto [rest, wrong] = std::from_chars(text.data(), end, pid);
        if (wrong != std::errc() || rest != end) return false;
        const auto at = workers_.find(pid);
        if (at == workers_.end()) return false;
        at->second.heard = host().now();
        return true;
    }

    void look() {
        read();
        if (const int strange = std::exchange(strange_, 0); strange > 0)
            host().debug(std::to_string(strange) +
                         " messages were no heartbeats of processes that are watched");
        const auto patience = period_ * config().at("max_count").get<int>();
        for (auto& [pid, worker] : workers_) {
            if (worker.killed || host().now() - worker.heard < patience) continue;
            worker.killed = true;
            kill(pid, worker.watcher);
        }
    }

    void kill(long long pid, const std::string& watcher) {
        host().warning(watcher + ": process " + std::to_string(pid) +
                       " sends no heartbeats any more, killing it");
        Json properties{{"name", watcher}, {"pid", pid}, {"waiting", true}};
        if (signal_) properties["signum"] = *signal_;
        if (const auto at = config().find("watchers_graceful_timeout"); at != config().end())
            properties["graceful_timeout"] = *at;
        call("kill", properties, [=, this](circus_status status, const Json& answer) {
            if (status != CIRCUS_OK)
                host().error(watcher + ": process " + std::to_string(pid) +
                             " cannot be killed: " + answer.value("reason", "no reason given"));
            // It is gone, or it has another chance.
            if (const auto at = workers_.find(pid); at != workers_.end()) {
                at->second.killed = false;
                at->second.heard = host().now();
            }
        });
    }

    std::optional<Pattern> watchers_, message_;
    std::optional<int> signal_;
    std::chrono::milliseconds period_{};
    int fd_ = -1;
    int strange_ = 0;                      // messages, since the last look
    std::map<long long, Worker> workers_;  // by pid
    circus::Registration readable_, spawned_, reaped_, timer_;
};

}  // namespace

CIRCUS_PLUGIN(Watchdog, "watchdog", "1.0", "kills workers that stop sending heartbeats", kOptions)
