// HookLibraries: `hooks.before_start = "lib.so:function"`. A library is loaded once, after its stamp was
// checked, and stays. Its functions get a host of the library's own, so that they may log, complete later
// from a thread, call commands and publish; they are called as hooks of a plugin are. One in quarantine, in
// which the arbiter died too often, is not called any more: its hooks answer that they have failed. The next
// arbiter does not even load it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

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

    // By the name of its file, without case, as the witness of calls has it. bar(): what may be a library's
    // name, before it is loaded. quarantine(): false: there is none.
    void bar(std::string_view name, const std::string& why);
    bool quarantine(std::string_view name, const std::string& why);
    bool release(std::string_view name);  // false: none of that name is in quarantine
    struct Quarantined {
        std::string name, file, why;
        Figures figures;
    };
    std::vector<Quarantined> quarantined() const;

  private:
    struct Loaded {
        Loaded(loop::Loop& loop, Switchboard& board, std::string file_name, Library opened);
        const std::string name;
        Library library;
        LocalBackend backend;
        HostTable host;
        std::string quarantine;  // why; empty: it is in none
    };
    loop::Loop& loop_;
    Switchboard& board_;
    bool closed_ = false;
    std::map<std::string, std::unique_ptr<Loaded>> libraries_;  // by file
    struct Barred {
        std::string why;
        std::string file{};  // that was to be loaded; empty: none was
    };
    std::map<std::string, Barred> barred_;  // by name in lower case
};

}  // namespace circus::plugin
