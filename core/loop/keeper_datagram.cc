#include "loop/keeper_datagram.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper/wire.hpp"

namespace circus::loop {

UniqueFd sealed_memfd(std::span<const std::byte> bytes) {
    UniqueFd fd(memfd_create("circus-data", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    for (std::size_t at = 0; fd && at < bytes.size();) {
        const ssize_t n = write(fd.get(), bytes.data() + at, bytes.size() - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return UniqueFd();
        at += static_cast<std::size_t>(n);
    }
    if (fd && fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        return UniqueFd();
    return fd;
}

Sent send_datagram(int socket, const std::vector<std::byte>& data, const int* fds, std::size_t fd_count) {
    iovec part{const_cast<std::byte*>(data.data()), data.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * keeper::kMaxFdsPerMessage)] = {};
    if (fd_count > 0) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        std::memcpy(CMSG_DATA(rights), fds, sizeof(int) * fd_count);
    }
    for (;;) {
        if (sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Sent::Yes;
        switch (errno) {
            case EINTR:
                continue;
            case EAGAIN:
                return Sent::Full;
            case ENOBUFS:
            case ENOMEM:
            case ETOOMANYREFS:
                return Sent::Short;
            case EPIPE:
            case ECONNRESET:
            case ENOTCONN:
            case ECONNREFUSED:
                return Sent::PeerGone;
            default:
                return Sent::Refused;
        }
    }
}

}  // namespace circus::loop
