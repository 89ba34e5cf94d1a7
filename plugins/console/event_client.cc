#include "event_client.hpp"

#include <memory>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>

#include "foreign_json.hpp"

namespace console {

namespace {

namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;

constexpr std::size_t kBatch = 200;
constexpr std::size_t kMostReceived = 4096;

class Client final : public EventClient, public std::enable_shared_from_this<Client> {
  public:
    Client(Server::Impl& server, tcp::socket socket, Visitor visitor, Wish wish);
    ~Client() override;

    void accept(Upgrade request);
    void tell() override;
    void show(const std::string& fields) override;
    void show_endpoints(const std::string& list) override;
    bool wants_overview() const override { return wish_.overview; }
    Stack& stack() const override { return *wish_.stack; }
    void check(Time now) override;

  private:
    void read();
    void take(const std::string& text);
    void send();
    std::string next_message();

    Server::Impl& server_;
    websocket::stream<beast::tcp_stream> stream_;
    Upgrade request_;
    beast::flat_buffer buffer_;
    Visitor visitor_;
    Wish wish_;
    std::uint64_t next_ = 0;  // of the feed
    std::string sending_, hello_, late_, endpoints_, overview_;
    bool open_ = false, busy_ = false;
};

Client::Client(Server::Impl& server, tcp::socket socket, Visitor visitor, Wish wish)
    : server_(server), stream_(std::move(socket)), visitor_(std::move(visitor)), wish_(std::move(wish)) {
    server_.opened();
    next_ = stack().feed.last(wish_.past);
    hello_ = circus::detail::dump({{"type", "hello"},
                                   {"role", role_name(visitor_.role)},
                                   {"user", visitor_.user},
                                   {"seq", next_},
                                   {"interval", std::chrono::duration<double>(server_.interval()).count()}});
    show_endpoints(circus::detail::dump(server_.stacks().list()));
}

Client::~Client() {
    server_.leave(this);
    server_.closed();
}

void Client::accept(Upgrade request) {
    request_ = std::move(request);
    websocket::stream_base::timeout timeout{};
    timeout.handshake_timeout = std::chrono::seconds(10);
    timeout.idle_timeout = std::chrono::seconds(30);
    timeout.keep_alive_pings = true;
    stream_.set_option(timeout);
    stream_.read_message_max(kMostReceived);
    stream_.auto_fragment(false);  // one frame a message
    stream_.async_accept(request_, [self = shared_from_this()](error_code error) {
        if (error) return;
        self->open_ = true;
        self->server_.join(self.get());
        self->send();
        self->read();
        if (self->wish_.overview) self->server_.look();
    });
}

void Client::read() {
    stream_.async_read(buffer_, [self = shared_from_this()](error_code error, std::size_t) {
        if (error) {
            self->open_ = false;
            return self->server_.leave(self.get());
        }
        self->take(beast::buffers_to_string(self->buffer_.data()));
        self->buffer_.consume(self->buffer_.size());
        self->read();
    });
}

void Client::take(const std::string& text) {
    const Json message = parse_foreign(text);
    if (!message.is_object() || !message.contains("watcher")) return;
    const Json& watcher = message["watcher"];
    wish_.watcher = watcher.is_string() ? watcher.get<std::string>() : std::string();
    if (wish_.overview && !wish_.watcher.empty()) server_.look();
}

void Client::tell() {
    if (open_) send();
}

void Client::show(const std::string& fields) {
    if (!open_ || !wish_.overview) return;
    overview_ = "{\"type\":\"overview\",";
    if (!wish_.watcher.empty())
        overview_ += "\"watcher\":" + circus::detail::dump(wish_.watcher) +
                     ",\"processes\":" + circus::detail::dump(stack().overview.processes(wish_.watcher)) +
                     ",";
    overview_ += fields;
    send();
}

void Client::show_endpoints(const std::string& list) {
    endpoints_ = "{\"type\":\"endpoints\",\"endpoints\":" + list + "}";
    if (open_) send();
}

void Client::check(Time now) {
    if (!open_ || visitor_.session.empty() || server_.sessions().find(visitor_.session, now)) return;
    open_ = false;
    // It may be writing: whoever has lost his session gets no farewell.
    beast::get_lowest_layer(stream_).close();
}

// Empty: there is none.
std::string Client::next_message() {
    for (std::string* const waiting : {&hello_, &late_, &endpoints_, &overview_})
        if (!waiting->empty()) return std::exchange(*waiting, {});
    auto batch = stack().feed.read(next_, wish_.topic, kBatch);
    std::string events = batch.text.empty() ? "" : "{\"type\":\"events\",\"events\":" + batch.text + "}";
    if (batch.lost == 0) return events;
    late_ = std::move(events);
    return "{\"type\":\"lost\",\"count\":" + std::to_string(batch.lost) + "}";
}

void Client::send() {
    if (!open_ || busy_) return;
    sending_ = next_message();
    if (sending_.empty()) return;
    busy_ = true;
    stream_.text(true);
    stream_.async_write(asio::buffer(sending_), [self = shared_from_this()](error_code error, std::size_t) {
        self->busy_ = false;
        if (error)
            self->open_ = false;
        else
            self->send();
    });
}

}  // namespace

void serve_events(Server::Impl& server, tcp::socket socket, Upgrade request, Visitor visitor, Wish wish) {
    std::make_shared<Client>(server, std::move(socket), std::move(visitor), std::move(wish))
        ->accept(std::move(request));
}

}  // namespace console
