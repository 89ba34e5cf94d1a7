#include "control/client.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <zmq.hpp>

#include "base/text.hpp"
#include "control/handshake.hpp"
#include "control/interrupt.hpp"

namespace circus::control {

namespace {

// A client that was started a moment before its daemon is answered without a noticeable wait.
constexpr int kReconnectMs = 20;
constexpr int kEventsKept = 100'000;  // for a reader that is slower than the events for a while
constexpr Milliseconds::rep kLongestWaitMs = 3'600'000;  // of one receive; the deadline may be later

Error failure(const std::string& act, const zmq::error_t& error) {
    return {cat(act, ": ", std::string_view(error.what())), error.num()};
}

bool takes_keys(const std::string& endpoint, const MaybeKeys& keys) {
    return keys && endpoint.starts_with("tcp:");
}

void use(zmq::socket_t& socket, const std::string& endpoint, const MaybeKeys& keys) {
    if (!takes_keys(endpoint, keys)) return;
    socket.set(zmq::sockopt::curve_serverkey, keys->server_key);
    socket.set(zmq::sockopt::curve_publickey, keys->public_key);
    socket.set(zmq::sockopt::curve_secretkey, keys->secret_key);
}

// All frames of the next message; none: there is none yet.
std::vector<std::string> receive(zmq::socket_t& socket) {
    std::vector<std::string> frames;
    zmq::message_t frame;
    do {
        try {
            if (!socket.recv(frame, zmq::recv_flags::dontwait)) return {};
        } catch (const zmq::error_t& error) {
            if (error.num() != EINTR) throw;
            return {};  // a message arrives whole, so it was before the first frame
        }
        frames.push_back(frame.to_string());
    } while (frame.more());
    return frames;
}

// Until the socket has something, Ctrl-C (interrupt.hpp), or whoever reads from `output` has gone: true for
// the latter. -1: no such descriptor; no limit. `also`: another socket that ends it.
bool wait(zmq::socket_t& socket, int output, long milliseconds, zmq::socket_t* also = nullptr) {
    std::vector<zmq::pollitem_t> items = {{socket.handle(), 0, ZMQ_POLLIN, 0}};
    if (output >= 0) items.push_back({nullptr, output, ZMQ_POLLERR, 0});
    if (interrupt_fd() >= 0) items.push_back({nullptr, interrupt_fd(), ZMQ_POLLIN, 0});
    if (also) items.push_back({also->handle(), 0, ZMQ_POLLIN, 0});
    if (zmq_poll(items.data(), static_cast<int>(items.size()), milliseconds) < 0 && zmq_errno() != EINTR)
        throw zmq::error_t();
    return output >= 0 && (items[1].revents & ZMQ_POLLERR) != 0;
}

}  // namespace

struct Client::State {
    zmq::context_t context{1};
    zmq::socket_t socket{context, zmq::socket_type::dealer};
    std::optional<Handshake> handshake;
    std::string endpoint;
    int calls = 0;
    Error silence() const;
};

// Why there was no answer in time.
Error Client::State::silence() const {
    const std::string suspicion = handshake->suspicion();
    return suspicion.empty() ? Error{"Timed out.", ETIMEDOUT} : Error{cat(endpoint, ": ", suspicion), EACCES};
}

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::connect(const std::string& endpoint, const MaybeKeys& keys) {
    try {
        auto state = std::make_unique<State>();
        state->socket.set(zmq::sockopt::linger, 0);
        state->socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
        state->socket.set(zmq::sockopt::ipv6, true);
        use(state->socket, endpoint, keys);
        state->handshake.emplace(state->context, state->socket, takes_keys(endpoint, keys));
        state->endpoint = endpoint;
        state->socket.connect(endpoint);
        return Client(std::move(state));
    } catch (const zmq::error_t& error) {
        return failure(cat("cannot connect to ", endpoint), error);
    }
}

Result<std::string> Client::call(const std::string& command, const Json& properties, Duration timeout) {
    const std::string id = cat("circusctl-", ::getpid(), "-", ++state_->calls);
    const Json message = {{"id", id}, {"command", command}, {"properties", properties}};
    const TimePoint deadline = Monotonic::now() + timeout;
    try {
        state_->socket.send(zmq::buffer(message.dump(-1, ' ', false, Json::error_handler_t::replace)),
                            zmq::send_flags::none);
        while (true) {
            const auto left = std::chrono::ceil<Milliseconds>(deadline - Monotonic::now());
            if (left.count() <= 0) return state_->silence();
            auto frames = receive(state_->socket);
            if (interrupted()) return Error{"interrupted", EINTR};
            if (frames.empty()) {
                if (const auto verdict = state_->handshake->verdict())
                    return Error{cat(state_->endpoint, ": ", verdict->text), verdict->code};
                wait(state_->socket, -1, std::min<Milliseconds::rep>(left.count(), kLongestWaitMs),
                     &state_->handshake->socket());
            }
            if (frames.size() != 1) continue;
            std::string& text = frames.front();
            const Json answer = Json::parse(text, nullptr, false);
            if (!answer.is_object()) return Error{"the answer is not JSON: is this a circusd?", EBADMSG};
            const auto answered = answer.find("id");
            // Without an id: the daemon could not read the request so far.
            if (answered != answer.end() && !answered->is_null() && *answered != id) continue;
            return std::move(text);
        }
    } catch (const zmq::error_t& error) {
        return failure("cannot ask circusd", error);
    }
}

struct Subscriber::State {
    zmq::context_t context{1};
    zmq::socket_t socket{context, zmq::socket_type::sub};
};

Subscriber::Subscriber(std::unique_ptr<State> state) : state_(std::move(state)) {}
Subscriber::Subscriber(Subscriber&&) noexcept = default;
Subscriber& Subscriber::operator=(Subscriber&&) noexcept = default;
Subscriber::~Subscriber() = default;

Result<Subscriber> Subscriber::connect(const std::string& endpoint, const std::vector<std::string>& topics,
                                       const MaybeKeys& keys) {
    try {
        auto state = std::make_unique<State>();
        state->socket.set(zmq::sockopt::linger, 0);
        state->socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
        state->socket.set(zmq::sockopt::ipv6, true);
        state->socket.set(zmq::sockopt::rcvhwm, kEventsKept);
        for (const auto& topic : topics) state->socket.set(zmq::sockopt::subscribe, topic);
        if (topics.empty()) state->socket.set(zmq::sockopt::subscribe, "");
        use(state->socket, endpoint, keys);
        state->socket.connect(endpoint);
        return Subscriber(std::move(state));
    } catch (const zmq::error_t& error) {
        return failure(cat("cannot subscribe at ", endpoint), error);
    }
}

Result<Subscriber::Event> Subscriber::next(int output) {
    try {
        while (true) {
            const auto frames = receive(state_->socket);
            if (interrupted()) return Error{"interrupted", EINTR};
            if (frames.size() == 2) return Event{frames[0], frames[1]};
            if (frames.empty() && wait(state_->socket, output, -1))
                return Error{"nobody reads the output", EPIPE};
        }
    } catch (const zmq::error_t& error) {
        return failure("cannot receive events", error);
    }
}

Result<std::vector<Subscriber::Event>> Subscriber::take(Duration patience, int also, int also_that) {
    try {
        std::vector<Event> events;
        const auto drain = [&] {
            for (auto frames = receive(state_->socket); !frames.empty(); frames = receive(state_->socket))
                if (frames.size() == 2) events.push_back({std::move(frames[0]), std::move(frames[1])});
        };
        drain();
        if (events.empty() && !interrupted()) {
            std::vector<zmq::pollitem_t> items = {{state_->socket.handle(), 0, ZMQ_POLLIN, 0}};
            for (const int fd : {also, also_that, interrupt_fd()})
                if (fd >= 0) items.push_back({nullptr, fd, ZMQ_POLLIN, 0});
            const auto most = std::chrono::ceil<Milliseconds>(patience).count();
            // A signal ends it too: a terminal that was resized, say.
            if (zmq_poll(items.data(), static_cast<int>(items.size()), std::min(most, kLongestWaitMs)) < 0 &&
                zmq_errno() != EINTR)
                throw zmq::error_t();
            drain();
        }
        if (interrupted()) return Error{"interrupted", EINTR};
        return events;
    } catch (const zmq::error_t& error) {
        return failure("cannot receive events", error);
    }
}

}  // namespace circus::control
