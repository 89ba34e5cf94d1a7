#include "link.hpp"

#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "foreign_json.hpp"

namespace console {

namespace {

using circus::Json;
using std::chrono::seconds;

// circusd answers a question at once; what is waited for (`waiting`) may take as long as a worker has to
// stop.
constexpr auto kPatience = seconds(10);
constexpr auto kLongPatience = seconds(60);
constexpr std::uint64_t kOwn = 0;  // the number of the link's own question
constexpr int kReconnectMs = 200;
constexpr int kLongestReconnectMs = 2000;
constexpr int kHandshakeMs = 5000;
constexpr int kHeartbeatMs = 3000;
constexpr int kSilenceMs = 9000;  // without an answer to heartbeats: the connection is dead
constexpr int kMostEventsHeld = 10000;
constexpr int kMostEventsAtOnce = 1000;

// All frames of the next message; none: there is none.
std::vector<std::string> receive_frames(zmq::socket_t& socket) {
    std::vector<std::string> frames;
    zmq::message_t frame;
    do {
        if (!socket.recv(frame, zmq::recv_flags::dontwait)) return {};
        frames.push_back(frame.to_string());
    } while (frame.more());
    return frames;
}

struct ConnectionEvent {
    std::uint16_t kind = 0;
    std::uint32_t value = 0;
};

std::optional<ConnectionEvent> next_event(zmq::socket_t& watch) {
    const auto frames = receive_frames(watch);
    ConnectionEvent event;
    if (frames.empty() || frames[0].size() < sizeof event.kind + sizeof event.value) return std::nullopt;
    std::memcpy(&event.kind, frames[0].data(), sizeof event.kind);
    std::memcpy(&event.value, frames[0].data() + sizeof event.kind, sizeof event.value);
    return event;
}

// As circusd's own answers to a plugin have it.
circus_status status_of(const Json& answer) {
    if (answer.value("status", Json()) != "error") return CIRCUS_OK;
    const auto number = answer.find("errno");
    switch (number != answer.end() && number->is_number_integer() ? number->get<int>() : 0) {
        case 2:
            return CIRCUS_E_NOT_FOUND;
        case 4:
            return text_in(answer, "reason").starts_with("permission denied") ? CIRCUS_DENY : CIRCUS_E_AGAIN;
        case 5:
            return CIRCUS_E_CONFLICT;
        case 6:
            return CIRCUS_E_EXCEPTION;
        default:
            return CIRCUS_E_INVALID;
    }
}

bool waits(const std::string& properties) {
    const Json parsed = Json::parse(properties, nullptr, false);
    return parsed.is_object() && parsed.value("waiting", Json()) == true;
}

}  // namespace

std::string failure_text(const std::string& reason) {
    return circus::detail::dump({{"status", "error"}, {"reason", reason}});
}

Link::Link(zmq::context_t& context, const EndpointSettings& settings, const std::string& name_of_watch,
           Told told)
    : settings_(settings),
      told_(std::move(told)),
      control_(context, zmq::socket_type::dealer),
      events_(context, zmq::socket_type::sub),
      watch_(context, zmq::socket_type::pair) {
    prepare(control_, settings.control);
    // Not to a daemon that is not there: see Links.
    control_.set(zmq::sockopt::immediate, true);
    if (zmq_socket_monitor(control_.handle(), name_of_watch.c_str(), ZMQ_EVENT_ALL) != 0)
        throw zmq::error_t();
    watch_.set(zmq::sockopt::linger, 0);
    watch_.connect(name_of_watch);
    events_.set(zmq::sockopt::rcvhwm, kMostEventsHeld);
    events_.set(zmq::sockopt::subscribe, "");
    say("nobody answers at " + settings.control);
    control_.connect(settings.control);
}

Link::~Link() {
    // libzmq 4.3 leaks what it cannot tell any more, because whoever is told has gone too.
    zmq_socket_monitor(control_.handle(), nullptr, 0);
}

void Link::prepare(zmq::socket_t& socket, const std::string& address) const {
    socket.set(zmq::sockopt::linger, 0);
    socket.set(zmq::sockopt::ipv6, true);
    socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
    socket.set(zmq::sockopt::reconnect_ivl_max, kLongestReconnectMs);
    socket.set(zmq::sockopt::handshake_ivl, kHandshakeMs);
    socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
    socket.set(zmq::sockopt::heartbeat_timeout, kSilenceMs);
    if (!settings_.keys || !address.starts_with("tcp:")) return;
    socket.set(zmq::sockopt::curve_serverkey, settings_.keys->server_key);
    socket.set(zmq::sockopt::curve_publickey, settings_.keys->public_key);
    socket.set(zmq::sockopt::curve_secretkey, settings_.keys->secret_key);
}

void Link::say(const std::string& problem) {
    if (std::exchange(problem_, problem) != problem) told_.state(problem);
}

void Link::refuse(std::uint64_t number, circus_status status, const std::string& why) {
    if (number != kOwn) told_.answer(number, status, failure_text(settings_.name + why));
}

void Link::ask(std::uint64_t number, const std::string& command, const std::string& properties, Time now) {
    follow_connection();
    // Asked for in this order: what is sent to a connection that is only just there is not refused.
    const bool can_send = (control_.get(zmq::sockopt::events) & ZMQ_POLLOUT) != 0;
    if (!is_connected_) return refuse(number, CIRCUS_E_AGAIN, ": " + problem_);
    const std::string message = "{\"id\":" + std::to_string(number) +
                                ",\"command\":" + circus::detail::dump(command) +
                                ",\"properties\":" + properties + "}";
    if (!can_send || !control_.send(zmq::buffer(message), zmq::send_flags::dontwait))
        return refuse(number, CIRCUS_E_AGAIN, " takes no more for now");
    waiting_[number] = now + (waits(properties) ? kLongPatience : kPatience);
}

void Link::receive(Time now) {
    follow_connection();
    if (is_connected_ && !knows_events_ && !waiting_.contains(kOwn)) ask(kOwn, "globaloptions", "{}", now);
    take_answers();
    take_events();
}

void Link::follow_connection() {
    while (const auto event = next_event(watch_)) {
        switch (event->kind) {
            case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
                is_connected_ = true;
                knows_events_ = false;
                say("");
                break;
            case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
                end(settings_.keys ? settings_.control + " does not let in the key of `curve`"
                                   : settings_.control + " does not let this user in");
                break;
            case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
                if (event->value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
                    end(settings_.control + (settings_.keys ? " wants no key: leave `curve` away"
                                                            : " wants a key: `curve` names its file"));
                break;
            case ZMQ_EVENT_DISCONNECTED:
                // After a handshake that failed it is known why.
                if (is_connected_) end("nobody answers at " + settings_.control);
                break;
            case ZMQ_EVENT_CONNECT_DELAYED:
                is_reached_ = false;
                break;
            case ZMQ_EVENT_CONNECTED:
                is_reached_ = true;
                break;
            case ZMQ_EVENT_CLOSED:  // of an attempt to connect, or of a connection whose handshake failed
                if (!is_connected_ && !is_reached_) say("nobody answers at " + settings_.control);
                break;
            default:
                break;
        }
    }
}

void Link::end(const std::string& problem) {
    is_connected_ = false;
    say(problem);
    for (const auto& [number, until] : std::exchange(waiting_, {}))
        refuse(number, CIRCUS_E_AGAIN, ": the connection ended; it is not known whether that was done");
}

void Link::take_answers() {
    for (auto frames = receive_frames(control_); !frames.empty(); frames = receive_frames(control_)) {
        Json answer = frames.size() == 1 ? parse_foreign(frames[0]) : Json();
        const auto id = answer.is_object() ? answer.find("id") : answer.end();
        if (!answer.is_object() || id == answer.end() || !id->is_number_unsigned()) continue;
        const auto number = id->get<std::uint64_t>();
        if (waiting_.erase(number) == 0) continue;
        answer.erase("id");
        if (number != kOwn) {
            told_.answer(number, status_of(answer), circus::detail::dump(answer));
            continue;
        }
        knows_events_ = true;
        if (status_of(answer) == CIRCUS_OK)
            subscribe(object_in(answer, "options"));
        else
            say(settings_.control + ": " + text_in(answer, "reason", "an error"));
    }
}

void Link::subscribe(const Json& options) {
    std::string address = settings_.events;
    if (const auto told = text_in(options, "pubsub_endpoint"); address.empty() && !told.empty())
        address = reachable_events(told, settings_.control);
    if (address.empty() || address == subscribed_) return;
    try {
        if (!subscribed_.empty()) events_.disconnect(std::exchange(subscribed_, {}));
        prepare(events_, address);
        events_.connect(address);
        subscribed_ = address;
    } catch (const zmq::error_t& error) {
        say("its events at " + address + ": " + error.what());
    }
}

void Link::take_events() {
    for (int i = 0; i < kMostEventsAtOnce; ++i) {
        auto frames = receive_frames(events_);
        if (frames.empty()) return;
        if (frames.size() == 2) told_.event(std::move(frames[0]), std::move(frames[1]));
    }
}

void Link::give_up(Time now) {
    for (auto at = waiting_.begin(); at != waiting_.end();) {
        if (now < at->second) {
            ++at;
            continue;
        }
        const std::uint64_t number = at->first;
        at = waiting_.erase(at);
        refuse(number, CIRCUS_E_TIMEOUT, " has not answered; it may be still at it");
    }
}

}  // namespace console
