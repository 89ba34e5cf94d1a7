// A server on loopback, or on a unix socket, for tests of plugins that are clients. One thread serves all
// connections; what came of a connection goes to `answer`, which takes what it has understood off the text
// and returns what is to be sent. It may be exchanged while the server runs.
#pragma once

#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace circus {

class LoopbackServer {
  public:
    using Answer = std::function<std::string(std::string& received)>;

    explicit LoopbackServer(Answer answer, const std::string& path = {}) : answer_(std::move(answer)) {
        sockaddr_storage address{};
        socklen_t size = sizeof(sockaddr_in);
        if (path.empty()) {
            auto& in = reinterpret_cast<sockaddr_in&>(address);
            in.sin_family = AF_INET;
            in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        } else {
            auto& un = reinterpret_cast<sockaddr_un&>(address);
            un.sun_family = AF_UNIX;
            std::strncpy(un.sun_path, path.c_str(), sizeof un.sun_path - 1);
            size = sizeof un;
        }
        listener_ = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        auto* const where = reinterpret_cast<sockaddr*>(&address);
        if (listener_ < 0 || ::bind(listener_, where, size) != 0 || ::listen(listener_, 64) != 0 ||
            ::getsockname(listener_, where, &size) != 0 || ::pipe(wake_.data()) != 0)
            throw std::runtime_error("no server on loopback");
        if (path.empty()) port_ = ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    LoopbackServer(const LoopbackServer&) = delete;
    LoopbackServer& operator=(const LoopbackServer&) = delete;
    ~LoopbackServer() {
        ::close(wake_[1]);
        thread_.join();
        ::close(wake_[0]);
        ::close(listener_);
    }

    int port() const { return port_; }
    std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
    int connections() const { return connections_; }  // that ever came
    void set_answer(Answer answer) {
        const std::lock_guard lock(mutex_);
        answer_ = std::move(answer);
    }
    // All connections are ended, after those that wait were accepted. They are closed once the client has
    // closed them too: one closed with bytes that nobody has read would be reset, which a client may see in
    // place of the end.
    void hang_up() {
        const char byte = 0;
        static_cast<void>(!::write(wake_[1], &byte, 1));
    }

  private:
    void serve() {
        std::map<int, std::string> open;
        while (true) {
            std::vector<pollfd> all{{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
            for (const auto& each : open) all.push_back({each.first, POLLIN, 0});
            ::poll(all.data(), all.size(), -1);
            if (all[1].revents != 0)
                if (const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC); fd >= 0) {
                    open[fd];
                    ++connections_;
                }
            for (std::size_t i = 2; i < all.size(); ++i)
                if (all[i].revents != 0 && !talk(all[i].fd, open[all[i].fd])) {
                    ::close(all[i].fd);
                    open.erase(all[i].fd);
                }
            if (all[0].revents == 0) continue;
            char byte = 0;
            const bool stays = ::read(wake_[0], &byte, 1) > 0;
            for (const auto& each : open) stays ? ::shutdown(each.first, SHUT_WR) : ::close(each.first);
            if (!stays) return;
        }
    }
    bool talk(int fd, std::string& received) {
        std::array<char, 4096> buffer;
        const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (size <= 0) return false;
        received.append(buffer.data(), static_cast<std::size_t>(size));
        std::string out;
        {
            const std::lock_guard lock(mutex_);
            out = answer_(received);
        }
        for (std::size_t sent = 0; sent < out.size();) {
            const ssize_t n = ::send(fd, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
            if (n <= 0) return false;
            sent += static_cast<std::size_t>(n);
        }
        return true;
    }

    std::mutex mutex_;
    Answer answer_;
    int listener_ = -1;
    std::array<int, 2> wake_{-1, -1};
    int port_ = 0;
    std::atomic<int> connections_{0};
    std::thread thread_;
};

}  // namespace circus
