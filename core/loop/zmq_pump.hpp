// ZmqPump: a ZMQ socket on the loop, and the only thing that may touch that socket. Owned, driven and called
// back on the loop's thread.
//
// A ZMQ socket's descriptor is edge-triggered, and any send or receive on the socket can consume the edge.
// So: each turn takes messages up to a budget; after the last send or receive of the turn ZMQ_EVENTS is asked
// again; and while it says "readable" an Idle hook brings the loop back, whatever the descriptor says.
//
// Nothing here ever blocks. What cannot be sent at once, because a peer does not read, is held for a ROUTER
// that has `hold_bytes`, and offered again in later turns. What is beyond that, or for a peer that is gone,
// is dropped and counted. The pump may be destroyed inside its own callback.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "loop/loop.hpp"

namespace zmq {
class context_t;
}

namespace circus::loop {

// The ZMQ context, with its I/O thread. Outlives its pumps; its destructor waits for their linger, no longer.
class ZmqContext {
  public:
    ZmqContext();
    ~ZmqContext();
    ZmqContext(const ZmqContext&) = delete;
    ZmqContext& operator=(const ZmqContext&) = delete;
    zmq::context_t& native() const { return *context_; }  // for core/loop only

  private:
    std::unique_ptr<zmq::context_t> context_;
};

using Frames = std::vector<std::string>;

class ZmqPump {
  public:
    enum class Kind { Router, Dealer, Pub, Sub, Pair };
    struct Options {
        int send_queue = 1000;       // messages per peer; more are held or dropped
        std::size_t hold_bytes = 0;  // Router: of a peer, and four times that of all of them
        int receive_queue = 1000;    // messages per peer; then the peer has to wait; 0: no limit
        std::int64_t max_message = 16LL * 1024 * 1024;  // bytes of a frame; a peer that sends more is cut off
        Milliseconds linger{100};                       // how long unsent messages outlive the pump
        std::string zap_domain = {};                    // not empty: Doorman is asked about who connects
        std::string curve_secret = {};  // Z85; not empty: tcp endpoints that are bound want CURVE, others not
    };
    using Receive = std::function<void(Frames&& frames)>;  // a whole message; ROUTER: identity first
    // Of which connection a message came, as Doorman understands it.
    struct Origin {
        int fd = -1;         // of its connection then: it may be over, and the descriptor another's
        std::string ticket;  // that Doorman let the connection in with; empty: none
    };

    // `receive` may be empty for Pub.
    static Result<ZmqPump> make(Loop& loop, ZmqContext& context, Kind kind, const Options& options,
                                Receive receive);
    ZmqPump(ZmqPump&&) noexcept;
    ZmqPump& operator=(ZmqPump&&) noexcept;
    ~ZmqPump();

    Status bind(const std::string& endpoint);
    // On a descriptor that listens there already, of another process's pump before.
    Status bind_on(const std::string& endpoint, UniqueFd listener);
    // A duplicate of the descriptor that the last bind() has made, once; empty: the transport has none.
    UniqueFd take_listener();
    // Takes nothing more there and lets go of who came by it; what is queued for them has the linger to
    // leave.
    Status unbind(const std::string& endpoint);
    Status connect(const std::string& endpoint);
    Status subscribe(const std::string& prefix);  // Sub
    std::string last_endpoint() const;            // as bound: with the real port

    // Of the message that is being received; inside Receive only, and with a zap_domain only.
    const Origin& origin() const;
    // Connections that come and go are told at that inproc endpoint, to a Pair, as zmq_socket_monitor(3) has
    // it. Before the first bind().
    Status tell_connections(const std::string& inproc);
    // Takes all that there is now, whatever the budget; for a pump whose peer is this program.
    void take_all();

    // False: dropped (see above). True: on its way or held. ROUTER: the first frame names the peer.
    bool send(const Frames& frames);
    std::uint64_t dropped() const;
    // Blocks until a message has made `done` true, `limit` at the most: for a program that has nothing else
    // to do, never for the arbiter. Messages go to `receive` as ever. False: not done.
    bool wait(const std::function<bool()>& done, Milliseconds limit);

  private:
    struct State;
    explicit ZmqPump(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

}  // namespace circus::loop
