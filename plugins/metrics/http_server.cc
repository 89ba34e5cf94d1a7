#include "http_server.hpp"

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <netinet/in.h>
#include <optional>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace metrics {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

constexpr std::uint32_t kHeaderLimit = 16 << 10;
constexpr std::uint64_t kBodyLimit = 1 << 10;
constexpr auto kArrival = std::chrono::seconds(10);
constexpr auto kIdle = std::chrono::minutes(2);  // longer than from one scrape to the next
constexpr auto kPause = std::chrono::milliseconds(100);
constexpr int kMostConnections = 64;

// A page of somebody else's whose name was made to mean this machine (DNS rebinding) shows itself by that
// name.
bool is_own_host(std::string_view host) {
    if (host.starts_with('[')) return true;
    const std::string name(host.substr(0, host.rfind(':')));
    in_addr address{};
    return name == "localhost" || inet_pton(AF_INET, name.c_str(), &address) == 1;
}

}  // namespace

class HttpServer::Impl : public std::enable_shared_from_this<Impl> {
  public:
    Impl(asio::io_context& context, const Settings& settings, Scrape scrape)
        : context_(context),
          settings_(settings),
          scrape_(std::move(scrape)),
          acceptor_(context),
          pause_(context) {
        bind();
    }

    void accept();
    std::string url() const;
    void scrape(const std::string& accept, OnScraped done) { scrape_(accept, std::move(done)); }
    bool knows(std::string_view host) const { return !settings_.is_loopback || is_own_host(host); }
    int connections = 0;

  private:
    void bind();
    void begin(int fd);

    asio::io_context& context_;
    const Settings settings_;
    const Scrape scrape_;
    tcp::acceptor acceptor_;
    asio::steady_timer pause_;
};

namespace {

class Connection : public std::enable_shared_from_this<Connection> {
  public:
    Connection(std::shared_ptr<HttpServer::Impl> server, tcp::socket socket)
        : server_(std::move(server)), stream_(std::move(socket)) {
        ++server_->connections;
    }
    ~Connection() { --server_->connections; }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void read() {
        parser_.emplace();
        parser_->header_limit(kHeaderLimit);
        parser_->body_limit(kBodyLimit);
        stream_.expires_after(is_first_ ? std::chrono::duration_cast<std::chrono::seconds>(kArrival)
                                        : std::chrono::duration_cast<std::chrono::seconds>(kIdle));
        is_first_ = false;
        http::async_read(stream_, buffer_, *parser_,
                         [self = shared_from_this()](error_code error, std::size_t) {
                             if (error == http::error::end_of_stream) return self->close();
                             if (error) return self->broken(error);
                             self->handle();
                         });
    }

  private:
    void broken(error_code error) {
        const bool is_no_request =
            error.category() == http::make_error_code(http::error::end_of_stream).category();
        if (!is_no_request || error == http::error::partial_message) return close();
        keep_alive_ = false;
        respond({400, "text/plain; charset=utf-8", "this is no request, or more than is taken\n"});
    }

    void handle() {
        const auto& message = parser_->get();
        keep_alive_ = message.keep_alive();
        version_ = message.version();
        is_head_ = message.method() == http::verb::head;
        stream_.expires_never();
        const std::string_view host(message[http::field::host].data(), message[http::field::host].size());
        const std::string target(message.target().data(), message.target().size());
        const std::string path = target.substr(0, target.find('?'));
        if (!server_->knows(host))
            return respond(
                {403, "text/plain; charset=utf-8", "this is not who is asked for: see the header Host\n"});
        if (path != "/metrics")
            return respond({404, "text/plain; charset=utf-8", "there is only /metrics\n"});
        if (!is_head_ && message.method() != http::verb::get)
            return respond({405, "text/plain; charset=utf-8", "only GET\n"});
        const auto accept = message[http::field::accept];
        server_->scrape({accept.data(), accept.size()},
                        [self = shared_from_this()](Scraped scraped) { self->respond(std::move(scraped)); });
    }

    void respond(Scraped scraped) {
        response_ = {};
        response_.version(version_);
        response_.result(static_cast<unsigned>(scraped.status));
        response_.keep_alive(keep_alive_);
        response_.set(http::field::content_type, scraped.type);
        response_.set(http::field::cache_control, "no-store");
        response_.set("X-Content-Type-Options", "nosniff");
        if (scraped.status == 405) response_.set(http::field::allow, "GET");
        response_.content_length(scraped.body.size());
        if (!is_head_) response_.body() = std::move(scraped.body);
        stream_.expires_after(kArrival);
        http::async_write(stream_, response_, [self = shared_from_this()](error_code error, std::size_t) {
            if (error || !self->keep_alive_) return self->close();
            self->read();
        });
    }

    void close() {
        error_code ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
        stream_.close();
    }

    const std::shared_ptr<HttpServer::Impl> server_;
    beast::tcp_stream stream_;
    beast::flat_buffer buffer_{kHeaderLimit + kBodyLimit};
    std::optional<http::request_parser<http::string_body>> parser_;
    http::response<http::string_body> response_;
    unsigned version_ = 11;
    bool is_first_ = true, keep_alive_ = false, is_head_ = false;
};

}  // namespace

void HttpServer::Impl::bind() {
    const auto failure = [this](const std::string& why) {
        return circus::Failure(CIRCUS_E_CONFLICT, "cannot listen on " + url() + ": " + why);
    };
    const tcp::endpoint endpoint(asio::ip::make_address(settings_.host), settings_.port);
    // By hand, because asio's sockets would be inherited.
    const int fd = ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) throw failure(std::system_category().message(errno));
    error_code error;
    acceptor_.assign(endpoint.protocol(), fd, error);
    if (error) {
        ::close(fd);
        throw failure(error.message());
    }
    acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(128, error);
    if (error) throw failure(error.message());
}

std::string HttpServer::Impl::url() const {
    error_code error;
    const auto bound = acceptor_.local_endpoint(error);
    const std::string host =
        settings_.host.find(':') == std::string::npos ? settings_.host : "[" + settings_.host + "]";
    const int port = error || bound.port() == 0 ? settings_.port : bound.port();
    return "http://" + host + ":" + std::to_string(port) + "/metrics";
}

// accept4(2) by hand, for the same reason.
void HttpServer::Impl::accept() {
    acceptor_.async_wait(tcp::acceptor::wait_read, [self = shared_from_this()](error_code error) {
        if (error) return;
        const int fd =
            ::accept4(self->acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            self->begin(fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            self->pause_.expires_after(kPause);
            return self->pause_.async_wait([self](error_code stopped) {
                if (!stopped) self->accept();
            });
        }
        self->accept();
    });
}

void HttpServer::Impl::begin(int fd) {
    tcp::socket socket(context_);
    error_code error;
    socket.assign(acceptor_.local_endpoint().protocol(), fd, error);
    if (error) {
        ::close(fd);
        return;
    }
    if (connections >= kMostConnections) return;
    std::make_shared<Connection>(shared_from_this(), std::move(socket))->read();
}

HttpServer::HttpServer(asio::io_context& context, const Settings& settings, Scrape scrape)
    : impl_(std::make_shared<Impl>(context, settings, std::move(scrape))) {}
HttpServer::~HttpServer() = default;
void HttpServer::start() {
    impl_->accept();
}
std::string HttpServer::url() const {
    return impl_->url();
}

}  // namespace metrics
