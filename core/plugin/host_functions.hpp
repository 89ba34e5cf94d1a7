// The functions of circus_host and of its extensions, as a plugin calls them: checked, then handed to the
// HostTable behind `ctx`. Internal to this folder.
#pragma once

#include <cstddef>
#include <memory>

#include "plugin/host_table.hpp"

namespace circus::plugin {

struct HostFunctions {
    static circus_host table(HostTable& host);
    static const void* extension(const circus_host* host, const char* id);
};

// A circus_host cut to its first `size` bytes: memory behind it is not the plugin's.
struct HostTable::Table {
    Table(HostTable& host, std::uint32_t size);
    const circus_host* host() const { return reinterpret_cast<const circus_host*>(bytes.get()); }
    std::unique_ptr<std::byte[]> bytes;
};

}  // namespace circus::plugin
