// StagedSockets: the sockets of a new configuration, bound where that is needed and not yet in use. The first
// half of a change of the SocketTable: everything that can fail happens here, and what is not handed over to
// SocketTable::replace() is undone by the destructor.
//
// stage() looks up hosts and may block: it runs in any thread, on Present descriptors of its own, while the
// table lives on. An address that a socket on its way out still has is taken beside it (SO_REUSEPORT on
// both), the path of one under another name that becomes the right one in replace().
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "config/config.hpp"
#include "config/diff.hpp"
#include "sys/listen.hpp"

namespace circus::supervise {

// A unix socket with a name in the file system, which is removed with the socket.
inline bool has_file(const config::SocketConfig& config) {
    return !config.path.empty() && config.path.front() != '@';
}

class StagedSockets {
  public:
    // A socket of the table, with a duplicate of its descriptor.
    struct Present {
        config::SocketConfig config;
        UniqueFd fd;
        int port = 0;  // the real one
    };
    struct Row {
        config::SocketConfig config;
        std::string from;  // the present socket that goes on here, or whose number this takes
        std::optional<sys::Listener> listener;  // none: the present one goes on
        std::string temporary;                  // where the file is until replace(); empty: at its place
    };

    // An error names section, address and errno.
    static Result<StagedSockets> stage(std::vector<Present> present,
                                       const std::vector<config::SocketConfig>& next);
    StagedSockets(StagedSockets&& other) noexcept;
    StagedSockets& operator=(StagedSockets&& other) noexcept;
    ~StagedSockets();

    // For SocketTable::replace(): the rows are its own now. In the order of the configuration.
    std::vector<Row> take();

  private:
    StagedSockets() = default;
    Status bind(Row& row, const config::SocketChange& change);
    Result<sys::Listener> bind_beside(sys::ListenSpec spec);
    bool is_leaving(const Present& present) const;
    void undo();

    std::vector<Present> present_;
    std::vector<config::SocketChange> changes_;
    std::vector<Row> rows_;
    std::vector<int> opened_;  // descriptors of Present whose SO_REUSEPORT was turned on
};

}  // namespace circus::supervise
