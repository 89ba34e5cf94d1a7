// Holds: the descriptors that the keeper holds for the next arbiter, by what they are for. A HoldId is a
// space and a number in it: sockets of the stack are numbered by supervise::SocketTable, pipes by
// stream::Streams, and the endpoints, which have names, here.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/unique_fd.hpp"
#include "keeper/wire.hpp"
#include "supervise/ports.hpp"

namespace circus::bin {

enum class HoldSpace : std::uint64_t { Socket = 0, Pipe = 1, Endpoint = 2, Journal = 3, Deaths = 4 };

constexpr keeper::HoldId hold_of(HoldSpace space, std::uint64_t number) {
    return static_cast<std::uint64_t>(space) << 56U | number;
}
constexpr HoldSpace space_of(keeper::HoldId id) {
    return static_cast<HoldSpace>(id >> 56U);
}
constexpr std::uint64_t number_of(keeper::HoldId id) {
    return id & ((std::uint64_t{1} << 56U) - 1);
}

// The listening descriptors of the control socket and of the event socket. The loop's thread.
class EndpointHolds {
  public:
    // What the arbiter before has listened with; `name` as hold() gave it.
    void inherit(keeper::HoldId id, std::string_view name, UniqueFd fd) {
        next_ = std::max(next_, number_of(id) + 1);
        inherited_[std::string(name)] = std::move(fd);
        ids_[std::string(name)] = id;
    }
    // Empty: nothing listened there.
    UniqueFd take(std::string_view what, std::string_view endpoint) {
        auto held = inherited_.extract(name_of(what, endpoint));
        return held.empty() ? UniqueFd() : std::move(held.mapped());
    }
    void hold(supervise::KeeperPort& keeper, std::string_view what, std::string_view endpoint, UniqueFd fd) {
        if (!fd) return;
        const std::string name = name_of(what, endpoint);
        drop(keeper, what, endpoint);
        const auto id = hold_of(HoldSpace::Endpoint, next_++);
        keeper.hold(id, name, fd.get());
        ids_[name] = id;
    }
    void drop(supervise::KeeperPort& keeper, std::string_view what, std::string_view endpoint) {
        const auto at = ids_.find(name_of(what, endpoint));
        if (at == ids_.end()) return;
        keeper.drop(at->second);
        ids_.erase(at);
    }
    // Nobody took them: nobody listens there any more.
    void drop_rest(supervise::KeeperPort& keeper) {
        for (const auto& [name, fd] : std::exchange(inherited_, {})) {
            keeper.drop(ids_.at(name));
            ids_.erase(name);
        }
    }

  private:
    static std::string name_of(std::string_view what, std::string_view endpoint) {
        return std::string(what) + " " + std::string(endpoint);
    }
    std::uint64_t next_ = 1;
    std::map<std::string, UniqueFd> inherited_;
    std::map<std::string, keeper::HoldId> ids_;
};

}  // namespace circus::bin
