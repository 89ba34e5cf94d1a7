// SocketTable while the configuration changes: what is staged takes its place.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <set>
#include <unistd.h>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/sockets.hpp"

namespace circus::supervise {

namespace {

void warn(const config::SocketConfig& config, const Status& done) {
    if (!done) log::warning(cat("[socket.", config.name, "]: ", done.error().text));
}

}  // namespace

std::vector<StagedSockets::Present> SocketTable::present() const {
    std::vector<StagedSockets::Present> all;
    all.reserve(sockets_.size());
    for (const auto& socket : sockets_) {
        UniqueFd fd(socket->fd ? ::fcntl(socket->fd.get(), F_DUPFD_CLOEXEC, 3) : -1);
        all.push_back({socket->config, std::move(fd), socket->port});
    }
    return all;
}

// What a socket may become without being bound anew.
void SocketTable::adjust(Socket& socket, const config::SocketConfig& config) {
    const config::SocketConfig before = std::exchange(socket.config, config);
    std::vector<int> fds;
    if (socket.fd) fds.push_back(socket.fd.get());
    for (const auto& [key, slot] : socket.slots) fds.push_back(slot.fd.get());
    if (before.blocking != config.blocking)
        for (const int fd : fds) warn(config, sys::set_blocking(fd, config.blocking));
    const bool queues =
        config.type == config::SocketType::Stream || config.type == config::SocketType::SeqPacket;
    if (before.backlog != config.backlog && queues) {
        const sys::ListenSpec spec = listen_spec(config);
        for (const int fd : fds)
            if (spec.listen || fd != socket.fd.get()) warn(config, sys::set_backlog(fd, config.backlog));
    }
    if (before.steering != config.steering) change_steering(socket);
    if (has_file(config) &&
        (before.umask != config.umask || before.owner != config.owner || before.group != config.group))
        warn(config, sys::dress(listen_spec(config)));
}

void SocketTable::replace(StagedSockets staged, KeeperPort& keeper) {
    keeper_ = &keeper;
    ++version_;
    std::vector<std::unique_ptr<Socket>> old = std::exchange(sockets_, {});
    std::set<std::string> paths;
    for (StagedSockets::Row& row : staged.take()) {
        const auto from = std::find_if(old.begin(), old.end(), [&row](const auto& socket) {
            return socket && socket->config.name == row.from;
        });
        if (has_file(row.config)) paths.insert(row.config.path);
        if (!row.listener) {
            adjust(**from, row.config);
            sockets_.push_back(std::move(*from));
            continue;
        }
        auto socket = std::make_unique<Socket>();
        socket->config = row.config;
        if (from != old.end()) socket->worker_fd = (*from)->worker_fd;
        socket->fd = std::move(row.listener->fd);
        socket->address = std::move(row.listener->address);
        socket->host = std::move(row.listener->host);
        socket->port = row.listener->port;
        if (listen_spec(row.config).listen) {
            socket->hold = hold(row.config.name, socket->fd.get());
            count_connections(*socket, socket->fd.get());
        }
        if (!row.temporary.empty()) renames_.emplace_back(row.temporary, row.config.path);
        sockets_.push_back(std::move(socket));
    }
    for (const auto& socket : old) {
        if (!socket) continue;
        drop(*socket);
        if (has_file(socket->config) && !paths.contains(socket->config.path))
            removals_.push_back(socket->config.path);
    }
    number();
}

void SocketTable::move_files() {
    if (renames_.empty() && removals_.empty()) return;
    ++version_;
    // Over the old file where there is one: a client that connects finds one listener or the other.
    for (const auto& [temporary, path] : std::exchange(renames_, {})) {
        if (::rename(temporary.c_str(), path.c_str()) == 0) continue;
        log::error(sys_error(cat("cannot put the unix socket in its place, \"", path, "\""), errno).text);
        ::unlink(temporary.c_str());
    }
    for (const std::string& path : std::exchange(removals_, {})) ::unlink(path.c_str());
}

void SocketTable::number() {
    std::set<int> taken;
    for (const auto& socket : sockets_) taken.insert(socket->worker_fd);
    int next = 3;
    for (const auto& socket : sockets_) {
        if (socket->worker_fd != 0) continue;
        while (taken.contains(next)) ++next;
        socket->worker_fd = next;
        taken.insert(next);
    }
}

}  // namespace circus::supervise
