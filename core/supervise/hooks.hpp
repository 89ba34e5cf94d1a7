// Hooks as supervise sees them: what is asked, what is answered, and who may answer. A hook is asked at one
// of Circus's points (before_start … extended_stats) of a watcher's life. It answers later, never from inside
// the call, and always: whoever asks sets the deadline.
//
// Three kinds of answerers stand behind one HookFn: a command that is run (`{exec = "…"}`), a function of a
// library (`"lib.so:function"`, loaded through HookLibraryPort), and a plugin that registered itself for a
// point and a glob of watchers (HookRegistry).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/hook.hpp"

namespace circus::supervise {

struct HookCall {
    std::string hook;     // "before_start"
    std::string watcher;  // as written in the configuration
    std::string args;     // JSON object: pid, signum, exit_code … as the point has them
};

using model::HookVerdict;

struct HookAnswer {
    HookVerdict verdict = HookVerdict::Ok;
    std::string text;  // Ok of extended_stats: a JSON object to merge; Deny, Error: the reason as plain text
};

using HookAnswered = std::function<void(HookAnswer)>;
// Asks. `answered` is called exactly once, on the loop's thread, never from inside the call.
using HookFn = std::function<void(const HookCall& call, HookAnswered answered)>;

// What plugins registered, in the order of registration. On the loop's thread. Neither add() nor remove() is
// to be called from inside a HookFn; from an answer it may.
class HookRegistry {
  public:
    using Id = std::uint64_t;
    // `watchers`: a glob over watcher names, without case.
    Id add(std::string point, std::string_view watchers, HookFn hook);
    void remove(Id id);  // calls that are under way still answer
    // Those for this point of this watcher.
    std::vector<HookFn> matching(std::string_view point, std::string_view watcher) const;
    bool empty() const { return hooks_.empty(); }

  private:
    struct Entry {
        std::string point, watchers;
        HookFn hook;
    };
    std::map<Id, Entry> hooks_;
    Id next_ = 1;
};

// Loads functions of hook libraries. The product's is core/plugin's; tests have their own.
class HookLibraryPort {
  public:
    virtual ~HookLibraryPort() = default;
    // An error names library, step, found and expected. A library is loaded once and stays.
    virtual Result<HookFn> load(const std::string& library, const std::string& function) = 0;
};

}  // namespace circus::supervise
