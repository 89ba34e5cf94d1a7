#include "plugin/loader.hpp"

#include <exception>
#include <memory>
#include <mutex>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/runtime_symbol_info.hpp>
#include <boost/dll/shared_library.hpp>

#include "base/text.hpp"
#include "plugin/description.hpp"

namespace circus::plugin {

namespace dll = boost::dll;

namespace {

// What dlopen(3) said, out of Boost's "… (dlerror system message: FILE: TEXT): Bad file descriptor".
std::string reason(std::string_view what, const std::string& file) {
    constexpr std::string_view kBefore = "dlerror system message: ";
    const auto begin = what.find(kBefore);
    if (begin == std::string_view::npos) return std::string(what);
    what.remove_prefix(begin + kBefore.size());
    what = what.substr(0, what.rfind("): "));
    if (what.starts_with(file)) what.remove_prefix(file.size());
    while (what.starts_with(':') || what.starts_with(' ')) what.remove_prefix(1);
    return std::string(what);
}

// Never destroyed, and found by whoever looks for leaks.
void* keep(std::unique_ptr<dll::shared_library> library) {
    static std::mutex mutex;
    static auto& all = *new std::vector<std::unique_ptr<dll::shared_library>>;
    const std::lock_guard lock(mutex);
    all.push_back(std::move(library));
    return all.back().get();
}

}  // namespace

Result<Library> Library::open(const std::string& file) {
    try {
        auto library = std::make_unique<dll::shared_library>();
        library->load(std::filesystem::path(file), dll::load_mode::rtld_now | dll::load_mode::rtld_local);
        return Library(file, keep(std::move(library)));
    } catch (const std::exception& failed) {
        return Error{
            fault("open", cat("\"", reason(failed.what(), file), "\""), "a shared library that loads")};
    }
}

const void* Library::find(const char* symbol) const {
    const auto& library = *static_cast<const dll::shared_library*>(handle_);
    if (!library.has(symbol)) return nullptr;
    return &library.get<const char>(symbol);
}

Result<const circus_plugin*> plugin_table(const Library& library) {
    const void* const table = library.find("circus_plugin_v1");
    if (!table)
        return Error{fault(
            "symbol",
            library.find("circus_hooks_v1") ? "circus_hooks_v1: a library of hooks" : "no circus_plugin_v1",
            "circus_plugin_v1")};
    return static_cast<const circus_plugin*>(table);
}

Result<HookFunction> hook_function(const Library& library, const std::string& function) {
    const auto* const stamp = static_cast<const circus_hooks_stamp*>(library.find("circus_hooks_v1"));
    if (!stamp)
        return Error{
            fault("symbol", "no circus_hooks_v1", "the stamp circus_hooks_v1 of a library of hooks")};
    if (stamp->size < sizeof *stamp)
        return Error{fault("size", cat(stamp->size, " bytes"), cat("at least ", sizeof *stamp))};
    if (stamp->abi_major != CIRCUS_ABI_MAJOR)
        return Error{fault("version", cat("ABI ", stamp->abi_major, ".", stamp->abi_minor),
                           cat("ABI ", CIRCUS_ABI_MAJOR, ".x"))};
    const void* const found = library.find(function.c_str());
    if (!found)
        return Error{
            fault("function", cat("no ", function), "a circus_hook_fn that is marked CIRCUS_EXPORT")};
    // A function's address, as dlsym(3) gives it: through an object's.
    return HookFunction{reinterpret_cast<circus_hook_fn>(const_cast<void*>(found))};
}

std::string program_file() {
    std::error_code ignored;
    return dll::program_location(ignored).string();
}

}  // namespace circus::plugin
