// Doorman: who is at the other end of a connection to a ZMQ socket. One in a context, because ZMQ asks at one
// place (ZAP, RFC 27). The loop's thread.
//
// ZMQ gives with each message the descriptor of its connection, which may have been closed and used again
// since. So each connection of a socket with a `zap_domain` waits in its handshake until the doorman has
// looked at every connection there is, and gets a ticket; ticket and descriptor together name it
// (visits.hpp). The sockets that it lets in are watched from before their first bind().
//
// It lets everybody in: what somebody may do is decided for each message, by who it is. With an empty answer
// from who() nothing is known of a message's sender, and it must be treated so.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "loop/loop.hpp"
#include "loop/visits.hpp"
#include "loop/zmq_pump.hpp"
#include "sys/peer.hpp"

namespace circus::loop {

class Doorman {
  public:
    // An error: this context has one already.
    static Result<std::unique_ptr<Doorman>> make(Loop& loop, ZmqContext& context);
    Doorman(const Doorman&) = delete;
    Doorman& operator=(const Doorman&) = delete;

    // The one socket whose messages who() is asked about: made with a zap_domain, and not bound yet.
    Status watch(ZmqPump& pump);
    // Null: it is not known. Until the next turn of the loop.
    const sys::Peer* who(const ZmqPump::Origin& origin) const;

  private:
    Doorman(Loop& loop, ZmqContext& context) : loop_(loop), context_(context) {}
    void on_request(Frames&& frames);
    void on_connection(const Frames& frames);
    void look();

    Loop& loop_;
    ZmqContext& context_;
    Visits visits_;
    std::optional<ZmqPump> questions_;    // ZAP's
    std::optional<ZmqPump> connections_;  // that come and go
};

}  // namespace circus::loop
