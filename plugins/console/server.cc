#include "server.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/post.hpp>

#include <circus/threads.hpp>

#include "event_client.hpp"
#include "foreign_json.hpp"
#include "http_connection.hpp"
#include "server_impl.hpp"

namespace console {

namespace {

constexpr int kMostConnections = 256;
constexpr int kMostPasswords = 8;
constexpr int kMostEvents = 10000;                                 // on their way from the loop
constexpr auto kDescriptorPause = std::chrono::milliseconds(100);  // when there are no descriptors left

}  // namespace

Server::Impl::Impl(Settings settings, Calls calls)
    : settings_(std::move(settings)),
      calls_(std::move(calls)),
      sessions_(settings_.session_time,
                [this](const Json& kept) {
                    calls_.keep(kept);
                    check_clients();
                }),
      gate_(settings_, sessions_, [this](const std::string& line) { calls_.log(CIRCUS_WARNING, line); }),
      login_(settings_, sessions_, gate_, *this,
             [this](const std::string& line) { calls_.log(CIRCUS_WARNING, line); }),
      stacks_(*this),
      router_(settings_, gate_, login_, stacks_,
              [this](const std::string& line) { calls_.log(CIRCUS_INFO, line); }) {
    make_links();
    bind();
}

void Server::Impl::make_links() {
    if (settings_.endpoints.empty()) return;
    for (std::size_t at = 0; at < settings_.endpoints.size(); ++at) {
        const EndpointSettings& each = settings_.endpoints[at];
        stacks_.add(each.name, each.control, remotes_.emplace_back(*this, at));
    }
    links_.emplace(settings_.endpoints,
                   Links::Heard{[this](std::uint64_t number, circus_status status, std::string json) {
                                    answer(number, status, std::move(json));
                                },
                                [this](std::size_t link, std::string topic, std::string payload) {
                                    event_of(stack_of(link), std::move(topic), std::move(payload));
                                },
                                [this](std::size_t link, std::string problem) {
                                    link_changed(link, std::move(problem));
                                }});
}

Server::Impl::~Impl() {
    stop();
}

void Server::Impl::bind() {
    const auto failure = [this](const std::string& why) {
        return circus::Failure(CIRCUS_E_CONFLICT, "cannot listen on " + url() + ": " + why);
    };
    const tcp::endpoint endpoint(asio::ip::make_address(settings_.host), settings_.port);
    // By hand, because asio's sockets would be inherited.
    const int fd = ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) throw failure(std::system_category().message(errno));
    boost::system::error_code error;
    acceptor_.assign(endpoint.protocol(), fd, error);
    if (error) {
        ::close(fd);
        throw failure(error.message());
    }
    acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(128, error);
    if (error) throw failure(error.message());
    gate_.set_port(acceptor_.local_endpoint().port());
}

std::string Server::Impl::url() const {
    boost::system::error_code error;
    const auto bound = acceptor_.local_endpoint(error);
    const std::string host =
        settings_.host.find(':') == std::string::npos ? settings_.host : "[" + settings_.host + "]";
    const int port = error || bound.port() == 0 ? settings_.port : bound.port();
    return "http://" + host + ":" + std::to_string(port) + "/";
}

void Server::Impl::recall(const Json& kept) {
    sessions_.recall(kept, settings_.who_may(), std::chrono::steady_clock::now());
}

void Server::Impl::start() {
    const circus::SignalsBlocked guard;
    passwords_.emplace(1);
    if (links_) links_->start();
    accept();
    thread_ = std::thread([this] { run(); });
}

// What is thrown ends what it was thrown by, a connection as a rule; the others are served on.
void Server::Impl::run() {
    while (true) {
        try {
            context_.run();
            return;
        } catch (const std::exception& thrown) {
            calls_.log(CIRCUS_ERROR, std::string("console: an error on its thread: ") + thrown.what());
        }
    }
}

void Server::Impl::stop() {
    if (links_) links_->stop();
    context_.stop();
    if (thread_.joinable()) thread_.join();
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    if (!passwords_) return;
    passwords_->stop();
    passwords_->join();
}

// accept4(2) by hand, for the same reason.
void Server::Impl::accept() {
    acceptor_.async_wait(tcp::acceptor::wait_read, [this](boost::system::error_code error) {
        if (error) return;
        const int fd = ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            // Whatever becomes of this one, the next are accepted.
            try {
                begin(fd);
            } catch (const std::exception& thrown) {
                calls_.log(CIRCUS_ERROR, std::string("console: a connection: ") + thrown.what());
            }
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause_.expires_after(kDescriptorPause);
            return pause_.async_wait([this](boost::system::error_code stopped) {
                if (!stopped) accept();
            });
        }
        accept();
    });
}

void Server::Impl::begin(int fd) {
    tcp::socket socket(context_);
    boost::system::error_code error;
    socket.assign(acceptor_.local_endpoint().protocol(), fd, error);
    if (error) {
        ::close(fd);
        return;
    }
    if (connections_ >= kMostConnections) return;
    serve_http(*this, std::move(socket));
}

void Server::Impl::command(const std::string& name, const Json& properties, Answered answered) {
    calls_.ask(await(name, std::move(answered)), name, circus::detail::dump(properties));
}

std::uint64_t Server::Impl::await(std::string what, Answered answered) {
    waiting_.emplace(++last_number_, Waiting{std::move(what), std::move(answered)});
    return last_number_;
}

