// The plugin's section, read and judged: who may come in from where, and what they may do.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <circus/plugin.hpp>

#include "endpoints.hpp"
#include "secrets.hpp"

namespace console {

enum class Role { None, Read, Operate };
const char* role_name(Role role);

struct User {
    PasswordHash hash;
    Role role;
};

struct Settings {
    std::string host;  // an address, as it is bound
    std::uint16_t port = 0;
    bool is_loopback = true;
    std::string token, read_token;      // empty: none
    std::map<std::string, User> users;  // by name
    bool read_only = false;             // nobody may change anything here
    bool allow_add = false;
    std::vector<std::string> hosts;           // further names for this console, in lower case
    std::vector<EndpointSettings> endpoints;  // further circusds
    std::chrono::milliseconds interval{1000};
    std::chrono::seconds session_time{};

    // Throws circus::Failure that says which option is wrong, and what to write.
    static Settings parse(const circus::Json& config);

    // Another one when others may log in, or with other words; not what they are.
    std::string who_may() const;
    bool asks_who() const { return !token.empty() || !read_token.empty() || !users.empty(); }
    Role capped(Role role) const { return read_only && role == Role::Operate ? Role::Read : role; }
};

}  // namespace console
