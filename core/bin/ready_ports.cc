#include "bin/ready_ports.hpp"

#include "base/text.hpp"
#include "sys/procfs.hpp"

namespace circus::bin {

Result<std::string> NotifyPort::address() {
    if (socket_) return socket_->address();
    const bool is_new = !inherited_;
    auto socket = is_new ? sys::NotifySocket::open(cat("circus-notify-", instance_))
                         : sys::NotifySocket::adopt(std::move(inherited_));
    if (!socket) return socket.error();
    auto poll = loop::Poll::make(loop_, socket->fd(), [this](unsigned) { take(); });
    if (!poll) return poll.error();
    socket_.emplace(std::move(*socket));
    poll_.emplace(std::move(*poll));
    poll_->watch(loop::Poll::kReadable);
    if (is_new) hold_(socket_->fd());
    return socket_->address();
}

Status NotifyPort::resume() {
    if (!inherited_) return Ok{};
    const auto opened = address();
    return opened ? Status(Ok{}) : Status(opened.error());
}

void NotifyPort::take() {
    // What is left after these is for the next turn: anybody may send here.
    constexpr int kAtOnce = 64;
    for (int i = 0; i < kAtOnce; ++i) {
        const auto notification = socket_->receive();
        if (!notification) return;
        if (notification->ready && notification->pid > 0) ready_(sys::lineage_of(notification->pid));
    }
}

void ProbesPort::look(supervise::ChildId id, const config::ProbeAddress& at) {
    std::string request;
    if (!at.resource.empty())
        request = cat("GET ", at.resource, " HTTP/1.1\r\nHost: ", at.authority,
                      "\r\nUser-Agent: circusd\r\nConnection: close\r\n\r\n");
    prober_.look(id, {at.host, at.port, at.path, std::move(request)});
}

}  // namespace circus::bin
