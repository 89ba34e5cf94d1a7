// Any bytes as a stack.toml: errors or a configuration, nothing else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

#include "config/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    // Other files than this one are not what is tested, and may be devices.
    if (text.find("include") != std::string_view::npos) return 0;
    static const int fd = ::memfd_create("stack.toml", MFD_CLOEXEC);
    static const std::string path = "/proc/self/fd/" + std::to_string(fd);
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, data, size, 0) != static_cast<ssize_t>(size)) std::abort();
    const auto loaded = circus::config::load(path, {"HOME=/", "PORT=80"}, size % 2 == 0);
    for (const auto& error : loaded.errors)
        if (error.to_string().empty()) std::abort();
    if (loaded.errors.empty() && circus::config::summary(loaded.config).empty()) std::abort();
    return 0;
}
