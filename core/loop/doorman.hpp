// Doorman: who is at the other end of a connection to a ZMQ socket. One in a context, because ZMQ asks at one
// place (ZAP, RFC 27). The loop's thread.
//
// ZMQ gives with each message the descriptor of its connection, which may have been closed and used again
// since. So each connection of a socket with a `zap_domain` waits in its handshake until the doorman has
// looked at every connection there is, and gets a ticket; ticket and descriptor together name it
// (visits.hpp). The sockets that it lets in are watched from before their first bind().
//
// Over CURVE a client is its public key, and one that nobody knows is not let in. All others are: what
// somebody may do is decided for each message, by who it is.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/result.hpp"
#include "loop/loop.hpp"
#include "loop/visits.hpp"
#include "loop/zmq_pump.hpp"
#include "sys/peer.hpp"

namespace circus::loop {

class Doorman {
  public:
    // Whether a CURVE key (Z85) may come in, from that address.
    using Knows = std::function<bool(const std::string& key, const std::string& address)>;
    // An error: this context has one already.
    static Result<std::unique_ptr<Doorman>> make(Loop& loop, ZmqContext& context, Knows knows);
    ~Doorman();
    Doorman(const Doorman&) = delete;
    Doorman& operator=(const Doorman&) = delete;

    // The one socket whose messages who() is asked about: made with a zap_domain, and not bound yet.
    Status watch(ZmqPump& pump);
    // Neither: it is not known, and must be treated so.
    struct Sender {
        const sys::Peer* peer = nullptr;  // until the next turn of the loop
        std::string key;                  // of CURVE, Z85
    };
    Sender who(const ZmqPump::Origin& origin) const;

  private:
    Doorman(Loop& loop, ZmqContext& context, Knows knows)
        : loop_(loop), context_(context), knows_(std::move(knows)) {}
    std::string ticket_for(const Frames& question);
    void on_request(Frames&& frames);
    void on_connection(const Frames& frames);
    void look();

    Loop& loop_;
    ZmqContext& context_;
    const Knows knows_;
    Visits visits_;
    std::optional<ZmqPump> questions_;    // ZAP's
    std::optional<ZmqPump> connections_;  // that come and go
};

}  // namespace circus::loop
