// One WebSocket at /api/v1/events. What it is sent are JSON objects:
//
//     {"type": "hello", "role", "user", "seq", "interval"}
//     {"type": "events", "events": [{"seq", "topic", "payload"}, …]}
//     {"type": "lost", "count"}                      it read too slowly: so many events are missing here
//     {"type": "endpoints", "endpoints": […]}  with the first message, and at each change
//     {"type": "overview", …}                        where asked for, each interval; the newest one only
//
// What it may send is {"watcher": NAME or null}: of which one the overview has the processes, too.
//
// One message is on its way at a time. The rest is not queued but read from the feed when that one is
// through, so that a slow reader costs nothing. On the console's thread.
#pragma once

#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include "router.hpp"
#include "server_impl.hpp"

namespace console {

// As the server sees it.
class EventClient {
  public:
    EventClient() = default;
    virtual ~EventClient() = default;
    EventClient(const EventClient&) = delete;
    EventClient& operator=(const EventClient&) = delete;

    virtual void tell() = 0;                                   // there is something new in the feed
    virtual void show(const std::string& fields) = 0;          // an overview, as JSON without its first brace
    virtual void show_endpoints(const std::string& list) = 0;  // what Stacks::list() says, as JSON
    virtual bool wants_overview() const = 0;
    virtual Stack& stack() const = 0;  // whose events and overviews it gets
    virtual void check(Time now) = 0;  // ends it if its session has ended
};

using Upgrade = boost::beast::http::request<boost::beast::http::string_body>;

// It lives as long as it is connected.
void serve_events(Server::Impl& server, tcp::socket socket, Upgrade request, Visitor visitor, Wish wish);

}  // namespace console
