#include "http_connection.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "event_client.hpp"

namespace console {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

constexpr std::uint32_t kHeaderLimit = 16 << 10;
constexpr std::uint64_t kBodyLimit = 256 << 10;
constexpr auto kArrival = std::chrono::seconds(10);
constexpr auto kIdle = std::chrono::seconds(30);
constexpr auto kFarewell = std::chrono::seconds(2);
constexpr std::size_t kMostDrained = 8 << 20;
constexpr auto kAnswer = std::chrono::seconds(65);

using Message = http::request<http::string_body>;

template <class Text>
std::string text_of(const Text& text) {
    return {text.data(), text.size()};
}

Request request_of(const Message& message, const std::string& peer) {
    Request request{text_of(message.method_string()), text_of(message.target()), {}, message.body(), peer};
    for (const auto& field : message)
        request.headers.emplace_back(to_lower(text_of(field.name_string())), text_of(field.value()));
    return request;
}

// For the log: without the query, and not all of a very long one.
std::string path_of(const Request& request) {
    constexpr std::size_t kMost = 200;
    return request.target.substr(0, std::min(request.target.find('?'), kMost));
}

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    Connection(Server::Impl& server, tcp::socket socket)
        : server_(server), stream_(std::move(socket)), deadline_(server.context()) {
        server_.opened();
        error_code error;
        const auto peer = stream_.socket().remote_endpoint(error);
        if (!error) peer_ = peer.address().to_string();
        stream_.socket().set_option(tcp::no_delay(true), error);
    }
    ~Connection() { server_.closed(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void read() {
        parser_.emplace();
        parser_->header_limit(kHeaderLimit);
        parser_->body_limit(kBodyLimit);
        stream_.expires_after(served_ == 0 ? kArrival : kIdle);
        http::async_read_header(stream_, buffer_, *parser_,
                                [self = shared_from_this()](error_code error, std::size_t) {
                                    if (error) return self->broken(error);
                                    self->read_body();
                                });
    }

  private:
    void read_body() {
        stream_.expires_after(kArrival);
        http::async_read(stream_, buffer_, *parser_,
                         [self = shared_from_this()](error_code error, std::size_t) {
                             if (error) return self->broken(error);
                             self->handle();
                         });
    }

    void broken(error_code error) {
        int status = 0;
        if (error == http::error::header_limit)
            status = 431;
        else if (error == http::error::body_limit)
            status = 413;
        else if (error.category() == http::make_error_code(http::error::end_of_stream).category() &&
                 error != http::error::end_of_stream && error != http::error::partial_message)
            status = 400;
        if (status == 0) return close();
        keep_alive_ = false;
        respond(refusal(status, "this is no request, or more than is taken"));
    }

    void handle() {
        const Message& message = parser_->get();
        keep_alive_ = message.keep_alive();
        version_ = message.version();
        is_head_ = message.method() == http::verb::head;
        stream_.expires_never();
        const auto now = std::chrono::steady_clock::now();
        const Request request = request_of(message, peer_);
        if (beast::websocket::is_upgrade(message)) return upgrade(request, now);
        const std::uint64_t mine = ++served_;
        deadline_.expires_after(kAnswer);
        deadline_.async_wait([self = shared_from_this(), mine](error_code stopped) {
            if (!stopped)
                self->answered(mine, refusal(504, "circusd has not answered yet; it may be still at it"));
        });
        const auto answer = [self = shared_from_this(), mine](Response response) {
            self->answered(mine, std::move(response));
        };
        try {
            server_.router().handle(request, now, answer);
        } catch (const std::exception& thrown) {
            server_.log(CIRCUS_ERROR, "console: " + request.method + ' ' + path_of(request) + " from " +
                                          peer_ + ": " + thrown.what());
            answer(refusal(500, "that has failed; the log says more"));
        }
    }

    void upgrade(const Request& request, Time now) {
        Visitor visitor;
        Wish wish;
        if (auto refused = server_.router().open_events(request, now, visitor, wish)) {
            keep_alive_ = false;
            return respond(std::move(*refused));
        }
        serve_events(server_, stream_.release_socket(), parser_->release(), std::move(visitor),
                     std::move(wish));
    }

    // The first of the answer and the deadline counts.
    void answered(std::uint64_t which, Response response) {
        if (which != served_ || which == responded_) return;
        responded_ = which;
        deadline_.cancel();
        respond(std::move(response));
    }

    void respond(Response response) {
        response_ = {};
        response_.version(version_);
        response_.result(static_cast<unsigned>(response.status));
        response_.keep_alive(keep_alive_);
        if (!response.type.empty()) response_.set(http::field::content_type, response.type);
        bool has_cache_rule = false;
        for (const auto& [name, value] : response.headers) {
            response_.insert(name, value);
            has_cache_rule = has_cache_rule || name == "Cache-Control";
        }
        if (!has_cache_rule) response_.set(http::field::cache_control, "no-store");
        response_.set(
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src "
            "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
        response_.set("X-Content-Type-Options", "nosniff");
        response_.set("X-Frame-Options", "DENY");
        response_.set("Referrer-Policy", "no-referrer");
        response_.set("Cross-Origin-Opener-Policy", "same-origin");
        response_.set("Cross-Origin-Resource-Policy", "same-origin");
        if (response.status != 304) response_.content_length(response.body.size());
        if (!is_head_) response_.body() = std::move(response.body);
        stream_.expires_after(kIdle);
        http::async_write(stream_, response_, [self = shared_from_this()](error_code error, std::size_t) {
            if (error) return self->close();
            if (self->keep_alive_) return self->read();
            error_code ignored;
            self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
            self->stream_.expires_after(kFarewell);
            self->drain(kMostDrained);
        });
    }

    // What still comes is read and dropped: a socket that is closed with something unread takes the response
    // back.
    void drain(std::size_t left) {
        stream_.async_read_some(asio::buffer(dropped_),
                                [self = shared_from_this(), left](error_code error, std::size_t size) {
                                    if (error || size >= left) return self->close();
                                    self->drain(left - size);
                                });
    }

    void close() {
        error_code ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
        stream_.close();
    }

    Server::Impl& server_;
    beast::tcp_stream stream_;
    beast::flat_buffer buffer_{kHeaderLimit + kBodyLimit};
    std::optional<http::request_parser<http::string_body>> parser_;
    http::response<http::string_body> response_;
    asio::steady_timer deadline_;
    std::string peer_;
    std::array<char, 4096> dropped_{};
    std::uint64_t served_ = 0, responded_ = 0;
    unsigned version_ = 11;
    bool keep_alive_ = false, is_head_ = false;
};

}  // namespace

void serve_http(Server::Impl& server, tcp::socket socket) {
    std::make_shared<Connection>(server, std::move(socket))->read();
}

}  // namespace console
