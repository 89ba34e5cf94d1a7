// What somebody may do with circusd, each role all of the one before it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace circus::model {

enum class Role {
    None,
    Read,     // look
    Operate,  // start, stop, signal, count: what runs, as it is configured
    Admin,    // say what runs, and end it all
};

inline constexpr std::array<std::string_view, 4> kRoleNames{"none", "read", "operate", "admin"};

constexpr std::string_view name_of(Role role) {
    return kRoleNames[static_cast<std::size_t>(role)];
}

// A role that can be given: read, operate or admin.
constexpr std::optional<Role> parse_role(std::string_view name) {
    for (std::size_t i = 1; i < kRoleNames.size(); ++i)
        if (kRoleNames[i] == name) return static_cast<Role>(i);
    return std::nullopt;
}

}  // namespace circus::model
