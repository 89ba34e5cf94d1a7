#include "keeper/notifier.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace circus::keeper {

namespace {

constexpr int kPatienceMs = 100;
constexpr auto kLongestWatchdog = std::chrono::hours(24);

}  // namespace

Notifier::Notifier(const char* address, const char* watchdog_us, const char* watched) {
    const std::string_view name = address ? address : "";
    const bool is_abstract = name.starts_with('@');
    if (name.size() < 2 || name.size() >= sizeof address_.sun_path || (!is_abstract && name.front() != '/'))
        return;
    address_.sun_family = AF_UNIX;
    name.copy(address_.sun_path, name.size());
    if (is_abstract) address_.sun_path[0] = '\0';
    size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (is_abstract ? 0 : 1));
    socket_.reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const long long microseconds = watchdog_us ? std::strtoll(watchdog_us, nullptr, 10) : 0;
    if (microseconds <= 0 || (watched && std::strtoll(watched, nullptr, 10) != getpid())) return;
    watchdog_ = std::chrono::microseconds(
        std::min<long long>(microseconds, std::chrono::microseconds(kLongestWatchdog).count()));
}

bool Notifier::send(std::string_view text) {
    if (!socket_) return true;
    for (int tries = 0;; ++tries) {
        const auto sent = sendto(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL,
                                 reinterpret_cast<const sockaddr*>(&address_), size_);
        is_read_ = is_read_ || sent >= 0;
        if (sent >= 0) return true;
        if (errno != EAGAIN || tries > 0 || !is_read_) {
            is_read_ = false;
            return false;
        }
        // The receiver's queue is full. POLLOUT of an unconnected socket does not tell of it: this only
        // waits.
        poll(nullptr, 0, kPatienceMs);
    }
}

}  // namespace circus::keeper
