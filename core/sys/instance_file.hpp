// The file that says whose an endpoint is, and two locks on it. It stays when circusd ends: to remove it
// would let two take it at once.
//
// The locks belong to open file descriptions (F_OFD_SETLK), so they live exactly as long as the processes
// that have the descriptors, and no child has them (O_CLOEXEC):
//   Keeper   held by the keeper: somebody runs there. Outlives every arbiter, and a re-exec of the keeper
//   Arbiter  held by the arbiter: while it alone is held, an arbiter whose keeper was killed stops its stack
//
// The text names the instance, and has a row for each child with the way it wants to be stopped, and one for
// each file of a unix socket: what a later circusd needs if both are killed at once. Written with single
// pwrite(2)s of fixed length, so that a death at any moment leaves it readable. Nobody but its owner may
// write to it, and it holds for one boot.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/instance.hpp"

namespace circus::sys {

struct InstanceHeader {
    std::string instance;    // as in the workers' mark; empty: never written
    PidRef keeper, arbiter;  // keeper: as `instance` says
    bool is_stopping = false;
    // Whose stack was not known to be gone when `instance` took the file: it may have left processes.
    std::string before;
    PidRef arbiter_before;

    std::string to_text() const;
    // What is no header, or of another boot, is an empty one.
    static InstanceHeader parse(std::string_view text, std::string_view boot);
};

// How a child of the last instance that had any is stopped.
struct ChildRow {
    std::uint64_t child = 0;
    PidRef process;  // zero while it is being started
    int stop_signal = 15;
    Milliseconds graceful_timeout{30000};

    std::string to_text() const;
    static std::optional<ChildRow> parse(std::string_view text);  // none: a free row
};

// The file of a unix socket of the stack, known by its inode: what is there under that path later may be
// somebody else's.
struct SocketRow {
    std::uint64_t path = 0;  // a hash of it, which fits into a row
    std::uint64_t inode = 0;

    // Of the socket that is there now; none: there is no socket.
    static std::optional<SocketRow> of(const std::string& path);
    std::string to_text() const;
    static std::optional<SocketRow> parse(std::string_view text);
    bool operator==(const SocketRow&) const = default;
};

class InstanceFile {
  public:
    enum class Lock : std::uint8_t { Keeper, Arbiter };

    // Makes the file, 0600. It must be a regular file of this user with one name, and no link; an error says
    // what it is and what to do.
    static Result<InstanceFile> open(const std::string& path);

    // 0: taken (or had before). EAGAIN: somebody else's. Else what the filesystem says.
    int lock(Lock which);
    // The descriptor that the keeper's lock goes with: for the keeper to hold. Closed here by the caller's
    // wish.
    UniqueFd release_keeper() { return std::move(keeper_); }

    InstanceHeader header() const;
    Status write(const InstanceHeader& header);
    std::vector<ChildRow> rows() const;
    void clear_rows();  // those of children
    std::vector<SocketRow> sockets() const;
    void set_sockets(const std::vector<SocketRow>& sockets);

    // Rows of this instance's children. A full disk costs the row, not the child: false.
    bool put(const ChildRow& row);
    void remove(std::uint64_t child);
    // After a change of arbiters: the rows that are there go on to be this instance's.
    void adopt_rows();

  private:
    std::size_t take_place();

    std::string path_;
    UniqueFd keeper_, arbiter_;  // two open file descriptions: each has its locks
    std::map<std::uint64_t, std::size_t> used_;
    std::vector<std::size_t> socket_places_;
    std::vector<std::size_t> free_;
    std::size_t size_ = 0;  // rows that were ever used
};

}  // namespace circus::sys
