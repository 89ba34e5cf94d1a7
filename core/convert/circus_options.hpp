// The options Circus has, as its readers know them: what kind of value each is, and what has no counterpart
// here.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "convert/values.hpp"

namespace circus::convert {

struct KnownOption {
    std::string_view name;
    ValueKind kind;
};
using KnownOptions = std::span<const KnownOption>;
KnownOptions circus_options();         // of [circus]
KnownOptions circus_socket_options();  // of [socket:x]
KnownOptions circus_watcher_options();
KnownOptions circus_stream_options();  // of stdout_stream and stderr_stream
const KnownOption* find_known(KnownOptions options, std::string_view name);  // null: unknown

// Of an option that circusd has no counterpart for, in whatever section: what to do instead.
std::optional<std::string_view> advice_for_lost(std::string_view name);

// Circus's own stream classes, by their name or their dotted path.
std::optional<std::string> own_stream_class(std::string_view name);

}  // namespace circus::convert
