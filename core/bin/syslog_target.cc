// A syslog server, by datagrams: RFC 3164 over UDP, and what syslog(3) sends to a socket of this machine.
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/text.hpp"
#include "bin/log_target.hpp"

namespace circus::bin {

namespace {

constexpr int kAskPeriod = 100;                    // milliseconds; how often give_up() is asked
constexpr std::size_t kLongest = 8192;             // of a message; servers cut, or drop, longer ones
constexpr auto kLookUpAgain = Milliseconds(5000);  // a name that nobody knew

int severity_of(log::Level level) {
    switch (level) {
        case log::Level::Debug:
            return LOG_DEBUG;
        case log::Level::Info:
            return LOG_INFO;
        case log::Level::Warning:
            return LOG_WARNING;
        case log::Level::Error:
            return LOG_ERR;
        case log::Level::Critical:
            return LOG_CRIT;
    }
    return LOG_INFO;
}

std::string header(const LogRecord& record, int facility, const std::string& host) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(record.at);
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    std::array<char, 32> when{};
    const std::size_t length = std::strftime(when.data(), when.size(), "%b %e %H:%M:%S", &parts);
    return cat("<", facility | severity_of(record.level), ">", std::string_view(when.data(), length), " ",
               host, host.empty() ? "" : " ", "circusd[", ::getpid(), "]: ");
}

std::string own_host() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "-";
    return name.data();
}

Result<UniqueFd> connect_unix(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return sys_error(path, errno);
    return fd;
}

// May take as long as the name servers do.
Result<UniqueFd> connect_udp(const std::string& host, int port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found))
        return Error{cat(host, ": ", std::string_view(::gai_strerror(code))), EHOSTUNREACH};
    Result<UniqueFd> result = sys_error(host, EADDRNOTAVAIL);
    for (const addrinfo* each = found; each; each = each->ai_next) {
        UniqueFd fd(::socket(each->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (fd && ::connect(fd.get(), each->ai_addr, each->ai_addrlen) == 0) {
            result = std::move(fd);
            break;
        }
        result = sys_error(host, errno);
    }
    ::freeaddrinfo(found);
    return result;
}

class SyslogTarget final : public LogTarget {
  public:
    explicit SyslogTarget(config::LogOutput output)
        : output_(std::move(output)), host_(output_.path.empty() ? own_host() : "") {}

    Status write(const LogRecord& record, bool json, const std::function<bool()>& give_up) override {
        // The server has the time and the pid from the header, and the level from its number.
        std::string message = header(record, output_.facility, host_);
        if (json)
            message += json_line(record);
        else
            message += plain_text(record);
        message.resize(std::min(message.size(), kLongest));
        // Again at once: a server that was started anew has another socket, and over UDP the error is the
        // datagram's before.
        Status sent = send(message, give_up);
        if (!sent && fd_) {
            if (!output_.path.empty()) fd_.reset();
            sent = send(message, give_up);
        }
        return sent;
    }

    Status reopen() override {
        fd_.reset();
        look_up_at_ = {};
        return Ok{};
    }

  private:
    Status send(const std::string& message, const std::function<bool()>& give_up) {
        if (const Status connected = connect(); !connected) return connected.error();
        while (::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return sys_error("cannot send", errno);
            // The queue of a socket of this machine is full.
            pollfd ready{fd_.get(), POLLOUT, 0};
            if (::poll(&ready, 1, kAskPeriod) <= 0 && give_up()) return sys_error("not taken", EAGAIN);
        }
        return Ok{};
    }

    Status connect() {
        if (fd_) return Ok{};
        if (Monotonic::now() < look_up_at_) return Error{"not looked up", EHOSTUNREACH};
        auto fd = output_.path.empty() ? connect_udp(output_.host, output_.port) : connect_unix(output_.path);
        if (!fd) {
            if (output_.path.empty()) look_up_at_ = Monotonic::now() + kLookUpAgain;
            return fd.error();
        }
        fd_ = std::move(*fd);
        return Ok{};
    }

    const config::LogOutput output_;
    const std::string host_;  // in the header, where the message leaves this machine
    UniqueFd fd_;
    TimePoint look_up_at_{};
};

}  // namespace

std::unique_ptr<LogTarget> make_syslog_target(const config::LogOutput& output) {
    return std::make_unique<SyslogTarget>(output);
}

}  // namespace circus::bin
