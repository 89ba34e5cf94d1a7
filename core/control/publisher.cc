#include "control/publisher.hpp"

#include <chrono>
#include <cstdint>
#include <cstring>

#include <zmq.hpp>

namespace circus::control {

namespace {

constexpr const char* kEvents = "inproc://events";

// ZeroMQ connects a subscriber to nothing but a publisher: to a ROUTER the handshake ends the connection.
constexpr int kVerdicts = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED |
                          ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                          ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

}  // namespace

bool publishes(const std::string& endpoint, Duration patience, const MaybeKeys& keys) {
    try {
        zmq::context_t context{1};
        zmq::socket_t subscriber{context, zmq::socket_type::sub};
        subscriber.set(zmq::sockopt::linger, 0);
        subscriber.set(zmq::sockopt::ipv6, true);
        if (zmq_socket_monitor(subscriber.handle(), kEvents, kVerdicts) != 0) return false;
        zmq::socket_t events{context, zmq::socket_type::pair};
        events.set(zmq::sockopt::linger, 0);
        events.set(zmq::sockopt::rcvtimeo,
                   static_cast<int>(std::chrono::ceil<Milliseconds>(patience).count()));
        events.connect(kEvents);
        if (keys && endpoint.starts_with("tcp:")) {
            subscriber.set(zmq::sockopt::curve_serverkey, keys->server_key);
            subscriber.set(zmq::sockopt::curve_publickey, keys->public_key);
            subscriber.set(zmq::sockopt::curve_secretkey, keys->secret_key);
        }
        subscriber.connect(endpoint);
        zmq::message_t message;
        std::uint16_t event = 0;
        if (events.recv(message) && message.size() >= sizeof event)
            std::memcpy(&event, message.data(), sizeof event);
        return event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED;
    } catch (const zmq::error_t&) {
        return false;
    }
}

}  // namespace circus::control
