// Loader: shared libraries, by Boost.DLL; loader.cc is the only file that sees it. A library that was loaded
// stays mapped until the end of the process: a C++ library is hardly ever really unmapped, and what it has
// left behind (a thread, a destructor of a thread's variable) must not jump into nothing.
//
// Any thread.
#pragma once

#include <string>

#include <circus/abi.h>

#include "base/result.hpp"

namespace circus::plugin {

class Library {
  public:
    // An error is a fault(): step "open".
    static Result<Library> open(const std::string& file);

    // Null: it has no such symbol.
    const void* find(const char* symbol) const;
    const std::string& file() const { return file_; }

  private:
    Library(std::string file, void* handle) : file_(std::move(file)), handle_(handle) {}
    std::string file_;
    void* handle_;  // a boost::dll::shared_library that is never destroyed
};

// Its circus_plugin_v1, not looked into yet. An error is a fault(): step "symbol".
Result<const circus_plugin*> plugin_table(const Library& library);

struct HookFunction {
    circus_hook_fn call;
};
// The function of a hook library (circus_add_hook_library), whose stamp circus_hooks_v1 was checked. An error
// is a fault(): step "symbol", "version", "size" or "function".
Result<HookFunction> hook_function(const Library& library, const std::string& function);

// The file of the running program, absolute.
std::string program_file();

}  // namespace circus::plugin
