#include "settings.hpp"

#include <arpa/inet.h>
#include <charconv>
#include <netinet/in.h>

namespace metrics {

namespace {

circus::Failure wrong(const std::string& option, const std::string& why) {
    return {CIRCUS_E_INVALID, option + ": " + why};
}

std::uint16_t port_of(const std::string& text) {
    unsigned number = 0;
    const auto [rest, bad] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (bad != std::errc() || rest != text.data() + text.size() || number > 65535)
        throw wrong("listen", "\"" + text + "\" is no port");
    return static_cast<std::uint16_t>(number);
}

bool is_loopback_address(const std::string& host) {
    in_addr v4{};
    in6_addr v6{};
    if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
    throw wrong("listen",
                "\"" + host + "\" is no address; write one, as 127.0.0.1, [::1] or 0.0.0.0, or localhost");
}

}  // namespace

Settings Settings::parse(const circus::Json& config) {
    Settings settings;
    const auto listen = config.at("listen").get<std::string>();
    if (listen.empty()) return settings;
    const auto colon = listen.rfind(':');
    if (colon == std::string::npos) throw wrong("listen", "write ADDRESS:PORT, not \"" + listen + "\"");
    settings.port = port_of(listen.substr(colon + 1));
    std::string host = listen.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host == "localhost") host = "127.0.0.1";
    settings.is_loopback = is_loopback_address(host);
    settings.host = host;
    if (!settings.is_loopback && !config.at("remote").get<bool>())
        throw wrong("listen",
                    host +
                        " can be reached from other machines, and whoever reaches it may read: that "
                        "needs remote = true; or write 127.0.0.1");
    return settings;
}

}  // namespace metrics
