#include "supervise/staged_sockets.hpp"

#include <algorithm>
#include <cerrno>
#include <unistd.h>
#include <utility>

#include "base/text.hpp"
#include "supervise/sockets.hpp"

namespace circus::supervise {

StagedSockets::StagedSockets(StagedSockets&& other) noexcept
    : present_(std::move(other.present_)),
      changes_(std::move(other.changes_)),
      rows_(std::exchange(other.rows_, {})),
      opened_(std::exchange(other.opened_, {})) {}

StagedSockets& StagedSockets::operator=(StagedSockets&& other) noexcept {
    if (this == &other) return *this;
    undo();
    present_ = std::move(other.present_);
    changes_ = std::move(other.changes_);
    rows_ = std::exchange(other.rows_, {});
    opened_ = std::exchange(other.opened_, {});
    return *this;
}

StagedSockets::~StagedSockets() {
    undo();
}

void StagedSockets::undo() {
    for (const Row& row : rows_) {
        if (!row.listener || !has_file(row.config)) continue;
        ::unlink(row.temporary.empty() ? row.config.path.c_str() : row.temporary.c_str());
    }
    for (const int fd : opened_) (void)sys::set_reuseport(fd, false);
    rows_.clear();
    opened_.clear();
}

std::vector<StagedSockets::Row> StagedSockets::take() {
    opened_.clear();
    present_.clear();
    return std::exchange(rows_, {});
}

Result<StagedSockets> StagedSockets::stage(std::vector<Present> present,
                                           const std::vector<config::SocketConfig>& next) {
    StagedSockets staged;
    std::vector<config::SocketConfig> current;
    for (const Present& each : present) current.push_back(each.config);
    staged.present_ = std::move(present);
    staged.changes_ = config::diff_sockets(current, next);
    for (std::size_t i = 0; i < next.size(); ++i) {
        Row row{next[i], staged.changes_[i].from, std::nullopt, {}};
        if (staged.changes_[i].bind)
            if (const Status bound = staged.bind(row, staged.changes_[i]); !bound)
                return Error{cat("[socket.", next[i].name, "]: ", bound.error().text), bound.error().code};
        staged.rows_.push_back(std::move(row));
    }
    return staged;
}

bool StagedSockets::is_leaving(const Present& present) const {
    return std::none_of(changes_.begin(), changes_.end(), [&](const config::SocketChange& change) {
        return change.from == present.config.name && !change.bind;
    });
}

Status StagedSockets::bind(Row& row, const config::SocketChange& change) {
    sys::ListenSpec spec = SocketTable::listen_spec(row.config);
    if (has_file(row.config)) {
        const auto holder = std::find_if(present_.begin(), present_.end(), [&](const Present& each) {
            return each.config.path == row.config.path;
        });
        if (holder != present_.end()) {
            if (!is_leaving(*holder))
                return Error{cat("cannot bind unix socket \"", spec.path, "\": it is the path of [socket.",
                                 holder->config.name, "]"),
                             EADDRINUSE};
            row.temporary = cat(spec.path, ".", change.name, ".new");
            spec.path = row.temporary;
            spec.replace = true;
        }
    }
    auto listener = sys::listen_on(spec);
    if (!listener && listener.error().code == EADDRINUSE && row.config.path.empty()) {
        auto beside = bind_beside(spec);
        if (beside) listener = std::move(beside);
    }
    if (!listener) return listener.error();
    if (!row.temporary.empty()) listener->address = row.config.path;
    row.listener = std::move(*listener);
    return Ok{};
}

// The port may be one that the change gives up. Both ends have to allow that two have it for a moment.
Result<sys::Listener> StagedSockets::bind_beside(sys::ListenSpec spec) {
    bool found = false;
    for (const Present& each : present_) {
        if (!each.config.path.empty() || each.port != spec.port || !is_leaving(each)) continue;
        found = true;
        if (each.config.so_reuseport) continue;
        if (!each.fd || !sys::set_reuseport(each.fd.get(), true)) continue;
        opened_.push_back(each.fd.get());
    }
    if (!found) return Error{"the address is in use", EADDRINUSE};
    const bool keeps = spec.so_reuseport;
    spec.so_reuseport = true;
    auto listener = sys::listen_on(spec);
    if (listener && !keeps) (void)sys::set_reuseport(listener->fd.get(), false);
    return listener;
}

}  // namespace circus::supervise
