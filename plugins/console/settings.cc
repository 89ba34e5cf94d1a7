#include "settings.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <functional>
#include <netinet/in.h>
#include <string_view>

#include "http.hpp"

namespace console {

namespace {

constexpr std::size_t kShortestToken = 16;

circus::Failure wrong(const std::string& option, const std::string& why) {
    return {CIRCUS_E_INVALID, option + ": " + why};
}

void read_listen(Settings& settings, const std::string& listen) {
    const auto colon = listen.rfind(':');
    if (colon == std::string::npos) throw wrong("listen", "write ADDRESS:PORT, not \"" + listen + "\"");
    std::string host = listen.substr(0, colon);
    const std::string port = listen.substr(colon + 1);
    unsigned number = 0;
    const auto [rest, bad] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (bad != std::errc() || rest != port.data() + port.size() || number > 65535)
        throw wrong("listen", "\"" + port + "\" is no port");
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (to_lower(host) == "localhost") host = "127.0.0.1";
    in_addr v4{};
    in6_addr v6{};
    if (inet_pton(AF_INET, host.c_str(), &v4) == 1)
        settings.is_loopback = (ntohl(v4.s_addr) >> 24) == 127;
    else if (inet_pton(AF_INET6, host.c_str(), &v6) == 1)
        settings.is_loopback = IN6_IS_ADDR_LOOPBACK(&v6) != 0;
    else
        throw wrong(
            "listen",
            "\"" + host + "\" is no address; write one, as 127.0.0.1, [::1] or 0.0.0.0, or localhost");
    settings.host = host;
    settings.port = static_cast<std::uint16_t>(number);
}

// The name of a host, as the header Host has it before its port.
std::string read_host(const std::string& given) {
    const auto scheme = given.find("://");
    const std::string host = given.substr(scheme == std::string::npos ? 0 : scheme + 3);
    const std::string name = host.substr(0, host.find_first_of(":/"));
    if (given == name && !name.empty()) return name;
    const bool is_address = name.empty() || name[0] == '[' || std::count(host.begin(), host.end(), ':') > 1;
    throw wrong("hosts", "\"" + given + "\" is no name; " +
                             (is_address ? std::string("addresses need no entry")
                                         : "write \"" + name + "\", which holds for any port"));
}

std::string read_token(const circus::Json& config, const char* option) {
    const auto at = config.find(option);
    if (at == config.end()) return {};
    const auto token = at->get<std::string>();
    // A substitution whose variable is not set is left as it stands: a token that everybody knows.
    if (token.find("$(circus.") != std::string::npos || token.find("((circus.") != std::string::npos)
        throw wrong(option, "the variable that it names is not set");
    if (token.size() < kShortestToken)
        throw wrong(option, "must have at least " + std::to_string(kShortestToken) + " characters");
    return token;
}

Role read_role(const circus::Json& entry, const std::string& option) {
    const auto role = entry.value("role", std::string("operate"));
    if (role == "operate") return Role::Operate;
    if (role == "read") return Role::Read;
    throw wrong(option, "role must be \"operate\" or \"read\"");
}

void read_users(Settings& settings, const circus::Json& users) {
    for (const auto& [name, entry] : users.items()) {
        const std::string option = "users." + name;
        const bool is_table = entry.is_object();
        const circus::Json* const password =
            is_table ? (entry.contains("password") ? &entry["password"] : nullptr) : &entry;
        if (!password || !password->is_string())
            throw wrong(option, "write the hash of a password, or { password = \"HASH\", role = \"read\" }");
        if (is_table)
            for (const auto& [key, value] : entry.items())
                if ((key != "password" && key != "role") || !value.is_string())
                    throw wrong(option, "has \"password\" and \"role\", both texts");
        const auto hash = PasswordHash::parse(password->get<std::string>());
        if (!hash)
            throw wrong(option,
                        "the password must be a hash, as \"$scrypt$ln=15,r=8,p=1$SALT$HASH\"; the plugin's "
                        "README says how to make one");
        settings.users.emplace(name, User{*hash, is_table ? read_role(entry, option) : Role::Operate});
    }
}

}  // namespace

const char* role_name(Role role) {
    return role == Role::Operate ? "operate" : role == Role::Read ? "read" : "none";
}

Settings Settings::parse(const circus::Json& config) {
    Settings settings;
    read_listen(settings, config.at("listen").get<std::string>());
    settings.token = console::read_token(config, "token");
    settings.read_token = console::read_token(config, "read_token");
    if (!settings.token.empty() && settings.token == settings.read_token)
        throw wrong("read_token", "is the same as token");
    read_users(settings, config.at("users"));
    settings.read_only = config.at("read_only").get<bool>();
    settings.allow_add = config.at("allow_add").get<bool>();
    for (const auto& host : config.at("hosts"))
        settings.hosts.push_back(read_host(to_lower(host.get<std::string>())));
    settings.endpoints = read_endpoints(config.at("endpoints"));
    settings.interval =
        std::chrono::milliseconds(static_cast<long long>(config.at("interval").get<double>() * 1000));
    settings.session_time =
        std::chrono::seconds(static_cast<long long>(config.at("session_hours").get<double>() * 3600));
    if (!settings.is_loopback && !settings.asks_who())
        throw wrong("listen", settings.host +
                                  " can be reached from other machines: that needs a token or users; or "
                                  "write 127.0.0.1");
    return settings;
}

std::string Settings::who_may() const {
    std::string all = token + '\n' + read_token;
    for (const auto& [name, user] : users)
        all += '\n' + name + '\n' + user.hash.text() + role_name(user.role);
    return std::to_string(std::hash<std::string>()(all));
}

}  // namespace console
