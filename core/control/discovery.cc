#include "control/discovery.hpp"

#include <arpa/inet.h>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "sys/multicast.hpp"

namespace circus::control {

namespace {
constexpr Milliseconds kSecond{1000};
}

Discovery::Discovery(loop::Loop& loop, UniqueFd socket, int port)
    : socket_(std::move(socket)),
      port_(port),
      next_second_(loop, [this] { poll_->watch(loop::Poll::kReadable); }) {}

Result<std::unique_ptr<Discovery>> Discovery::make(loop::Loop& loop, const config::MulticastGroup& group,
                                                   const std::string& endpoint) {
    auto socket = sys::join_multicast(group.address, group.port);
    if (!socket) return socket.error();
    std::unique_ptr<Discovery> discovery(new Discovery(loop, std::move(*socket), group.port));
    auto poll = loop::Poll::make(loop, discovery->socket_.get(),
                                 [self = discovery.get()](unsigned) { self->answer(); });
    if (!poll) return poll.error();
    discovery->poll_ = std::make_unique<loop::Poll>(std::move(*poll));
    discovery->poll_->watch(loop::Poll::kReadable);
    discovery->set_endpoint(endpoint);
    return discovery;
}

void Discovery::set_endpoint(const std::string& endpoint) {
    answer_ = Json{{"endpoint", endpoint}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void Discovery::answer() {
    const TimePoint now = Monotonic::now();
    if (now - second_ >= kSecond) {
        second_ = now;
        left_ = kDatagramsPerSecond;
    }
    for (; left_ > 0; --left_) {
        const auto sender = sys::take_datagram(socket_.get());
        if (!sender) return;
        if (sender->port != 0 && ntohs(sender->port) != port_)
            sys::send_datagram(socket_.get(), *sender, answer_);
    }
    poll_->watch(0);
    next_second_.start_at(second_ + kSecond);
}

}  // namespace circus::control
