// Binding listening sockets. One attempt, no retries; every failure names the address and the errno.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace circus::sys {

struct ListenSpec {
    enum class Family { Inet, Inet6, Unix } family = Family::Inet;
    int type = 1;      // SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW, SOCK_RDM
    int protocol = 0;  // IPPROTO_*; 0: the usual one
    std::string host;  // a name or a number; looked up with getaddrinfo, first usable result
    int port = 0;
    bool listen = true;  // false: only bound, which keeps the port
    int backlog = 2048;  // listen(2), for SOCK_STREAM and SOCK_SEQPACKET
    bool so_reuseport = false;
    std::string interface;  // SO_BINDTODEVICE
    bool blocking = false;  // else the descriptor is O_NONBLOCK
    // Unix sockets only:
    std::string path;             // "@name" is an abstract one
    std::optional<mode_t> umask;  // mode of the file is 0777 & ~umask; nullopt: the process's umask
    bool replace = false;         // an existing *socket* file is removed first; anything else is an error
    std::optional<uid_t> owner;
    std::optional<gid_t> group;
};

struct Listener {
    UniqueFd fd;          // CLOEXEC
    std::string address;  // "127.0.0.1:8080", "[::1]:80", "/run/x.sock"
    std::string host;     // numeric, as bound
    int port = 0;         // the real one, also where 0 was asked for
};

Result<Listener> listen_on(const ListenSpec& spec);

// Whether nobody has the unix socket any more whose file that is. `type` as above; of another one it is not
// told.
bool is_abandoned(const std::string& path, int type);

// Where that unix socket was bound in the file system; empty: nowhere, or it is no unix socket. Its file may
// have been moved or removed since.
std::string bound_path(int fd);

// This process's descriptors on which connections are accepted, sorted.
std::vector<int> listening_descriptors();

// Changes of a socket that is bound already; whoever has a duplicate of the descriptor sees them too.
Status set_backlog(int fd, int backlog);  // of one that listens
Status set_blocking(int fd, bool blocking);
Status set_reuseport(int fd, bool on);
// Owner and mode of a unix socket's file, as listen_on() would make them.
Status dress(const ListenSpec& spec);

}  // namespace circus::sys