void Server::Impl::Remote::command(const std::string& name, const Json& properties, Answered answered) {
    const std::string what = name + " of endpoint " + server_.stack_of(link_).name;
    server_.links_->ask(link_, server_.await(what, std::move(answered)), name,
                        circus::detail::dump(properties));
}

void Server::Impl::answer(std::uint64_t number, circus_status status, std::string json) {
    asio::post(context_, [this, number, status, json = std::move(json)] { settle(number, status, json); });
}

void Server::Impl::settle(std::uint64_t number, circus_status status, const std::string& json) {
    const auto waiting = waiting_.extract(number);
    if (waiting.empty()) return;
    Answer answer{status, parse_foreign(json)};
    if (!answer.fields.is_object()) answer.fields = Json::object();
    try {
        waiting.mapped().answered(answer);
    } catch (const std::exception& thrown) {
        calls_.log(CIRCUS_ERROR, "console: the answer to " + waiting.mapped().what + ": " + thrown.what());
    }
}

bool Server::Impl::check_password(const PasswordHash& hash, const std::string& password,
                                  std::function<void(bool)> done) {
    if (passwords_waiting_ >= kMostPasswords) return false;
    ++passwords_waiting_;
    // The closure stays here, under a number, as with commands.
    const std::uint64_t number =
        await("a login", [done = std::move(done)](const Answer& answer) { done(answer.ok()); });
    asio::post(*passwords_, [this, hash, password, number] {
        const bool right = hash.is_of(password);
        --passwords_waiting_;
        answer(number, right ? CIRCUS_OK : CIRCUS_DENY, "{}");
    });
    return true;
}

void Server::Impl::event(std::string topic, std::string payload) {
    event_of(stacks_.own(), std::move(topic), std::move(payload));
}

void Server::Impl::event_of(Stack& stack, std::string topic, std::string payload) {
    if (events_waiting_ >= kMostEvents) return;
    ++events_waiting_;
    asio::post(context_, [this, &stack, topic = std::move(topic), payload = std::move(payload)]() mutable {
        --events_waiting_;
        const Json parsed = parse_foreign(payload);
        if (parsed.is_discarded()) return;  // of a stranger at an endpoint: nothing that could be passed on
        stack.overview.heard(topic, parsed.is_object() ? parsed : Json::object());
        stack.feed.add(std::move(topic), payload);
        for (EventClient* const client : clients_)
            if (&client->stack() == &stack) client->tell();
    });
}

void Server::Impl::link_changed(std::size_t link, std::string problem) {
    asio::post(context_, [this, link, problem = std::move(problem)] {
        Stack& stack = stack_of(link);
        set_problem(stack, problem);
        // It may be the end of a pause: whoever watches need not wait for the next interval.
        if (problem.empty()) look_at(stack, std::chrono::steady_clock::now());
    });
}

void Server::Impl::set_problem(Stack& stack, const std::string& problem) {
    if (stack.problem == problem) return;
    stack.problem = problem;
    if (!stack.name.empty())
        calls_.log(problem.empty() ? CIRCUS_INFO : CIRCUS_WARNING,
                   "console: endpoint " + stack.name + ": " + (problem.empty() ? "connected" : problem));
    const std::string list = circus::detail::dump(stacks_.list());
    for (EventClient* const client : clients_) client->show_endpoints(list);
}

void Server::Impl::join(EventClient* client) {
    clients_.insert(client);
    if (clients_.size() == 1) tick();
}

void Server::Impl::tick() {
    ticks_.expires_after(settings_.interval);
    ticks_.async_wait([this](boost::system::error_code error) {
        if (error || clients_.empty()) return;
        tick();
        look();
    });
}

void Server::Impl::check_clients() {
    const auto now = std::chrono::steady_clock::now();
    for (EventClient* const client : clients_) client->check(now);
}

void Server::Impl::look() {
    check_clients();
    for (Stack& stack : stacks_.all()) look_at(stack, std::chrono::steady_clock::now());
}

void Server::Impl::look_at(Stack& stack, Time now) {
    const auto watches = [&stack](const EventClient* client) {
        return &client->stack() == &stack && client->wants_overview();
    };
    if (stack.is_looking || std::none_of(clients_.begin(), clients_.end(), watches)) return;
    stack.is_looking = true;
    stack.overview.ask(now, [this, &stack, watches](const Answer& answer) {
        stack.is_looking = false;
        // Why there is no connection the link itself has said by then: a refusal has no news.
        const bool is_known =
            answer.status == CIRCUS_E_AGAIN && !stack.name.empty() && !stack.problem.empty();
        if (!is_known)
            set_problem(stack, answer.ok() ? std::string() : text_in(answer.fields, "reason", "no answer"));
        if (!answer.ok()) return;
        Json shown = answer.fields;
        shown.erase("status");
        const std::string fields = circus::detail::dump(shown).substr(1);
        for (EventClient* const client : clients_)
            if (watches(client)) client->show(fields);
    });
}

Server::Server(Settings settings, Calls calls)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(calls))) {}
Server::~Server() = default;
void Server::recall(const circus::Json& kept) {
    impl_->recall(kept);
}
void Server::start() {
    impl_->start();
}
void Server::stop() {
    impl_->stop();
}
std::string Server::url() const {
    return impl_->url();
}
void Server::answer(std::uint64_t number, circus_status status, std::string json) {
    impl_->answer(number, status, std::move(json));
}
void Server::event(std::string topic, std::string payload) {
    impl_->event(std::move(topic), std::move(payload));
}

}  // namespace console
