// KeeperClient: the arbiter's end of keeper/wire.hpp. Passive between two events: methods put requests on the
// socket or, when it is full, in a queue that is sent on as the keeper reads; facts come back through the
// Handler, on the loop's thread and never from inside a method. Order is kept in both directions.
//
// States: open -> gone. It is gone once the keeper's end is closed and everything the keeper had sent before
// was handed on; gone() is then called once and nothing afterwards. Requests to a keeper that is gone vanish.
// The client may be destroyed inside any of its callbacks.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <sys/types.h>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "keeper/wire.hpp"
#include "loop/loop.hpp"

namespace circus::loop {

class KeeperClient {
  public:
    struct Handler {
        // The page's descriptor, and that of the state that the arbiter before has saved: empty if there is
        // none.
        std::function<void(const keeper::HelloMessage&, UniqueFd page, UniqueFd state)> hello;
        // What there is, to an arbiter that follows another one: between its hello and greeted.
        std::function<void(const keeper::ChildMessage&, UniqueFd pidfd)> child = {};
        std::function<void(const keeper::HeldMessage&, UniqueFd)> held = {};
        std::function<void()> greeted = {};
        // The pidfd is empty when this process is out of descriptors: Exited comes all the same.
        std::function<void(const keeper::SpawnedMessage&, UniqueFd pidfd)> spawned;
        std::function<void(const keeper::SpawnFailedMessage&)> spawn_failed;
        std::function<void(const keeper::ExitedMessage&)> exited;
        std::function<void(const keeper::CaughtMessage&)> caught;
        std::function<void(int error)> upgraded = {};  // 0: leave
        std::function<void()> unsaved = {};            // the last save() did not arrive: to be sent again
        std::function<void()> gone;
    };

    // An error when the descriptor is no socket that can be watched. Any function of `handler` may be empty.
    static Result<KeeperClient> make(Loop& loop, UniqueFd socket, Handler handler);
    KeeperClient(KeeperClient&&) noexcept;
    KeeperClient& operator=(KeeperClient&&) noexcept;
    ~KeeperClient();

    // The descriptors named in a request are borrowed for the call. A spawn that cannot even be sent (no
    // descriptor or memory left here) is answered like any other that failed: by spawn_failed, later.
    void spawn(keeper::ChildId id, const keeper::SpawnRequest& request);
    void signal(keeper::ChildId id, int signo, keeper::Scope scope, pid_t pid, bool stopping);
    void hold(keeper::HoldId id, std::string_view name, int fd);
    void drop(keeper::HoldId id);
    void limits(Milliseconds stop_timeout, Milliseconds arbiter_timeout);
    // The state that the next arbiter finds, in the place of the one before. False: it could not be sent, for
    // want of descriptors or memory, and should be again.
    bool save(std::string_view state);
    void upgrade(std::string_view binary);
    void ready();
    void notify(std::string_view text);  // for the service manager; what is too long is cut
    void exit(int code);

    // Blocks until everything queued is on its way, `limit` at the most. For the end of the program.
    bool flush(Milliseconds limit);
    std::size_t queued() const;
    std::uint64_t received() const;  // datagrams that were handed on
    bool is_gone() const;

  private:
    struct State;
    explicit KeeperClient(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

}  // namespace circus::loop
