// Statsd: metrics to a StatsD server over UDP, for plugins that measure.
//
//     statsd_.emplace(host(), circus::Statsd::options_of(config()),
//                     [this](auto delay, auto task) { return after(delay, std::move(task)); });
//     statsd_->count("web.reap");
//     statsd_->gauge("_stats.web.cpu_max", 12.5, {"watcher:web"});
//
// Nothing here waits. Metrics are collected into datagrams of at most kDatagram bytes, which are sent when
// they are full and at the end of the turn (a timer of 0 ms). Names are looked up by the C library on its own
// thread (getaddrinfo_a) and asked for by a timer; what is measured before the first answer is kept, up to
// kKept datagrams. An address is looked up again every kLookAgain, so that a server may move. What the kernel
// does not take at once is dropped and counted: a metric is worth less than a moment of the loop.
//
// The loop's thread only. `after` must outlive it, in practice: a member of the plugin.
#pragma once

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <random>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "circus/plugin.hpp"

// Rows for a plugin's table of options, in its JSON text: the options that options_of() reads. `application`,
// a literal, is the default of application_name.
#define CIRCUS_STATSD_OPTIONS_OF(application)                                                              \
    R"("application_name": {"type": "string", "default": ")" application                                   \
    R"(", "doc": "metrics begin with circus.NAME"},)"                                                      \
    R"("port": {"type": "integer", "default": 8125, "min": 1, "max": 65535, "doc": "the server's port"},)" \
    R"("sample_rate": {"type": "number", "default": 1.0, "min": 0, "max": 1,)"                             \
    R"( "doc": "share of the counters that is sent"},)"                                                    \
    R"("tags": {"type": "strings", "default": [], "doc": "DogStatsD tags of every metric: NAME:VALUE"},)"  \
    R"("dogstatsd": {"type": "boolean", "default": false,)"                                                \
    R"( "doc": "the watcher is a tag instead of a part of the metric's name"})"
#define CIRCUS_STATSD_OPTIONS CIRCUS_STATSD_OPTIONS_OF("app")

namespace circus {

class Statsd {
  public:
    static constexpr std::size_t kDatagram = 1432;  // fits an Ethernet frame
    static constexpr std::size_t kKept = 64;
    static constexpr std::chrono::seconds kLookAgain{60};

    struct Options {
        std::string host = "localhost";
        int port = 8125;
        std::string prefix;  // without the dot at its end
        double sample_rate = 1;
        std::vector<std::string> tags;
        bool dogstatsd = false;
    };
    // Of a configuration with CIRCUS_STATSD_OPTIONS and "host". The prefix is Circus's.
    static Options options_of(const Json& config) {
        Options options;
        options.host = config.at("host").get<std::string>();
        options.port = config.at("port").get<int>();
        options.prefix = "circus." + word(config.at("application_name").get<std::string>()) + ".watcher";
        options.sample_rate = config.at("sample_rate").get<double>();
        options.tags = config.at("tags").get<std::vector<std::string>>();
        options.dogstatsd = config.at("dogstatsd").get<bool>();
        return options;
    }
    using After = std::function<Registration(std::chrono::milliseconds, Plugin::TaskFn)>;
    using Tags = std::vector<std::string>;

    Statsd(Host host, Options options, After after)
        : host_(host), options_(std::move(options)), after_(std::move(after)) {
        look_up();
    }
    Statsd(const Statsd&) = delete;
    Statsd& operator=(const Statsd&) = delete;
    ~Statsd() {
        flush();
        abandon(std::move(lookup_));
        if (fd_ >= 0) ::close(fd_);
    }

    // One part of a metric's name or a tag's value: what StatsD reads as punctuation becomes "_".
    static std::string word(std::string_view text) {
        std::string out(text);
        for (char& c : out)
            if (std::strchr(".:|@#,/\\ \t\r\n", c) != nullptr) c = '_';  // also NUL
        return out;
    }

    void count(std::string_view bucket, std::int64_t by = 1, const Tags& tags = {}) {
        if (options_.sample_rate < 1 && chance_(random_) >= options_.sample_rate) return;
        std::string value = std::to_string(by) + "|c";
        if (options_.sample_rate < 1) value += "|@" + number(options_.sample_rate);
        add(bucket, value, tags);
    }
    void gauge(std::string_view bucket, double value, const Tags& tags = {}) {
        if (!std::isfinite(value)) return;
        // "-5" would mean five less: below zero is zero, then five less.
        if (value < 0) add(bucket, "0|g", tags);
        add(bucket, number(value) + "|g", tags);
    }
    void timing(std::string_view bucket, double milliseconds, const Tags& tags = {}) {
        if (std::isfinite(milliseconds)) add(bucket, number(milliseconds) + "|ms", tags);
    }
    // A metric of one watcher: BEFORE.WATCHER.AFTER (an empty BEFORE is left out), or with dogstatsd
    // BEFORE.AFTER and the tag watcher:WATCHER. The pair goes to count() or gauge().
    std::pair<std::string, Tags> of_watcher(std::string_view before, std::string_view watcher,
                                            std::string_view after) const {
        std::string bucket(before);
        const auto append = [&bucket](std::string_view part) {
            if (!bucket.empty()) bucket += '.';
            bucket += part;
        };
        if (!options_.dogstatsd) append(word(watcher));
        append(after);
        if (!options_.dogstatsd) return {std::move(bucket), {}};
        return {std::move(bucket), {"watcher:" + word(watcher)}};
    }

    // Sends what is collected, or keeps it while the address is not known.
    void flush() {
        end_of_turn_.cancel();
        if (!datagram_.empty()) kept_.push_back(std::exchange(datagram_, {}));
        for (; kept_.size() > kKept; ++dropped_) kept_.pop_front();
        if (address_size_ == 0) return;
        for (const std::string& each : std::exchange(kept_, {}))
            if (::send(fd_, each.data(), each.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
                errno != ECONNREFUSED)
                ++dropped_;
    }
    std::uint64_t dropped() const { return dropped_; }

  private:
    // What the C library works on while a name is looked up. It may be at it when nobody asks any more.
    struct Lookup {
        explicit Lookup(std::string name) : host(std::move(name)) {
            hints.ai_socktype = SOCK_DGRAM;
            request.ar_name = host.c_str();
            request.ar_request = &hints;
        }
        std::string host;
        addrinfo hints{};
        gaicb request{};
    };

    static std::string number(double value) {
        char text[64];
        const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, 3).ptr;
        std::string out(text, end);
        out.erase(out.find_last_not_of('0') + 1);
        if (out.back() == '.') out.pop_back();
        return out;
    }

    void add(std::string_view bucket, std::string_view value, const Tags& tags) {
        std::string line = options_.prefix.empty() ? std::string() : options_.prefix + ".";
        line.append(bucket).append(":").append(value);
        const char* between = "|#";
        for (const Tags* list : {&options_.tags, &tags})
            for (const std::string& tag : *list) {
                line.append(between).append(tag);
                between = ",";
            }
        if (!datagram_.empty() && datagram_.size() + 1 + line.size() > kDatagram) flush();
        if (!datagram_.empty()) datagram_ += '\n';
        datagram_ += line;
        if (!end_of_turn_) end_of_turn_ = after_(std::chrono::milliseconds::zero(), [this] { flush(); });
    }

    void look_up() {
        lookup_ = std::make_unique<Lookup>(options_.host);
        gaicb* list[] = {&lookup_->request};
        if (const int error = getaddrinfo_a(GAI_NOWAIT, list, 1, nullptr); error != 0) {
            lookup_.reset();
            complain(gai_strerror(error));
            again(kLookAgain);
            return;
        }
        again(std::chrono::milliseconds(20));
    }
    void again(std::chrono::milliseconds delay) {
        ask_ = after_(delay, [this] { lookup_ ? ask() : look_up(); });
    }
    void ask() {
        const int state = gai_error(&lookup_->request);
        if (state == EAI_INPROGRESS) return again(std::chrono::milliseconds(20));
        const auto done = std::move(lookup_);
        if (state == 0) {
            connect_to(done->request.ar_result);
            freeaddrinfo(done->request.ar_result);
        } else {
            complain(gai_strerror(state));
        }
        again(kLookAgain);
        flush();
    }
    void connect_to(const addrinfo* found) {
        for (; found; found = found->ai_next) {
            sockaddr_storage address{};
            if (found->ai_addrlen > sizeof address) continue;
            std::memcpy(&address, found->ai_addr, found->ai_addrlen);
            const auto port = htons(static_cast<std::uint16_t>(options_.port));
            if (found->ai_family == AF_INET)
                reinterpret_cast<sockaddr_in&>(address).sin_port = port;
            else if (found->ai_family == AF_INET6)
                reinterpret_cast<sockaddr_in6&>(address).sin6_port = port;
            else
                continue;
            if (address_size_ == found->ai_addrlen && std::memcmp(&address, &address_, address_size_) == 0)
                return;
            const int fd = ::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            if (fd < 0) continue;
            if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), found->ai_addrlen) != 0) {
                ::close(fd);
                continue;
            }
            if (fd_ >= 0) ::close(fd_);
            fd_ = fd;
            address_ = address;
            address_size_ = found->ai_addrlen;
            complained_ = false;
            return;
        }
        complain("no address that can be reached");
    }
    void complain(std::string_view why) {
        if (!std::exchange(complained_, true))
            host_.warning("statsd: " + options_.host + ": " + std::string(why));
    }
    // A lookup that cannot be called off is left to the C library: it writes into it when it is through.
    static void abandon(std::unique_ptr<Lookup> lookup) {
        if (!lookup) return;
        if (gai_cancel(&lookup->request) == EAI_NOTCANCELED) {
            static_cast<void>(lookup.release());
        } else if (lookup->request.ar_result) {
            freeaddrinfo(lookup->request.ar_result);
        }
    }

    Host host_;
    const Options options_;
    const After after_;
    int fd_ = -1;
    sockaddr_storage address_{};
    socklen_t address_size_ = 0;
    std::unique_ptr<Lookup> lookup_;
    bool complained_ = false;
    std::string datagram_;
    std::deque<std::string> kept_;
    std::uint64_t dropped_ = 0;
    std::minstd_rand random_{std::random_device{}()};
    std::uniform_real_distribution<double> chance_{0, 1};
    Registration end_of_turn_, ask_;
};

}  // namespace circus
