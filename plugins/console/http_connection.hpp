// One connection: reads a request, has it handled, writes the response, and again; or becomes a WebSocket.
// Limits: 16 KiB of header, 256 KiB of body, 10 s for a request to arrive, 30 s without one, 65 s for circusd
// to answer.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "server_impl.hpp"

namespace console {

// It lives as long as it is connected.
void serve_http(Server::Impl& server, tcp::socket socket);

}  // namespace console
