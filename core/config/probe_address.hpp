// Where a readiness check looks: `ready = {tcp = "…"}` and `{http = "…"}`, read.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace circus::config {

struct ProbeAddress {
    std::string host;  // a name or an address; empty: a unix socket
    int port = 0;
    std::string path;       // of the unix socket
    std::string authority;  // HTTP: what stands in Host:
    std::string resource;   // HTTP: "/health?deep=1"; empty: a connection is all that is asked for
};

// "HOST:PORT", "[::1]:PORT" or "unix:/PATH". The errors stand behind the option and what it was given.
Result<ProbeAddress> parse_tcp_address(std::string_view written);
// "http://HOST[:PORT][/RESOURCE]" or "http://unix:/PATH[:/RESOURCE]".
Result<ProbeAddress> parse_http_url(std::string_view written);

}  // namespace circus::config
