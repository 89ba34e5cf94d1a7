#include "supervise/sockets.hpp"

#include <algorithm>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "sys/listen.hpp"

namespace circus::supervise {

namespace {

sys::ListenSpec spec_of(const config::SocketConfig& config) {
    sys::ListenSpec spec;
    switch (config.family) {
        case config::Family::Inet:
            spec.family = sys::ListenSpec::Family::Inet;
            break;
        case config::Family::Inet6:
            spec.family = sys::ListenSpec::Family::Inet6;
            break;
        case config::Family::Unix:
            spec.family = sys::ListenSpec::Family::Unix;
            break;
    }
    switch (config.type) {
        case config::SocketType::Stream:
            spec.type = SOCK_STREAM;
            break;
        case config::SocketType::Dgram:
            spec.type = SOCK_DGRAM;
            break;
        case config::SocketType::SeqPacket:
            spec.type = SOCK_SEQPACKET;
            break;
        case config::SocketType::Raw:
            spec.type = SOCK_RAW;
            break;
        case config::SocketType::Rdm:
            spec.type = SOCK_RDM;
            break;
    }
    if (!config.path.empty()) spec.family = sys::ListenSpec::Family::Unix;
    spec.protocol = config.proto;
    spec.host = config.host;
    spec.port = config.port;
    spec.backlog = config.backlog;
    spec.so_reuseport = config.so_reuseport;
    spec.interface = config.interface;
    spec.blocking = config.blocking;
    spec.path = config.path;
    spec.umask = config.umask;
    spec.replace = config.replace;
    if (config.owner) spec.owner = config.owner->uid;
    if (config.group) spec.group = config.group->gid;
    return spec;
}

bool has_slots(const config::SocketConfig& config) {
    return config.so_reuseport && config.path.empty();
}

int slots_in(const config::SocketConfig& config, int count, const SocketTable::Names& unused) {
    return unused.contains(to_lower(config.name)) ? 0 : count;
}

// A socket without connections receives from the moment it is bound.
bool receives_when_bound(const config::SocketConfig& config) {
    return config.type != config::SocketType::Stream && config.type != config::SocketType::SeqPacket;
}

}  // namespace

sys::ListenSpec SocketTable::listen_spec(const config::SocketConfig& config) {
    sys::ListenSpec spec = spec_of(config);
    spec.listen = !has_slots(config);
    return spec;
}

std::vector<int> SocketTable::Socket::listeners() const {
    if (receives_when_bound(config)) return {};
    if (!has_slots(config)) return {fd.get()};
    std::vector<int> fds;
    fds.reserve(slots.size());
    for (const auto& [key, slot] : slots) fds.push_back(slot.fd.get());
    return fds;
}

void SocketTable::count_connections(Socket& socket, int fd) {
    if (socket.config.type == config::SocketType::Stream && socket.config.path.empty())
        socket.connections.attach(fd);
}

HoldId SocketTable::hold(std::string_view name, int fd) {
    const HoldId id = next_hold_++;
    ++version_;
    keeper_->hold(id, name, fd);
    return id;
}

void SocketTable::unhold(HoldId id) {
    ++version_;
    keeper_->drop(id);
}

Status SocketTable::bind(const std::vector<config::SocketConfig>& configs, KeeperPort& keeper) {
    keeper_ = &keeper;
    for (const auto& config : configs) {
        auto listener = sys::listen_on(listen_spec(config));
        if (!listener) {
            Error why{cat("[socket.", config.name, "]: ", listener.error().text), listener.error().code};
            close_all();
            return why;
        }
        auto socket = std::make_unique<Socket>();
        socket->config = config;
        socket->worker_fd = 3 + static_cast<int>(sockets_.size());
        socket->fd = std::move(listener->fd);
        socket->address = std::move(listener->address);
        socket->host = std::move(listener->host);
        socket->port = listener->port;
        if (!has_slots(config)) socket->hold = hold(config.name, socket->fd.get());
        if (!has_slots(config)) count_connections(*socket, socket->fd.get());
        sockets_.push_back(std::move(socket));
    }
    return Ok{};
}

SocketTable::Socket* SocketTable::find_socket(std::string_view name) const {
    for (const auto& socket : sockets_)
        if (equals_ignoring_case(socket->config.name, name)) return socket.get();
    return nullptr;
}

Result<HoldId> SocketTable::for_worker(std::string_view name, std::string_view watcher, int wid) {
    Socket* const socket = find_socket(name);
    if (!socket) return Error{cat("there is no socket ", py_repr(name))};
    if (!has_slots(socket->config)) return socket->hold;
    const auto slot = slot_of(*socket, watcher, wid);
    if (!slot) return slot.error();
    return (*slot)->hold;
}

Result<std::vector<int>> SocketTable::listeners_of(std::string_view name, std::string_view watcher,
                                                   int count) {
    Socket* const socket = find_socket(name);
    if (!socket) return Error{cat("there is no socket ", py_repr(name))};
    if (!has_slots(socket->config)) return std::vector<int>{socket->fd.get()};
    std::vector<int> fds;
    for (int wid = 1; wid <= count; ++wid) {
        const auto slot = slot_of(*socket, watcher, wid);
        if (!slot) return slot.error();
        fds.push_back((*slot)->fd.get());
    }
    return fds;
}

Result<SocketTable::Socket::Slot*> SocketTable::slot_of(Socket& socket, std::string_view watcher, int wid) {
    const std::pair key{to_lower(watcher), wid};
    if (const auto at = socket.slots.find(key); at != socket.slots.end()) {
        // Of a watcher that was removed, and another one has its name.
        if (std::exchange(at->second.is_leaving, false)) {
            ++version_;
            steer(socket);
        }
        return &at->second;
    }
    Socket::Slot slot;
    if (receives_when_bound(socket.config) && socket.fd) {
        slot.fd = std::move(socket.fd);
    } else {
        sys::ListenSpec spec = spec_of(socket.config);
        spec.host = socket.host;
        spec.port = socket.port;
        auto listener = sys::listen_on(spec);
        if (!listener) return listener.error();
        slot.fd = std::move(listener->fd);
        count_connections(socket, slot.fd.get());
        socket.group.push_back(key);
    }
    slot.hold = hold(cat(socket.config.name, "/", watcher, "/", wid), slot.fd.get());
    Socket::Slot& made = socket.slots[key] = std::move(slot);
    if (socket.config.steering != config::SteeringKind::Kernel) {
        if (!socket.steering && socket.unsteered.empty()) begin_steering(socket);
        if (socket.steering) enlist(socket, made);
    }
    steer(socket);
    return &made;
}

void SocketTable::close(UniqueFd& fd) {
    if (fd && closing_) closing_(fd.get());
    fd.reset();
}

void SocketTable::trim(std::string_view watcher, int count, const Names& unused) {
    const std::string key = to_lower(watcher);
    for (const auto& socket : sockets_) {
        const auto first = socket->slots.lower_bound({key, slots_in(socket->config, count, unused) + 1});
        auto at = first;
        for (; at != socket->slots.end() && at->first.first == key; ++at) at->second.is_leaving = true;
        if (at == first) continue;
        // Before they close: what is queued on them goes to others, where the kernel can do that.
        if (socket->steering) steer(*socket);
        at = first;
        while (at != socket->slots.end() && at->first.first == key) {
            unhold(at->second.hold);
            if (receives_when_bound(socket->config) && socket->slots.size() == 1)
                socket->fd = std::move(at->second.fd);  // the last one keeps the port
            close(at->second.fd);
            // As the kernel does it: the last one takes the place.
            if (const auto place = std::find(socket->group.begin(), socket->group.end(), at->first);
                place != socket->group.end()) {
                std::swap(*place, socket->group.back());
                socket->group.pop_back();
            }
            at = socket->slots.erase(at);
        }
        if (socket->steering) steer(*socket);
        // What steered around them stays, up to the next one that is made: the keeper's duplicates close in
        // a moment, and until then they would get new connections.
    }
}

std::optional<SocketTable::Held> SocketTable::held_by(std::string_view name, std::string_view watcher,
                                                      int wid) const {
    const Socket* const socket = find_socket(name);
    if (!socket) return std::nullopt;
    const bool has_connections = !receives_when_bound(socket->config);
    if (!has_slots(socket->config)) return Held{socket->fd.get(), false, has_connections};
    const auto slot = socket->slots.find({to_lower(watcher), wid});
    if (slot == socket->slots.end()) return std::nullopt;
    return Held{slot->second.fd.get(), true, has_connections};
}

bool SocketTable::leaves(std::string_view watcher, int wid) const {
    return std::any_of(sockets_.begin(), sockets_.end(),
                       [key = std::pair(to_lower(watcher), wid)](const auto& socket) {
                           const auto slot = socket->slots.find(key);
                           return slot != socket->slots.end() && slot->second.is_leaving;
                       });
}

std::vector<SocketTable::Held> SocketTable::leaving(std::string_view watcher, int wid) const {
    std::vector<Held> held;
    for (const auto& socket : sockets_) {
        const auto slot = socket->slots.find({to_lower(watcher), wid});
        if (slot == socket->slots.end() || !slot->second.is_leaving) continue;
        if (std::any_of(socket->slots.begin(), socket->slots.end(),
                        [](const auto& each) { return !each.second.is_leaving; }))
            held.push_back({slot->second.fd.get(), true, !receives_when_bound(socket->config)});
    }
    return held;
}

void SocketTable::drain(std::string_view watcher, int count, const Names& unused) {
    ++version_;
    const std::string key = to_lower(watcher);
    for (const auto& socket : sockets_) {
        for (auto& [of, slot] : socket->slots)
            if (of.first == key) slot.is_leaving = of.second > slots_in(socket->config, count, unused);
        steer(*socket);
    }
}

void SocketTable::drop(Socket& socket) {
    for (auto& [key, slot] : socket.slots) {
        unhold(slot.hold);
        close(slot.fd);
    }
    socket.slots.clear();
    socket.group.clear();
    socket.is_steered = false;
    end_steering(socket);
    if (socket.hold != 0) unhold(std::exchange(socket.hold, 0));
    close(socket.fd);
}

void SocketTable::close_all() {
    move_files();
    for (const auto& socket : sockets_) {
        drop(*socket);
        if (!socket->config.path.empty() && socket->config.path.front() != '@')
            ::unlink(socket->config.path.c_str());
    }
    sockets_.clear();
}

}  // namespace circus::supervise
