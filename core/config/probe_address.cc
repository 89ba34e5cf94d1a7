#include "config/probe_address.hpp"

#include <algorithm>
#include <sys/un.h>

#include "base/text.hpp"

namespace circus::config {
namespace {

constexpr std::string_view kUnix = "unix:";

bool is_plain(std::string_view text) {
    return std::none_of(text.begin(), text.end(),
                        [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
}

Result<ProbeAddress> unix_address(std::string_view path) {
    if (!path.starts_with('/')) return Error{"the path of a unix socket must begin with /"};
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return Error{
            cat("the path of a unix socket has at most ", sizeof(sockaddr_un::sun_path) - 1, " bytes")};
    ProbeAddress address;
    address.path = path;
    address.authority = "localhost";
    return address;
}

// `usual`: the port where none is given; 0: there must be one.
Result<ProbeAddress> inet_address(std::string_view written, int usual) {
    ProbeAddress address;
    address.authority = written;
    std::string_view port;
    if (written.starts_with('[')) {
        const auto end = written.find(']');
        if (end == std::string_view::npos) return Error{"the bracket is not closed"};
        address.host = written.substr(1, end - 1);
        port = written.substr(end + 1);
    } else {
        const auto colon = written.find(':');
        address.host = written.substr(0, colon);
        port = colon == std::string_view::npos ? std::string_view() : written.substr(colon);
    }
    if (address.host.empty()) return Error{"names no host"};
    if (!is_plain(written)) return Error{"a host's name has no blanks"};
    if (port.empty() && usual != 0) {
        address.port = usual;
        return address;
    }
    const auto number = port.starts_with(':') ? parse_int(port.substr(1)) : std::nullopt;
    if (!number || *number < 1 || *number > 65535) return Error{"must end with a port, 1 to 65535"};
    address.port = static_cast<int>(*number);
    return address;
}

}  // namespace

Result<ProbeAddress> parse_tcp_address(std::string_view written) {
    if (written.starts_with(kUnix)) return unix_address(written.substr(kUnix.size()));
    return inet_address(written, 0);
}

Result<ProbeAddress> parse_http_url(std::string_view written) {
    constexpr std::string_view kHttp = "http://";
    if (written.starts_with("https://"))
        return Error{"https is not spoken here; let a command ask, as in {exec = \"curl -fsS https://…\"}"};
    if (!written.starts_with(kHttp)) return Error{"must begin with http://"};
    written.remove_prefix(kHttp.size());
    if (!is_plain(written)) return Error{"a URL has no blanks"};
    if (written.starts_with(kUnix)) {
        written.remove_prefix(kUnix.size());
        const auto colon = written.find(':');
        auto address = unix_address(written.substr(0, colon));
        if (!address) return address;
        address->resource = colon == std::string_view::npos ? "/" : std::string(written.substr(colon + 1));
        if (!address->resource.starts_with('/')) return Error{"what is asked for must begin with /"};
        return address;
    }
    const auto slash = std::min(written.find_first_of("/?#"), written.size());
    auto address = inet_address(written.substr(0, slash), 80);
    if (!address) return address;
    const std::string_view rest = written.substr(slash);
    address->resource = cat(rest.starts_with('/') ? "" : "/", rest.substr(0, rest.find('#')));
    return address;
}

}  // namespace circus::config
