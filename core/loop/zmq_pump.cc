#include "loop/zmq_pump.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <optional>
#include <utility>

#include <zmq.hpp>

#include "base/text.hpp"
#include "loop/held_messages.hpp"
#include "loop/poll.hpp"
#include "loop/timer.hpp"
#include "loop/turn_hooks.hpp"
#include "sys/listen.hpp"

namespace circus::loop {

namespace {

// What one turn takes from one socket at most, so that a flood leaves the others their turn.
constexpr int kMessagesPerTurn = 64;
constexpr std::size_t kBytesPerTurn = 1024UL * 1024;

// ZMQ says by the descriptor that a peer has read, unless a send or receive ate that edge: what is held is
// offered again anyway, soon at first, and ever less often to one who does not read at all.
constexpr Milliseconds kOfferSoon{20};
constexpr Milliseconds kOfferLate{1000};
constexpr std::size_t kHoldersAtTheLimit = 4;

zmq::socket_type type_of(ZmqPump::Kind kind) {
    switch (kind) {
        case ZmqPump::Kind::Router:
            return zmq::socket_type::router;
        case ZmqPump::Kind::Dealer:
            return zmq::socket_type::dealer;
        case ZmqPump::Kind::Pub:
            return zmq::socket_type::pub;
        case ZmqPump::Kind::Sub:
            return zmq::socket_type::sub;
        case ZmqPump::Kind::Pair:
            return zmq::socket_type::pair;
    }
    return zmq::socket_type::pair;
}

Error zmq_failure(const std::string& act, const zmq::error_t& error) {
    return {cat(act, ": ", std::string_view(error.what())), error.num()};
}

}  // namespace

ZmqContext::ZmqContext() : context_(std::make_unique<zmq::context_t>(1)) {}
ZmqContext::~ZmqContext() = default;

struct ZmqPump::State : std::enable_shared_from_this<State> {
    State(Loop& loop, zmq::socket_t s, Receive r, std::size_t hold_bytes)
        : socket(std::move(s)),
          receive(std::move(r)),
          idle(loop, [this] { turn(); }),
          held(hold_bytes, hold_bytes * kHoldersAtTheLimit),
          offer_again(loop, [this] { offer_anyway(); }) {}

    using Sent = HeldMessages::Sent;

    enum class Received { One, None, Unknown };

    void turn();
    Received receive_one(std::size_t& bytes);
    void note_origin(zmq::message_t& part);
    void demand_curve(const std::string& endpoint);
    bool offer_held();
    void offer_anyway();
    void rearm();
    bool readable();
    bool send(const Frames& frames);
    Sent try_to_send(const Frames& frames);

