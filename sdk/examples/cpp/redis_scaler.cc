// redis_scaler: a policy of one's own. As many workers of a watcher as the length of a Redis list asks for:
// up at once, down only when the list has been short for `patience` looks in a row, and drained.
//
// A look at Redis may wait, which the loop never does: a thread asks, and posts the length. Without an answer
// nothing is decided.
#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <netinet/in.h>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <circus/plugin.hpp>
#include <circus/threads.hpp>

namespace {

using circus::Json;

constexpr const char* kOptions = R"({
    "watcher": {"type": "string", "default": "worker", "doc": "which one is scaled"},
    "list": {"type": "string", "default": "jobs", "doc": "the list in Redis"},
    "host": {"type": "string", "default": "127.0.0.1", "doc": "where Redis is: an address"},
    "port": {"type": "integer", "default": 6379, "min": 1, "max": 65535, "doc": "its port"},
    "interval": {"type": "number", "default": 1, "min": 0.01, "max": 3600, "doc": "seconds between two looks"},
    "per_worker": {"type": "integer", "default": 10, "min": 1, "doc": "jobs in the list for one worker"},
    "least": {"type": "integer", "default": 1, "min": 0, "doc": "never fewer workers"},
    "most": {"type": "integer", "default": 10, "min": 1, "doc": "never more"},
    "patience": {"type": "integer", "default": 5, "min": 1, "doc": "looks at a short list before there are fewer"}
})";

// One question on a connection of its own; nothing: there is no answer that is a number.
std::optional<long long> length_of(const std::string& list, const sockaddr_in& redis) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return std::nullopt;
    const timeval patience{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);  // connect(2) obeys it, too
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const std::string question =
        "*2\r\n$4\r\nLLEN\r\n$" + std::to_string(list.size()) + "\r\n" + list + "\r\n";
    std::string answer;
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&redis), sizeof redis) == 0 &&
        ::send(fd, question.data(), question.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(question.size())) {
        char piece[64];
        while (!answer.ends_with("\r\n")) {
            const ssize_t got = ::recv(fd, piece, sizeof piece, 0);
            if (got <= 0) break;
            answer.append(piece, static_cast<std::size_t>(got));
        }
    }
    ::close(fd);
    if (!answer.starts_with(':') || !answer.ends_with("\r\n")) return std::nullopt;
    return std::atoll(answer.c_str() + 1);
}

class RedisScaler final : public circus::Plugin {
  public:
    using Plugin::Plugin;

    void start() override {
        if (number("least") > number("most"))
            throw circus::Failure(CIRCUS_E_INVALID, "least is more than most");
        sockaddr_in redis{};
        redis.sin_family = AF_INET;
        redis.sin_port = htons(static_cast<std::uint16_t>(number("port")));
        const auto host_name = config().at("host").get<std::string>();
        if (::inet_pton(AF_INET, host_name.c_str(), &redis.sin_addr) != 1)
            throw circus::Failure(CIRCUS_E_INVALID, "the host \"" + host_name + "\" is no address");
        const circus::SignalsBlocked guard;
        thread_ =
            std::thread([this, redis, list = config().at("list").get<std::string>(),
                         interval = std::chrono::duration<double>(config().at("interval").get<double>())] {
                std::unique_lock lock(mutex_);
                while (!ended_) {
                    lock.unlock();
                    const auto length = length_of(list, redis);
                    post([this, length] { look(length); });
                    lock.lock();
                    wake_.wait_for(lock, interval, [this] { return ended_; });
                }
            });
    }
    void stop() override {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        wake_.notify_all();
        thread_.join();
    }

  private:
    long long number(const char* name) const { return config().at(name).get<long long>(); }
    std::string watcher() const { return config().at("watcher").get<std::string>(); }

    void look(std::optional<long long> length) {
        if (!length) {
            if (!std::exchange(is_silent_, true)) host().warning("Redis does not tell how long the list is");
            return;
        }
        is_silent_ = false;
        const long long per = number("per_worker");
        const long long wanted = std::clamp((*length + per - 1) / per, number("least"), number("most"));
        // How many there are is asked each time: an operator may have changed it.
        call("get", {{"name", watcher()}, {"keys", {"numprocesses"}}},
             [this, wanted](circus_status status, const Json& answer) {
                 if (status != CIRCUS_OK)
                     return host().warning(watcher() + ": " + answer.value("reason", "no answer"));
                 decide(answer.at("options").at("numprocesses").get<long long>(), wanted);
             });
    }
    void decide(long long now, long long wanted) {
        short_looks_ = wanted < now ? short_looks_ + 1 : 0;
        if (wanted > now) call("incr", {{"name", watcher()}, {"nb", wanted - now}});
        if (short_looks_ < number("patience")) return;
        short_looks_ = 0;
        // Who is at work finishes: `drain` lets connections end, the stop signal is the program's to obey.
        call("decr", {{"name", watcher()}, {"nb", now - wanted}, {"drain", 30}});
    }

    long long short_looks_ = 0;
    bool is_silent_ = false;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool ended_ = false;
    std::thread thread_;
};

}  // namespace

CIRCUS_PLUGIN(RedisScaler, "redis_scaler", "1.0", "scales a watcher by the length of a Redis list", kOptions)
