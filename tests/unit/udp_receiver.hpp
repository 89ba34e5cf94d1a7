// A UDP socket on loopback for tests of what is sent to a server, and a way to send to one.
#pragma once

#include <arpa/inet.h>
#include <cstdint>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace circus {

class UdpReceiver {
  public:
    UdpReceiver() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        if (::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
            ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
            throw std::runtime_error("no UDP socket");
        port_ = ntohs(address.sin_port);
    }
    ~UdpReceiver() { ::close(fd_); }
    UdpReceiver(const UdpReceiver&) = delete;
    UdpReceiver& operator=(const UdpReceiver&) = delete;

    int port() const { return port_; }
    // The lines of the next datagram; empty: none came within `patience_ms`.
    std::vector<std::string> lines(int patience_ms = 0) {
        pollfd ready{fd_, POLLIN, 0};
        if (::poll(&ready, 1, patience_ms) != 1) return {};
        std::string text(65536, '\0');
        text.resize(static_cast<std::size_t>(::recv(fd_, text.data(), text.size(), 0)));
        std::vector<std::string> found;
        for (std::size_t from = 0; from <= text.size();) {
            const std::size_t to = std::min(text.find('\n', from), text.size());
            found.push_back(text.substr(from, to - from));
            from = to + 1;
        }
        return found;
    }
    void send(std::string_view text, int port) {
        const sockaddr_in to = loopback(static_cast<std::uint16_t>(port));
        ::sendto(fd_, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    }

  private:
    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }
    int fd_;
    int port_ = 0;
};

}  // namespace circus
