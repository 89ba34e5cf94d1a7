#include "loop/doorman.hpp"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <utility>

#include <zmq.h>

#include "base/text.hpp"

namespace circus::loop {

namespace {

constexpr const char* kQuestions = "inproc://zeromq.zap.01";

// ZMQ lets go of such a name some time after its socket: each has one of its own.
std::string name_for_connections() {
    static std::atomic<unsigned> made = 0;
    return cat("inproc://connections.", ++made);
}

// Frames of a question: who asks, nothing, version, number, domain, address, identity, mechanism, what that
// brings.
constexpr std::size_t kNumber = 3, kAddress = 5, kMechanism = 7, kKey = 8;

// The ticket of a key, which a number never begins with.
constexpr char kKeyMark = 'k';
constexpr std::size_t kKeyBytes = 32, kKeyText = 40;

ZmqPump::Options unlimited() {
    ZmqPump::Options options;
    // ZMQ's own thread waits where such a queue is full.
    options.send_queue = options.receive_queue = 0;
    options.linger = Milliseconds(0);
    return options;
}

}  // namespace

Result<std::unique_ptr<Doorman>> Doorman::make(Loop& loop, ZmqContext& context, Knows knows) {
    std::unique_ptr<Doorman> doorman(new Doorman(loop, context, std::move(knows)));
    auto questions =
        ZmqPump::make(loop, context, ZmqPump::Kind::Router, unlimited(),
                      [self = doorman.get()](Frames&& frames) { self->on_request(std::move(frames)); });
    if (!questions) return questions.error();
    if (const Status bound = questions->bind(kQuestions); !bound) return bound.error();
    doorman->questions_.emplace(std::move(*questions));
    return doorman;
}

Doorman::~Doorman() {
    // At once, for the next one in this context.
    if (!questions_) return;
    [[maybe_unused]] const Status unbound = questions_->unbind(kQuestions);
}

Status Doorman::watch(ZmqPump& pump) {
    const std::string name = name_for_connections();
    if (const Status told = pump.tell_connections(name); !told) return told;
    auto connections = ZmqPump::make(loop_, context_, ZmqPump::Kind::Pair, unlimited(),
                                     [this](Frames&& frames) { on_connection(frames); });
    if (!connections) return connections.error();
    if (const Status connected = connections->connect(name); !connected) return connected;
    connections_.emplace(std::move(*connections));
    return Ok{};
}

// Everybody who waits in a handshake has been told of before, and who has left since is told of by the second
// look: ZMQ says so before it closes a descriptor.
void Doorman::look() {
    if (!connections_) return;
    connections_->take_all();
    const Visits::Ticket seen = visits_.now();
    connections_->take_all();
    visits_.confirm(seen);
}

// Empty: he is not let in.
std::string Doorman::ticket_for(const Frames& question) {
    // Who has no address has no descriptor with its messages either, and could invent one.
    if (question[kAddress].empty()) return {};
    if (question[kMechanism] == "NULL") {
        look();
        return std::to_string(visits_.now());
    }
    if (question[kMechanism] != "CURVE" || question.size() <= kKey || question[kKey].size() != kKeyBytes)
        return {};
    char key[kKeyText + 1];
    if (!zmq_z85_encode(key, reinterpret_cast<const std::uint8_t*>(question[kKey].data()), kKeyBytes))
        return {};
    return knows_(key, question[kAddress]) ? kKeyMark + std::string(key) : std::string();
}

void Doorman::on_request(Frames&& frames) {
    if (frames.size() <= kMechanism) return;
    const std::string ticket = ticket_for(frames);
    const bool enters = !ticket.empty();
    questions_->send({std::move(frames[0]), "", "1.0", std::move(frames[kNumber]), enters ? "200" : "400",
                      enters ? "OK" : "not known", ticket, ""});
}

void Doorman::on_connection(const Frames& frames) {
    std::uint16_t event = 0;
    std::int32_t fd = -1;
    if (frames.empty() || frames[0].size() < sizeof event + sizeof fd) return;
    std::memcpy(&event, frames[0].data(), sizeof event);
    std::memcpy(&fd, frames[0].data() + sizeof event, sizeof fd);
    if (event == ZMQ_EVENT_ACCEPTED) visits_.came(fd, sys::peer_of(fd));
    if (event == ZMQ_EVENT_DISCONNECTED) visits_.left(fd);
}

Doorman::Sender Doorman::who(const ZmqPump::Origin& origin) const {
    if (origin.ticket.starts_with(kKeyMark)) return {nullptr, origin.ticket.substr(1)};
    const auto ticket = parse_int(origin.ticket);
    if (origin.fd < 0 || !ticket || *ticket < 0) return {};
    return {visits_.find(origin.fd, static_cast<Visits::Ticket>(*ticket)), {}};
}

}  // namespace circus::loop