    zmq::socket_t socket;
    Receive receive;
    Idle idle;
    HeldMessages held;
    Timer offer_again;         // while there is something held
    Milliseconds pause{};      // until it is due
    std::optional<Poll> poll;  // destroyed before the socket, whose descriptor it watches
    std::uint64_t dropped = 0;
    UniqueFd listener;  // of the last bind()
    Origin origin;
    bool wants_origin = false;
    std::string curve_secret;
    bool in_turn = false;
    bool closed = false;
};

void ZmqPump::State::turn() {
    const auto self = shared_from_this();  // the callback may destroy the pump
    in_turn = true;
    std::size_t bytes = 0;
    auto last = Received::Unknown;
    for (int n = 0; n < kMessagesPerTurn && bytes < kBytesPerTurn; ++n) {
        last = receive_one(bytes);
        if (last != Received::One || closed) break;
    }
    in_turn = false;
    if (closed) return;
    if (!held.is_empty()) {
        if (offer_held())
            idle.start();
        else
            rearm();
        return;
    }
    // To find nothing is to have asked: whatever the sends before it had eaten is known, and what comes from
    // now on is told by the descriptor.
    if (last == Received::None)
        idle.stop();
    else
        rearm();
}

// One whole message to the callback, which may close the pump.
ZmqPump::State::Received ZmqPump::State::receive_one(std::size_t& bytes) {
    if (!receive) return Received::Unknown;
    Frames frames;
    try {
        zmq::message_t part;
        do {
            // The parts of a message arrive together: once there is a first, the others do not block.
            if (!socket.recv(part, zmq::recv_flags::dontwait)) return Received::None;
            if (wants_origin && !part.more()) note_origin(part);
            bytes += part.size();
            frames.emplace_back(part.data<char>(), part.size());
        } while (part.more());
    } catch (const zmq::error_t&) {
        return Received::Unknown;  // EINTR, or the context is being terminated; rearm() looks again
    }
    receive(std::move(frames));
    return Received::One;
}

// Of the last frame: the first, which ROUTER puts before what was sent, has the connection's properties only
// now and then.
void ZmqPump::State::note_origin(zmq::message_t& part) {
    origin.fd = zmq_msg_get(part.handle(), ZMQ_SRCFD);
    const char* const ticket = zmq_msg_gets(part.handle(), "User-Id");
    origin.ticket = ticket ? ticket : "";
}

// True: there is more to send at once.
bool ZmqPump::State::offer_held() {
    const bool more = held.offer([this](const Frames& frames) { return try_to_send(frames); }, kBytesPerTurn);
    if (held.is_empty()) offer_again.stop();
    return more;
}

void ZmqPump::State::offer_anyway() {
    const auto self = shared_from_this();
    const std::size_t before = held.bytes();
    turn();
    if (closed || held.is_empty()) return;
    pause = held.bytes() < before ? kOfferSoon : std::min(pause * 2, kOfferLate);
    offer_again.start(pause);
}

bool ZmqPump::State::readable() {
    try {
        return (socket.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0;
    } catch (const zmq::error_t&) {
        return false;
    }
}

void ZmqPump::State::rearm() {
    // For Pub this question alone is the work: it takes in new subscriptions.
    if (readable() && receive)
        idle.start();
    else
        idle.stop();
}

ZmqPump::State::Sent ZmqPump::State::try_to_send(const Frames& frames) {
    try {
        for (std::size_t i = 0; i < frames.size(); ++i) {
            const auto more = i + 1 < frames.size() ? zmq::send_flags::sndmore : zmq::send_flags::none;
            // Only the first frame can be refused: a queue's limit counts whole messages.
            if (!socket.send(zmq::buffer(frames[i]), more | zmq::send_flags::dontwait)) return Sent::Full;
        }
    } catch (const zmq::error_t& error) {
        return error.num() == EHOSTUNREACH ? Sent::Gone : Sent::Full;
    }
    return Sent::Yes;
}

bool ZmqPump::State::send(const Frames& frames) {
    if (frames.empty()) return false;
    Sent sent = held.has(frames.front()) ? Sent::Full : try_to_send(frames);
    if (sent == Sent::Full && held.hold(frames)) {
        sent = Sent::Yes;
        if (!offer_again.is_active()) offer_again.start(pause = kOfferSoon);
    }
    if (sent != Sent::Yes) ++dropped;
    if (!in_turn) rearm();
    return sent == Sent::Yes;
}

// What is set holds for the endpoints that are bound from then on.
void ZmqPump::State::demand_curve(const std::string& endpoint) {
    if (curve_secret.empty()) return;
    const bool over_network = endpoint.starts_with("tcp:");
    socket.set(zmq::sockopt::curve_server, over_network);
    if (over_network) socket.set(zmq::sockopt::curve_secretkey, curve_secret);
}

ZmqPump::ZmqPump(std::shared_ptr<State> state) : state_(std::move(state)) {}
ZmqPump::ZmqPump(ZmqPump&&) noexcept = default;

ZmqPump& ZmqPump::operator=(ZmqPump&& other) noexcept {
    // The old state leaves through a pump's destructor, as it does everywhere.
    ZmqPump old(std::exchange(state_, std::move(other.state_)));
    return *this;
}

ZmqPump::~ZmqPump() {
    if (!state_) return;
    state_->closed = true;
    state_->offer_held();
    state_->idle.stop();
    state_->offer_again.stop();
    state_->poll.reset();
    // libzmq 4.3 leaks what it cannot tell any more, because whoever is told has gone too.
    zmq_socket_monitor(state_->socket.handle(), nullptr, 0);
    state_->socket.close();
}

Result<ZmqPump> ZmqPump::make(Loop& loop, ZmqContext& context, Kind kind, const Options& options,
                              Receive receive) {
    try {
        zmq::socket_t socket(context.native(), type_of(kind));
        socket.set(zmq::sockopt::linger, static_cast<int>(options.linger.count()));
        socket.set(zmq::sockopt::sndhwm, options.send_queue);
        socket.set(zmq::sockopt::rcvhwm, options.receive_queue);
        socket.set(zmq::sockopt::maxmsgsize, options.max_message);
        socket.set(zmq::sockopt::ipv6, true);
        if (!options.zap_domain.empty()) socket.set(zmq::sockopt::zap_domain, options.zap_domain);
        // Without it a ROUTER drops in silence what it cannot deliver; with it, and never waiting, the same
        // message is refused and counted.
        if (kind == Kind::Router) socket.set(zmq::sockopt::router_mandatory, true);
        const int fd = socket.get(zmq::sockopt::fd);
        auto state = std::make_shared<State>(loop, std::move(socket), std::move(receive), options.hold_bytes);
        state->wants_origin = !options.zap_domain.empty();
        state->curve_secret = options.curve_secret;
        auto poll = Poll::make(loop, fd, [s = state.get()](unsigned) { s->turn(); });
        if (!poll) return poll.error();
        state->poll.emplace(std::move(*poll));
        state->poll->watch(Poll::kReadable);
        return ZmqPump(std::move(state));
    } catch (const zmq::error_t& error) {
        return zmq_failure("making a ZMQ socket", error);
    }
}

Status ZmqPump::bind(const std::string& endpoint) {
    // ZMQ does not tell which descriptor it listens on: it is the one that was not there before.
    const std::vector<int> before = sys::listening_descriptors();
    try {
        state_->demand_curve(endpoint);
        state_->socket.bind(endpoint);
    } catch (const zmq::error_t& error) {
        return zmq_failure(cat("cannot bind ", endpoint), error);
    }
    for (const int fd : sys::listening_descriptors())
        if (!std::binary_search(before.begin(), before.end(), fd))
            state_->listener.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    state_->rearm();
    return Ok{};
}

Status ZmqPump::bind_on(const std::string& endpoint, UniqueFd listener) {
    try {
        state_->demand_curve(endpoint);
        state_->socket.set(zmq::sockopt::use_fd, listener.get());
        state_->socket.bind(endpoint);
        state_->socket.set(zmq::sockopt::use_fd, -1);
    } catch (const zmq::error_t& error) {
        return zmq_failure(cat("cannot go on listening on ", endpoint), error);
    }
    [[maybe_unused]] const int owned_by_zmq = listener.release();
    state_->rearm();
    return Ok{};
}

UniqueFd ZmqPump::take_listener() {
    return std::move(state_->listener);
}

Status ZmqPump::unbind(const std::string& endpoint) {
    try {
        state_->socket.unbind(endpoint);
    } catch (const zmq::error_t& error) {
        return zmq_failure(cat("cannot unbind ", endpoint), error);
    }
    state_->rearm();
    return Ok{};
}

Status ZmqPump::connect(const std::string& endpoint) {
    try {
        state_->socket.connect(endpoint);
    } catch (const zmq::error_t& error) {
        return zmq_failure(cat("cannot connect to ", endpoint), error);
    }
    state_->rearm();
    return Ok{};
}

Status ZmqPump::subscribe(const std::string& prefix) {
    try {
        state_->socket.set(zmq::sockopt::subscribe, prefix);
    } catch (const zmq::error_t& error) {
        return zmq_failure("cannot subscribe", error);
    }
    state_->rearm();
    return Ok{};
}

std::string ZmqPump::last_endpoint() const {
    try {
        return state_->socket.get(zmq::sockopt::last_endpoint);
    } catch (const zmq::error_t&) {
        return {};
    }
}

const ZmqPump::Origin& ZmqPump::origin() const {
    return state_->origin;
}

Status ZmqPump::tell_connections(const std::string& inproc) {
    if (zmq_socket_monitor(state_->socket.handle(), inproc.c_str(),
                           ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED) == 0)
        return Ok{};
    return zmq_failure("cannot watch a ZMQ socket", zmq::error_t());
}

void ZmqPump::take_all() {
    const auto self = state_;
    const bool in_turn = std::exchange(self->in_turn, true);
    std::size_t bytes = 0;
    while (!self->closed && self->receive_one(bytes) == State::Received::One) {
    }
    self->in_turn = in_turn;
    if (!in_turn && !self->closed) self->rearm();
}

bool ZmqPump::send(const Frames& frames) {
    return state_->send(frames);
}

bool ZmqPump::wait(const std::function<bool()>& done, Milliseconds limit) {
    const auto self = state_;
    const TimePoint end = Monotonic::now() + limit;
    const bool in_turn = std::exchange(self->in_turn, true);
    std::size_t bytes = 0;
    while (!done() && !self->closed) {
        if (self->receive_one(bytes) == State::Received::One) continue;
        const auto left = std::chrono::ceil<Milliseconds>(end - Monotonic::now());
        if (left.count() <= 0) break;
        zmq::pollitem_t item{self->socket.handle(), 0, ZMQ_POLLIN, 0};
        try {
            zmq::poll(&item, 1, left);
        } catch (const zmq::error_t&) {
            continue;  // EINTR
        }
    }
    self->in_turn = in_turn;
    if (!in_turn && !self->closed) self->rearm();
    return done();
}

std::uint64_t ZmqPump::dropped() const {
    return state_->dropped + state_->held.lost();
}

}  // namespace circus::loop
