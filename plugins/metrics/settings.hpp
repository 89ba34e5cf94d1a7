// The plugin's section, read and judged: where it listens.
#pragma once

#include <cstdint>
#include <string>

#include <circus/plugin.hpp>

namespace metrics {

struct Settings {
    std::string host;  // an address, as it is bound; empty: it has none of its own
    std::uint16_t port = 0;
    bool is_loopback = true;

    bool listens() const { return !host.empty(); }
    // Throws circus::Failure that says which option is wrong, and what to write.
    static Settings parse(const circus::Json& config);
};

}  // namespace metrics
