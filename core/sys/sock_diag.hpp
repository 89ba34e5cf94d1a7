// What the kernel knows of listening sockets, over NETLINK_SOCK_DIAG and TCP_INFO: exact figures, or none.
// Every call is a few system calls that wait for nothing.
//
// Sources: sock_diag(7), tcp(7), linux/inet_diag.h, linux/unix_diag.h. Of a listener, tcpi_unacked is the
// length of its accept queue and tcpi_sacked its limit; a connection that waits to be accepted has inode 0.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <sys/types.h>
#include <vector>

#include "base/result.hpp"

namespace circus::sys {

struct QueueFigures {
    std::uint64_t length = 0;  // connections that wait to be accepted
    std::uint64_t limit = 0;
};
// Of one listener of TCP or of a unix socket. An error: it is no such, or the kernel does not tell.
Result<QueueFigures> accept_queue(int listener);

// Connections that were accepted from these listeners and are still in hand, whoever holds them: those that
// the other side has closed for writing, too. The listeners are of one address (several with SO_REUSEPORT).
Result<std::uint64_t> accepted_and_open(int listener);
// The inodes of these: by them a process's descriptors tell that it has work in hand.
Result<std::set<std::uint32_t>> accepted_inodes(int listener);

// Of the connections that these listeners of one address of TCP were given, those that wait to be accepted or
// are in hand, whoever holds them: how many have which mark. `marks` is the map of these (steering.hpp); a
// connection that was made before its listener was marked has none and is left out. To look takes the kernel
// a walk through the table of all connections: some 4 ns for each of its places, and some 100,000 of these.
Result<std::map<std::uint32_t, std::uint64_t>> connections_by_mark(int listener, int marks);

// The number by which the kernel names a socket in its tables, of a descriptor.
Result<std::uint32_t> inode_of(int fd);

// Connections that these listeners of TCP could not take (sk_drops), since each was made.
Result<std::uint64_t> dropped(const std::vector<int>& listeners);

// Whose socket is at the other end of an established TCP connection within this machine. An error: none of
// this machine's is, or it has been closed.
Result<uid_t> owner_of_far_end(int connection);

}  // namespace circus::sys
