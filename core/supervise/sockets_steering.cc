// SocketTable: which of the slots' listeners gets a new connection. By a program of our own where the
// configuration asks for it and the kernel lets us; else by the kernel's hash, around those that leave.
#include <algorithm>
#include <fcntl.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "model/steering.hpp"
#include "supervise/sockets.hpp"
#include "sys/reuseport_group.hpp"
#include "sys/sock_diag.hpp"

namespace circus::supervise {

namespace {

using config::SteeringKind;

sys::Steering::By way_of(SteeringKind kind) {
    return kind == SteeringKind::LeastLoaded ? sys::Steering::By::LeastLoaded : sys::Steering::By::RoundRobin;
}

}  // namespace

void SocketTable::steer(Socket& socket) {
    if (!socket.steering) return steer_around(socket);
    std::vector<model::SlotService> services;
    std::vector<unsigned> places, chosen;
    for (const auto& [key, slot] : socket.slots) {
        if (!slot.place) continue;
        services.push_back({slot.has_worker, slot.is_leaving});
        places.push_back(*slot.place);
    }
    for (const std::size_t i : model::chosen_slots(services)) chosen.push_back(places[i]);
    socket.steering->choose(chosen);
}

// Only where others stay.
void SocketTable::steer_around(Socket& socket) {
    const auto& group = socket.group;
    std::vector<unsigned> stay;
    for (std::size_t i = 0; i < group.size(); ++i)
        if (!socket.slots.at(group[i]).is_leaving) stay.push_back(static_cast<unsigned>(i));
    const bool can = !stay.empty() && stay.size() < group.size();
    if (!can && !socket.is_steered) return;
    const int listener = group.empty() ? -1 : socket.slots.at(group.front()).fd.get();
    socket.is_steered = can;
    if (listener < 0) return;
    const Status steered = can ? sys::steer_to(listener, stay) : sys::steer_to_all(listener);
    if (!steered) log::warning(cat("socket ", socket.config.name, ": ", steered.error().text));
}

// ---- the program ----

// The maps: those of an arbiter before, which have the listeners already.
void SocketTable::begin_steering(Socket& socket, UniqueFd listeners, UniqueFd marks) {
    auto opened = sys::Steering::open(way_of(socket.config.steering), std::move(listeners), std::move(marks));
    if (!opened) return give_up_steering(socket, opened.error());
    socket.steering.emplace(std::move(*opened));
    socket.unsteered.clear();
    if (socket.steering_hold == 0)
        socket.steering_hold = hold(cat(socket.config.name, "/steering"), socket.steering->listeners());
    if (socket.marks_hold == 0)
        socket.marks_hold = hold(cat(socket.config.name, "/marks"), socket.steering->marks());
}

void SocketTable::unhold_steering(Socket& socket) {
    if (socket.steering_hold != 0) unhold(std::exchange(socket.steering_hold, 0));
    if (socket.marks_hold != 0) unhold(std::exchange(socket.marks_hold, 0));
}

// Until the watchers tell who accepts, whoever does not leave is chosen. Where this arbiter may not do what
// the one before could, its program goes, and the kernel's hash goes around those that leave.
void SocketTable::resume_steering(Socket& socket, UniqueFd listeners, UniqueFd marks) {
    reopen_steering(socket, std::move(listeners), std::move(marks));
    steer(socket);
}

void SocketTable::reopen_steering(Socket& socket, UniqueFd listeners, UniqueFd marks) {
    // A listener is in one map only: without that of before, who was in it cannot be in a new one.
    if (!listeners && socket.steering_hold != 0) unhold(std::exchange(socket.steering_hold, 0));
    // Without these, what was accepted before counts for nobody.
    if (!marks && socket.marks_hold != 0) unhold(std::exchange(socket.marks_hold, 0));
    if (socket.slots.empty()) return unhold_steering(socket);
    begin_steering(socket, std::move(listeners), std::move(marks));
    for (auto& [key, slot] : socket.slots) {
        if (!socket.steering) return;
        // What joins the group first brings the program: not before all are chosen again.
        if (Status done = slot.place ? socket.steering->put(*slot.place, slot.fd.get()) : Status(Ok{}); !done)
            return give_up_steering(socket, done.error());
    }
    if (socket.steering) steer(socket);
    for (auto& [key, slot] : socket.slots)
        if (socket.steering) enlist(socket, slot);
}

// It is the group's program from the first of them on.
void SocketTable::enlist(Socket& socket, Socket::Slot& slot) {
    if (!slot.place) {
        std::vector<unsigned> taken;
        for (const auto& [key, each] : socket.slots)
            if (each.place) taken.push_back(*each.place);
        slot.place = model::free_place(std::move(taken));
    }
    Status done = socket.steering->put(*slot.place, slot.fd.get());
    if (done) done = socket.steering->attach(slot.fd.get());
    if (!done) give_up_steering(socket, done.error());
}

void SocketTable::end_steering(Socket& socket) {
    unhold_steering(socket);
    for (auto& [key, slot] : socket.slots) {
        if (socket.steering && slot.place) socket.steering->take_out(*slot.place);
        slot.place.reset();
    }
    socket.unsteered.clear();
    // Also where there is none of ours: an arbiter before may have had the right to attach one.
    socket.steering.reset();
    if (socket.slots.empty()) return;
    if (const Status all = sys::steer_to_all(socket.slots.begin()->second.fd.get()); !all)
        log::warning(cat("socket ", socket.config.name, ": ", all.error().text));
}

void SocketTable::give_up_steering(Socket& socket, const Error& why) {
    end_steering(socket);
    socket.unsteered = why.text;
    log::warning(cat("socket ", socket.config.name, ": connections go by the kernel's hash, not by ",
                     config::to_string(socket.config.steering), ": ", why.text));
}

// After a change of the configuration.
void SocketTable::change_steering(Socket& socket) {
    if (socket.config.steering == SteeringKind::Kernel) {
        end_steering(socket);
    } else if (socket.steering && !socket.slots.empty()) {
        Status done = socket.steering->change(way_of(socket.config.steering));
        if (done) done = socket.steering->attach(socket.slots.begin()->second.fd.get());
        if (!done) give_up_steering(socket, done.error());
    } else {
        end_steering(socket);
        // Who has no slot yet begins with the first of them.
        if (!socket.slots.empty()) begin_steering(socket);
        for (auto& [key, slot] : socket.slots)
            if (socket.steering) enlist(socket, slot);
    }
    steer(socket);
}

bool SocketTable::is_steering() const {
    return std::any_of(sockets_.begin(), sockets_.end(),
                       [](const auto& socket) { return socket->steering.has_value(); });
}

void SocketTable::tell_workers(std::string_view watcher, const std::vector<bool>& accepting) {
    const std::string key = to_lower(watcher);
    for (const auto& socket : sockets_) {
        if (!socket->steering) continue;
        bool is_news = false;
        for (auto at = socket->slots.lower_bound({key, 0});
             at != socket->slots.end() && at->first.first == key; ++at) {
            const auto index = static_cast<std::size_t>(at->first.second - 1);
            const bool accepts = index < accepting.size() && accepting[index];
            is_news = is_news || at->second.has_worker != accepts;
            at->second.has_worker = accepts;
        }
        if (is_news) steer(*socket);
    }
}

// ---- loads ----

bool SocketTable::is_steering_by_load() const {
    return std::any_of(sockets_.begin(), sockets_.end(), [](const auto& socket) {
        return socket->steering && socket->config.steering == SteeringKind::LeastLoaded &&
               !socket->slots.empty();
    });
}

std::vector<SocketTable::Measured> SocketTable::to_measure() const {
    std::vector<Measured> all;
    for (const auto& socket : sockets_) {
        if (!socket->steering || socket->config.steering != SteeringKind::LeastLoaded) continue;
        Measured measured;
        measured.socket = socket->config.name;
        for (const auto& [key, slot] : socket->slots)
            if (const auto mark = sys::inode_of(slot.fd.get()); mark && slot.place)
                measured.rows.push_back({key, *slot.place, socket->steering->picks(*slot.place), *mark});
        if (measured.rows.empty()) continue;
        const auto duplicate = [](int fd) { return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); };
        measured.address = duplicate(socket->slots.begin()->second.fd.get());
        measured.marks = duplicate(socket->steering->marks());
        if (measured.address && measured.marks) all.push_back(std::move(measured));
    }
    return all;
}

void SocketTable::feed(const Measured& measured) {
    Socket* const socket = find_socket(measured.socket);
    if (!socket || !socket->steering) return;
    for (const auto& row : measured.rows) {
        const auto slot = socket->slots.find(row.slot);
        // Its place may be another one's by now.
        if (slot != socket->slots.end() && slot->second.place == row.place)
            socket->steering->feed(row.place, row.load, row.picks);
    }
}

}  // namespace circus::supervise
