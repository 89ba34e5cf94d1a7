// Server: the ROUTER on [circus] endpoint. Two frames in (the client's identity, the request) and two out; a
// message of any other number of frames is dropped. Who sent it is asked of the kernel (loop/doorman.hpp).
// Waiting commands are answered later, in the order in which their operations end. Answers wait for a client
// that reads late, up to 64 MiB of them, and nobody waits for that client; no client waits for the ends of
// more than 5000 operations. On the loop's thread.
//
// make() binds, serve() connects it to the arbiter; what arrives between the two is kept for serve() as far
// as ZMQ's queue goes, because the loop does not run meanwhile. finish() takes the last answers along: they
// have the pump's linger to leave. Destroy after the arbiter's last settle().
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "control/access.hpp"
#include "control/audit.hpp"
#include "loop/doorman.hpp"
#include "loop/turn_hooks.hpp"
#include "loop/zmq_pump.hpp"

namespace circus::supervise {
class Arbiter;
}

namespace circus::control {

class Controller;

class Server {
  public:
    // An error names the endpoint and says whether another circusd has it. `owner` and `open_to_all`:
    // endpoint.hpp. `curve_secret`: ZmqPump::Options. `listener`: what another process has listened with
    // there until now; empty: there is none.
    static Result<std::unique_ptr<Server>> make(loop::Loop& loop, loop::ZmqContext& context,
                                                const std::string& endpoint, std::optional<uid_t> owner = {},
                                                bool open_to_all = false,
                                                const std::string& curve_secret = {}, UniqueFd listener = {});
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // `daemon_pid`: whom dstats shows.
    void serve(supervise::Arbiter& arbiter, const Clock& clock, pid_t daemon_pid);
    // Where commands are executed; null before serve().
    Controller* controller() const { return controller_.get(); }
    // At the end of a turn: what was left to do by whoever is no client, or came back to be done, is done.
    void go_on();
    std::string endpoint() const;  // the last one bound, with the real port
    // A further endpoint beside those there are; and one that is not served any more. Answers that are on
    // their way there have the pump's linger to leave.
    Status bind(const std::string& endpoint, std::optional<uid_t> owner = {}, bool open_to_all = false);
    void unbind(const std::string& endpoint);
    // As ZmqPump::take_listener().
    UniqueFd take_listener() { return pump_ ? pump_->take_listener() : UniqueFd(); }
    // Answers nobody from now on and removes the file of an ipc endpoint. Done by the destructor if need be.
    void finish();

  private:
    Server();
    Caller caller() const;  // of the message that is being received
    bool is_known(const std::string& key, const std::string& address);
    void receive(loop::Frames&& frames);
    void answer(const std::string& client, std::uint64_t request, std::string text);
    void work();

    std::unique_ptr<loop::Doorman> doorman_;
    std::optional<loop::ZmqPump> pump_;
    std::vector<std::string> bound_;  // as asked for
    const supervise::Arbiter* arbiter_ = nullptr;
    std::unique_ptr<Controller> controller_;
    RefusalLog strangers_;                     // whose keys nobody knows
    std::map<std::string, std::size_t> owed_;  // answers that clients wait for, by their identities
    std::uint64_t requests_ = 0;
    std::uint64_t receiving_ = 0;         // the request inside receive(); 0: none
    bool answered_ = false;               // that one, at once
    std::optional<loop::Idle> portions_;  // while the controller has work
};

}  // namespace circus::control
