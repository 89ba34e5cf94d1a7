#include "control/server.hpp"

#include <unistd.h>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "control/controller.hpp"
#include "control/endpoint.hpp"

namespace circus::control {

namespace {

// Of answers to one client that does not read them: how many wait in its queue, and how much behind that.
constexpr int kQueuedAnswers = 100;
constexpr std::size_t kHeldAnswers = 64UL * 1024 * 1024;
constexpr std::size_t kMostOwed = 5000;  // to one client

// Who had it before may have ended between a change of the file and the one of the configuration.
Status go_on_with(loop::ZmqPump& pump, const std::string& endpoint, std::optional<uid_t> owner,
                  bool open_to_all, UniqueFd listener) {
    if (const Status bound = pump.bind_on(endpoint, std::move(listener)); !bound) return bound;
    if (const Status owned = own_endpoint(endpoint, owner, open_to_all); !owned)
        log::warning(owned.error().text);
    return Ok{};
}

}  // namespace

Server::Server() = default;
Server::~Server() {
    finish();
}

Result<std::unique_ptr<Server>> Server::make(loop::Loop& loop, loop::ZmqContext& context,
                                             const std::string& endpoint, std::optional<uid_t> owner,
                                             bool open_to_all, const std::string& curve_secret,
                                             UniqueFd listener) {
    std::unique_ptr<Server> server(new Server);
    auto doorman = loop::Doorman::make(
        loop, context, [self = server.get()](const std::string& key, const std::string& address) {
            return self->is_known(key, address);
        });
    if (!doorman) return doorman.error();
    server->doorman_ = std::move(*doorman);
    loop::ZmqPump::Options options;
    options.zap_domain = "control";
    options.curve_secret = curve_secret;
    options.send_queue = kQueuedAnswers;
    options.hold_bytes = kHeldAnswers;
    auto pump = loop::ZmqPump::make(
        loop, context, loop::ZmqPump::Kind::Router, options,
        [self = server.get()](loop::Frames&& frames) { self->receive(std::move(frames)); });
    if (!pump) return pump.error();
    if (const Status watched = server->doorman_->watch(*pump); !watched) return watched.error();
    const Status bound = listener ? go_on_with(*pump, endpoint, owner, open_to_all, std::move(listener))
                                  : bind_endpoint(*pump, endpoint, owner, open_to_all);
    if (!bound) return bound.error();
    server->pump_.emplace(std::move(*pump));
    server->portions_.emplace(loop, [self = server.get()] { self->work(); });
    server->bound_.push_back(endpoint);
    return server;
}

void Server::serve(supervise::Arbiter& arbiter, const Clock& clock, pid_t daemon_pid) {
    arbiter_ = &arbiter;
    controller_ = std::make_unique<Controller>(arbiter, clock, daemon_pid);
}

std::string Server::endpoint() const {
    return pump_ ? pump_->last_endpoint() : std::string();
}

Status Server::bind(const std::string& endpoint, std::optional<uid_t> owner, bool open_to_all) {
    if (const Status bound = bind_endpoint(*pump_, endpoint, owner, open_to_all); !bound)
        return bound.error();
    bound_.push_back(endpoint);
    return Ok{};
}

void Server::unbind(const std::string& endpoint) {
    std::erase(bound_, endpoint);
    if (const Status unbound = pump_->unbind(endpoint); !unbound) log::warning(unbound.error().text);
    remove_endpoint(endpoint);
}

void Server::finish() {
    if (!pump_) return;
    portions_.reset();
    pump_.reset();
    for (const auto& endpoint : bound_) remove_endpoint(endpoint);
}

Caller Server::caller() const {
    const loop::Doorman::Sender sender = doorman_->who(pump_->origin());
    const config::CircusConfig& circus = arbiter_->config();
    return sender.key.empty() ? caller_of(sender.peer, circus, ::geteuid())
                              : caller_of_key(sender.key, circus);
}

// Who comes before there is an arbiter comes again.
bool Server::is_known(const std::string& key, const std::string& address) {
    if (arbiter_ && caller_of_key(key, arbiter_->config()).role != model::Role::None) return true;
    const Caller stranger{model::Role::None, cat("somebody, ", address), {}};
    const std::string line =
        strangers_.line(stranger, "CURVE", cat("no line of curve_keys has the key ", key), Monotonic::now());
    if (!line.empty()) log::warning(line);
    return false;
}

void Server::receive(loop::Frames&& frames) {
    if (!controller_ || frames.size() != 2) return;
    const Caller asks = caller();
    const std::string client = std::move(frames[0]);
    const std::uint64_t request = receiving_ = ++requests_;
    answered_ = false;
    const auto owed = owed_.find(client);
    const bool is_answered = controller_->handle(
        frames[1], [this, client, request](std::string text) { answer(client, request, std::move(text)); },
        asks, owed == owed_.end() || owed->second < kMostOwed);
    receiving_ = 0;
    if (is_answered && !answered_) ++owed_[client];
    go_on();
}

void Server::answer(const std::string& client, std::uint64_t request, std::string text) {
    if (request == receiving_)
        answered_ = true;
    else if (const auto owed = owed_.find(client); owed != owed_.end() && --owed->second == 0)
        owed_.erase(owed);
    if (pump_ && !pump_->send({client, std::move(text)}))
        log::debug("an answer was dropped: its client is gone or has too many that it does not read");
}

void Server::go_on() {
    if (portions_ && controller_->has_work()) portions_->start();
}

void Server::work() {
    controller_->work();
    if (!controller_->has_work()) portions_->stop();
}

}  // namespace circus::control
