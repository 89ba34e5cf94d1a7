// Url: where a Redis server is, as redis-py's from_url() takes it.
//
//     redis://[[USER]:PASSWORD@]HOST[:PORT][/DB]        unix://[[USER]:PASSWORD@]/PATH[?db=DB]
//
// Percent escapes are resolved. TLS (rediss://) is not known here.
#pragma once

#include <string>
#include <string_view>

namespace redis_observer {

struct Url {
    std::string path;  // of a unix socket; empty: host and port
    std::string host = "localhost";
    int port = 6379;
    std::string user, password;
    int db = 0;
};

// Throws std::invalid_argument with what is wrong.
Url parse_url(std::string_view text);

}  // namespace redis_observer
