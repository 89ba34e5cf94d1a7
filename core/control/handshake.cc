#include "control/handshake.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <zmq.hpp>

namespace circus::control {

namespace {

constexpr const char* kHandshakes = "inproc://handshake";

struct HandshakeEvent {
    std::uint16_t kind = 0;
    std::uint32_t value = 0;
};

// The next one there is; of kind 0: none. Its second frame, the address, is nothing new.
HandshakeEvent next_event(zmq::socket_t& events) {
    HandshakeEvent event;
    zmq::message_t frame;
    if (!events.recv(frame, zmq::recv_flags::dontwait)) return event;
    if (frame.size() >= sizeof event.kind + sizeof event.value) {
        std::memcpy(&event.kind, frame.data(), sizeof event.kind);
        std::memcpy(&event.value, frame.data<char>() + sizeof event.kind, sizeof event.value);
    }
    while (frame.more() && events.recv(frame, zmq::recv_flags::dontwait)) {
    }
    return event;
}

}  // namespace

Handshake::Handshake(zmq::context_t& context, zmq::socket_t& watched, bool with_key) : with_key_(with_key) {
    if (zmq_socket_monitor(watched.handle(), kHandshakes,
                           ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                               ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL) != 0)
        throw zmq::error_t();
    events_ = std::make_unique<zmq::socket_t>(context, zmq::socket_type::pair);
    events_->set(zmq::sockopt::linger, 0);
    events_->connect(kHandshakes);
}

Handshake::~Handshake() = default;

std::optional<Error> Handshake::verdict() {
    for (HandshakeEvent event = next_event(*events_); event.kind != 0; event = next_event(*events_)) {
        if (event.kind == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
            return Error{"the key of --curve is not let in; a line of the daemon's curve_keys must have it",
                         EACCES};
        if (event.kind == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
            event.value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
            return with_key_ ? Error{"no key (CURVE) is wanted there: leave --curve and CIRCUSCTL_CURVE away",
                                     EACCES}
                             : Error{"a key (CURVE) is wanted there: give it with --curve FILE", EACCES};
        was_ended_ = true;
    }
    return std::nullopt;
}

std::string Handshake::suspicion() const {
    if (!was_ended_ || !with_key_) return {};
    return "the connection was ended again and again: perhaps the line \"server\" of the key file is not the "
           "public key of that daemon";
}

}  // namespace circus::control
