#include "loop/prober.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <optional>
#include <sys/socket.h>
#include <sys/un.h>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "loop/poll.hpp"
#include "loop/timer.hpp"

namespace circus::loop {

namespace {

struct Address {
    sockaddr_storage bytes{};
    socklen_t size = 0;
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
};
using Addresses = std::vector<Address>;

// getaddrinfo(3). With `numeric` it asks nobody.
Result<Addresses> addresses_of(const ProbeTarget& target, bool numeric) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (numeric ? AI_NUMERICHOST : 0);
    addrinfo* found = nullptr;
    const int code = ::getaddrinfo(target.host.c_str(), std::to_string(target.port).c_str(), &hints, &found);
    if (code != 0) return Error{cat("cannot find ", target.host, ": ", ::gai_strerror(code))};
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
    Addresses out;
    for (const addrinfo* each = found; each; each = each->ai_next) {
        Address& address = out.emplace_back();
        address.size = std::min<socklen_t>(each->ai_addrlen, sizeof address.bytes);
        std::memcpy(&address.bytes, each->ai_addr, address.size);
    }
    return out;
}

Address unix_address(const std::string& path) {
    Address address;
    auto& un = reinterpret_cast<sockaddr_un&>(address.bytes);
    un.sun_family = AF_UNIX;
    std::strncpy(un.sun_path, path.c_str(), sizeof un.sun_path - 1);
    address.size = sizeof un;
    return address;
}

// A port of the ephemeral range where nobody listens can be reached from itself: TCP's simultaneous open.
bool is_connected_to_itself(int fd) {
    Address here, there;
    here.size = there.size = sizeof here.bytes;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&here.bytes), &here.size) != 0 ||
        ::getpeername(fd, reinterpret_cast<sockaddr*>(&there.bytes), &there.size) != 0)
        return false;
    return here.bytes.ss_family != AF_UNIX && here.size == there.size &&
           std::memcmp(&here.bytes, &there.bytes, here.size) == 0;
}

// What the first line of an answer says; nothing: it is not whole yet.
std::optional<Status> judged(std::string_view answer, bool is_whole) {
    constexpr std::string_view kProtocol = "HTTP/1.";
    const bool has_line = answer.find('\n') != std::string_view::npos;
    if (!has_line && !is_whole && answer.size() < 256) return std::nullopt;
    int code = 0;
    if (answer.starts_with(kProtocol) && answer.size() > kProtocol.size() + 4)
        std::from_chars(answer.data() + kProtocol.size() + 2, answer.data() + kProtocol.size() + 5, code);
    if (code == 0) return Error{answer.empty() ? "it answered nothing" : "what it answered is no HTTP"};
    if (code >= 200 && code < 400) return Ok{};
    return Error{cat("it answered ", code)};
}

}  // namespace

class Prober::Look : public std::enable_shared_from_this<Prober::Look> {
  public:
    Look(Prober& prober, Id id, ProbeTarget target)
        : prober_(prober), id_(id), target_(std::move(target)), timer_(prober.loop_, [this] { on_time(); }) {}

    void begin() {
        timer_.start(kLookDeadline);
        if (target_.host.empty()) {
            addresses_ = {unix_address(target_.path)};
            return connect_next();
        }
        if (auto numeric = addresses_of(target_, true)) {
            addresses_ = std::move(*numeric);
            return connect_next();
        }
        resolve();
    }

  private:
    // The end of it, from inside begin() too: in the loop's next turn.
    void end_soon(Status result) {
        result_ = std::move(result);
        poll_.reset();
        fd_.reset();
        timer_.start(Duration::zero());
    }
    void on_time() {
        const Status result = result_ ? *result_ : Status(Error{"it did not answer in time"});
        prober_.finish(id_, result);
    }

    void resolve() {
        const auto found = std::make_shared<Result<Addresses>>(Error{});
        prober_.names_.run([found, target = target_] { *found = addresses_of(target, false); },
                           [found, look = weak_from_this()] {
                               const auto self = look.lock();
                               if (!self || self->result_) return;  // nobody wants to know any more
                               if (!*found) return self->end_soon(found->error());
                               self->addresses_ = std::move(**found);
                               self->connect_next();
                           });
    }

    void connect_next() {
        if (next_ >= addresses_.size()) return end_soon(trouble_);
        const Address& address = addresses_[next_++];
        poll_.reset();
        fd_.reset(::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!fd_) return failed(errno);
        if (::connect(fd_.get(), address.get(), address.size) != 0 && errno != EINPROGRESS)
            return failed(errno);
        auto poll = Poll::make(prober_.loop_, fd_.get(), [this](unsigned) {
            if (asking_)
                on_readable();
            else
                on_connected();
        });
        if (!poll) return end_soon(poll.error());
        poll_.emplace(std::move(*poll));
        poll_->watch(Poll::kWritable);
    }

    void failed(int code) {
        trouble_ = Error{std::strerror(code), code};
        connect_next();
    }

    void on_connected() {
        int code = 0;
        socklen_t size = sizeof code;
        if (::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
        if (code == 0 && is_connected_to_itself(fd_.get())) code = ECONNREFUSED;
        if (code != 0) return failed(code);
        if (target_.request.empty()) return end_soon(Ok{});
        // A request of one line and two headers fits into any socket's buffer.
        const ssize_t sent = ::send(fd_.get(), target_.request.data(), target_.request.size(), MSG_NOSIGNAL);
        if (sent != static_cast<ssize_t>(target_.request.size()))
            return end_soon(Error{"it does not take what it is asked"});
        asking_ = true;
        poll_->watch(Poll::kReadable);
    }

    void on_readable() {
        std::array<char, 1024> part;
        const ssize_t got = ::recv(fd_.get(), part.data(), part.size(), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got < 0) return end_soon(Error{std::strerror(errno), errno});
        answer_.append(part.data(), static_cast<std::size_t>(got));
        if (auto result = judged(answer_, got == 0)) end_soon(std::move(*result));
    }

    Prober& prober_;
    const Id id_;
    const ProbeTarget target_;
    Addresses addresses_;
    std::size_t next_ = 0;
    Status trouble_ = Error{"it has no address"};
    std::string answer_;
    bool asking_ = false;
    std::optional<Status> result_;
    UniqueFd fd_;
    std::optional<Poll> poll_;  // goes before the descriptor it polls
    Timer timer_;
};

Prober::Prober(Loop& loop, Worker& names, Looked looked)
    : loop_(loop), names_(names), looked_(std::move(looked)) {}

Prober::~Prober() = default;

void Prober::look(Id id, ProbeTarget target) {
    const auto look = std::make_shared<Look>(*this, id, std::move(target));
    looks_[id] = look;
    look->begin();
}

void Prober::drop(Id id) {
    looks_.erase(id);
}

void Prober::finish(Id id, const Status& result) {
    looks_.erase(id);
    looked_(id, result);
}

}  // namespace circus::loop
