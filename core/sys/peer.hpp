// Who is at the other end of an accepted connection, as the kernel knows it: of a unix socket by SO_PEERCRED,
// of a TCP connection within this machine by the owner of the client's socket (sock_diag(7), else /proc). The
// call waits for nothing.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

namespace circus::sys {

struct Peer {
    std::optional<uid_t> uid = {};  // as whom it connected; none: it is not known
    pid_t pid = 0;                  // of a unix socket: who connected, and may have ended since; else 0
    std::string address = {};       // of TCP: "127.0.0.1:43210"; else empty
    std::string unknown = {};       // why there is no uid
};

// The descriptor must be open for the length of the call; whether it was still the connection that is meant
// is the caller's question.
Peer peer_of(int fd);

}  // namespace circus::sys
