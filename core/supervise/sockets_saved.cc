// The SocketTable from one arbiter to the next: the keeper holds what listens, this says which is which.
#include <algorithm>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "config/saved.hpp"
#include "supervise/saved_state.hpp"
#include "supervise/sockets.hpp"

namespace circus::supervise {

Json SocketTable::saved() const {
    Json all = Json::array();
    for (const auto& socket : sockets_) {
        Json slots = Json::array();
        const auto put = [&slots](const auto& key, const Socket::Slot& slot, bool is_grouped) {
            slots.push_back({key.first, key.second, slot.hold, slot.is_leaving, is_grouped,
                             slot.place ? Json(*slot.place) : Json()});
        };
        // In the kernel's order.
        const auto& group = socket->group;
        for (const auto& key : group) put(key, socket->slots.at(key), true);
        for (const auto& [key, slot] : socket->slots)
            if (std::find(group.begin(), group.end(), key) == group.end()) put(key, slot, false);
        all.push_back({{"config", config::to_saved(socket->config)},
                       {"worker_fd", socket->worker_fd},
                       {"hold", socket->hold},
                       {"spare", socket->fd && socket->hold == 0},
                       {"address", socket->address},
                       {"host", socket->host},
                       {"port", socket->port},
                       {"is_steered", socket->is_steered},
                       {"steering", socket->steering_hold},
                       {"marks", socket->marks_hold},
                       {"slots", std::move(slots)}});
    }
    Json saved = {{"sockets", std::move(all)}, {"next_hold", next_hold_}};
    if (!renames_.empty()) saved["renames"] = renames_;
    if (!removals_.empty()) saved["removals"] = removals_;
    return saved;
}

Status SocketTable::restore(const Json& saved, std::map<HoldId, UniqueFd> listeners, KeeperPort& keeper) {
    keeper_ = &keeper;
    next_hold_ = saved.at("next_hold").get<HoldId>();
    for (const auto& [hold, fd] : listeners) next_hold_ = std::max(next_hold_, hold + 1);
    const auto take = [&listeners](HoldId hold) {
        auto held = listeners.extract(hold);
        return held.empty() ? UniqueFd() : std::move(held.mapped());
    };
    for (const Json& each : saved.at("sockets")) {
        auto socket = std::make_unique<Socket>();
        config::from_saved(each.at("config"), socket->config);
        socket->worker_fd = each.at("worker_fd").get<int>();
        socket->address = each.at("address").get<std::string>();
        socket->host = each.at("host").get<std::string>();
        socket->port = each.at("port").get<int>();
        socket->hold = each.at("hold").get<HoldId>();
        if (socket->hold != 0) socket->fd = take(socket->hold);
        if (socket->fd) count_connections(*socket, socket->fd.get());
        for (const Json& row : each.at("slots")) {
            Socket::Slot slot{take(row.at(2).get<HoldId>()), row.at(2).get<HoldId>(), row.at(3).get<bool>()};
            // Without its listener the slot makes another one when it is used next.
            if (!slot.fd) continue;
            count_connections(*socket, slot.fd.get());
            const std::pair key{row.at(0).get<std::string>(), row.at(1).get<int>()};
            if (row.at(4).get<bool>()) socket->group.push_back(key);
            if (row.size() > 5 && row.at(5).is_number()) slot.place = row.at(5).get<unsigned>();
            socket->slots[key] = std::move(slot);
        }
        socket->is_steered = each.value("is_steered", false);
        socket->steering_hold = each.value("steering", HoldId{0});
        socket->marks_hold = each.value("marks", HoldId{0});
        if (socket->config.steering != config::SteeringKind::Kernel)
            resume_steering(*socket, take(socket->steering_hold), take(socket->marks_hold));
        if (!socket->fd && (socket->hold != 0 || each.at("spare").get<bool>()))
            if (Status bound = bind_again(*socket); !bound) return bound;
        sockets_.push_back(std::move(socket));
    }
    for (const Json& each : saved.value("renames", Json::array())) {
        auto rename = each.get<std::pair<std::string, std::string>>();
        // Else that much was done.
        if (::access(rename.first.c_str(), F_OK) == 0) renames_.push_back(std::move(rename));
    }
    removals_ = saved.value("removals", std::vector<std::string>());
    move_files();
    drop_unnoted(listeners);
    return Ok{};
}

// Held for a change that was not noted any more; or before one that was, and then its path may be another's.
void SocketTable::drop_unnoted(const std::map<HoldId, UniqueFd>& listeners) {
    for (const auto& [hold, fd] : listeners) {
        keeper_->drop(hold);
        const std::string path = sys::bound_path(fd.get());
        const bool is_ours = std::any_of(sockets_.begin(), sockets_.end(),
                                         [&path](const auto& socket) { return socket->config.path == path; });
        if (!path.empty() && !is_ours) ::unlink(path.c_str());
    }
}

// With so_reuseport what keeps the port is nobody's to hold; else the keeper did not hold it any more.
Status SocketTable::bind_again(Socket& socket) {
    sys::ListenSpec spec = listen_spec(socket.config);
    spec.replace = true;  // the file is that of the one before
    if (socket.config.path.empty()) {
        spec.host = socket.host;
        spec.port = socket.port;
    }
    auto listener = sys::listen_on(spec);
    if (!listener)
        return Error{cat("[socket.", socket.config.name, "]: ", listener.error().text),
                     listener.error().code};
    socket.fd = std::move(listener->fd);
    if (socket.hold == 0) return Ok{};
    log::warning(cat("[socket.", socket.config.name, "] was bound anew"));
    socket.hold = hold(socket.config.name, socket.fd.get());
    count_connections(socket, socket.fd.get());
    return Ok{};
}

}  // namespace circus::supervise
