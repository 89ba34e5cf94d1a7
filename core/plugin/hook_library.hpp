// HookLibraries: `hooks.before_start = "lib.so:function"`. A library is loaded once, after its stamp was
// checked, and stays. Its functions get a host of the library's own, so that they may log, complete later
// from a thread, call commands and publish; they are called as hooks of a plugin are.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "loop/loop.hpp"
#include "plugin/host_table.hpp"
#include "plugin/loader.hpp"
#include "plugin/local_backend.hpp"
#include "supervise/hooks.hpp"

namespace circus::plugin {

class HookLibraries final : public supervise::HookLibraryPort {
  public:
    HookLibraries(loop::Loop& loop, Switchboard& board) : loop_(loop), board_(board) {}

    Result<supervise::HookFn> load(const std::string& library, const std::string& function) override;

    // As Plugins::deliver().
    bool deliver(TimePoint until);
    void close();  // before the switchboard goes: what is asked from now on is an error

  private:
    struct Loaded {
        Loaded(loop::Loop& loop, Switchboard& board, const std::string& name, Library opened);
        Library library;
        LocalBackend backend;
        HostTable host;
    };
    loop::Loop& loop_;
    Switchboard& board_;
    bool closed_ = false;
    std::map<std::string, std::unique_ptr<Loaded>> libraries_;  // by file
};

}  // namespace circus::plugin
