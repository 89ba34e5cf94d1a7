// How circusd comes to know that a worker is ready, as far as that needs the loop: the socket of
// sd_notify(3), and looks at addresses. Forwarding only; the loop's thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "loop/loop.hpp"
#include "loop/poll.hpp"
#include "loop/prober.hpp"
#include "loop/worker.hpp"
#include "supervise/ports.hpp"
#include "sys/notify_socket.hpp"

namespace circus::bin {

// Workers say here that they are ready; made when the first of them needs it. Who spoke is known from the
// kernel, and told with its ancestors: the arbiter finds the worker among them.
class NotifyPort final : public supervise::NotifyPort {
  public:
    // `ready` gets the pid of who is ready and those of its ancestors, nearest first.
    using Ready = std::function<void(const std::vector<pid_t>& lineage)>;
    // Holds a descriptor with the keeper, for the next arbiter.
    using Hold = std::function<void(int fd)>;
    // `instance` outlives a restart of the arbiter, and so do the address and what was said meanwhile.
    // `inherited` is what the arbiter before had held, or empty.
    NotifyPort(loop::Loop& loop, std::string instance, UniqueFd inherited, Ready ready, Hold hold)
        : loop_(loop),
          instance_(std::move(instance)),
          inherited_(std::move(inherited)),
          ready_(std::move(ready)),
          hold_(std::move(hold)) {}

    Result<std::string> address() override;
    // Reads what the arbiter before had held, if it had: who speaks there must not wait for somebody to read.
    Status resume();

  private:
    void take();

    loop::Loop& loop_;
    const std::string instance_;
    UniqueFd inherited_;
    const Ready ready_;
    const Hold hold_;
    std::optional<sys::NotifySocket> socket_;
    std::optional<loop::Poll> poll_;  // goes before the descriptor it polls
};

class ProbesPort final : public supervise::ProbePort {
  public:
    ProbesPort(loop::Loop& loop, loop::Prober::Looked looked)
        : names_(loop), prober_(loop, names_, std::move(looked)) {}

    void look(supervise::ChildId id, const config::ProbeAddress& at) override;
    void drop(supervise::ChildId id) override { prober_.drop(id); }
    // False: a thread hangs in a look-up and lives on.
    bool close() { return names_.close(); }

  private:
    // Of its own: a name server that does not answer must not keep a configuration from being read.
    loop::Worker names_;
    loop::Prober prober_;
};

}  // namespace circus::bin
