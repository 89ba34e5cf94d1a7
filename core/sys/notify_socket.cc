#include "sys/notify_socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/text.hpp"

namespace circus::sys {
namespace {

// sd_notify sends a few lines; what is longer is cut, and none of the lines that count stands so far behind.
constexpr std::size_t kLongest = 4096;

bool bind_abstract(int fd, std::string_view name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t length = std::min(name.size(), sizeof address.sun_path - 1);
    std::memcpy(address.sun_path + 1, name.data(), length);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
    return ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0;
}

// unix(7): no name at all, and the kernel chooses one.
bool bind_anywhere(int fd) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    return ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address.sun_family) == 0;
}

std::string abstract_name_of(int fd) {
    sockaddr_un address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
    const std::size_t length = size - offsetof(sockaddr_un, sun_path);
    return length < 2 ? std::string() : cat("@", std::string_view(address.sun_path + 1, length - 1));
}

bool has_line(std::string_view text, std::string_view line) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (text.substr(0, end) == line) return true;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return false;
}

// What came beside the text: who sent it, and descriptors, of which one is kept and the others are closed.
void take_control(msghdr& message, Notification& notification, UniqueFd& kept) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET) continue;
        const std::size_t bytes = part->cmsg_len - CMSG_LEN(0);
        if (part->cmsg_type == SCM_CREDENTIALS && bytes >= sizeof(ucred)) {
            ucred who{};
            std::memcpy(&who, CMSG_DATA(part), sizeof who);
            notification.pid = who.pid;
        }
        if (part->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t i = 0; i < bytes / sizeof(int); ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
            kept.reset(fd);
        }
    }
}

}  // namespace

Result<NotifySocket> NotifySocket::open(std::string_view name) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return sys_error("cannot make a socket for sd_notify", errno);
    const int on = 1;
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0)
        return sys_error("cannot ask for the senders of sd_notify", errno);
    if (!bind_abstract(fd.get(), name) && !bind_anywhere(fd.get()))
        return sys_error("cannot bind a socket for sd_notify", errno);
    return adopt(std::move(fd));
}

Result<NotifySocket> NotifySocket::adopt(UniqueFd fd) {
    std::string address = abstract_name_of(fd.get());
    if (address.empty()) return Error{"the socket for sd_notify has no address"};
    return NotifySocket(std::move(fd), std::move(address));
}

std::optional<Notification> NotifySocket::receive() {
    std::array<char, kLongest> text;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(16 * sizeof(int))> control;
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    barrier_.reset();
    ssize_t got = 0;
    do got = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0) return std::nullopt;
    Notification notification;
    take_control(message, notification, barrier_);
    notification.ready = has_line({text.data(), static_cast<std::size_t>(got)}, "READY=1");
    return notification;
}

}  // namespace circus::sys
