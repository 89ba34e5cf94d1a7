// Handshake: why a connection that circusctl makes comes to nothing, as far as ZMQ tells: it goes on waiting
// in silence where the other side wants a key, or does not take the one there is. Watches one socket from
// before its connect(); the thread of that socket.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace zmq {
class context_t;
class socket_t;
}  // namespace zmq

namespace circus::control {

class Handshake {
  public:
    // Throws zmq::error_t.
    Handshake(zmq::context_t& context, zmq::socket_t& watched, bool with_key);
    ~Handshake();

    zmq::socket_t& socket() { return *events_; }  // to wait for beside the other
    // The error that ends the waiting: nothing will come of it. None: it may.
    std::optional<Error> verdict();
    // What may be the reason when nothing came after all; empty: nothing is known.
    std::string suspicion() const;

  private:
    std::unique_ptr<zmq::socket_t> events_;
    bool with_key_;
    bool was_ended_ = false;
};

}  // namespace circus::control
