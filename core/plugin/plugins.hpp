// Plugins: the [plugin.NAME] sections, alive. Wishes (a changed configuration, `circusctl plugin NAME …`) set
// data; settle(), at the end of each turn, starts, stops and answers. One that fails costs nobody anything
// but itself: it is logged, `circusctl plugins` says why, and the stack goes on.
//
//   status     wanted  runner
//   disabled   no      none        not active in the file, or disabled by an operator
//   starting   yes     Starting
//   active     yes     Running
//   stopping   –       Stopping    and gone, disabled or started again after it
//   failed     yes     none        until it is enabled or its section changes
//   quarantined yes    none        the same: it was running when the arbiter died, too often
//
// Libraries of hooks are no plugins, but one that is in quarantine is shown beside them and enabled as they
// are.
//
// Higher priority starts first and is stopped last: one waits until those below have ended.
// Driven on the loop's thread by core/bin.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "config/config.hpp"
#include "plugin/hook_library.hpp"
#include "plugin/runner.hpp"
#include "plugin/switchboard.hpp"

namespace circus::plugin {

class Plugins {
  public:
    // Makes what runs a plugin, in the arbiter or isolated.
    using Make = std::function<std::unique_ptr<Runner>(const config::PluginConfig& config)>;
    // Adds the commands plugins, plugin and gauge.
    Plugins(Switchboard& board, HookLibraries& libraries, Make make);
    ~Plugins();
    Plugins(const Plugins&) = delete;
    Plugins& operator=(const Plugins&) = delete;

    // What there is from now on: new ones start, others go, changed ones are reconfigured or restarted. What
    // an operator said of one holds until its section changes.
    void configure(const std::vector<config::PluginConfig>& wanted);
    // From one arbiter to the next: what operators said of plugins, which are in quarantine, and what those
    // that run have kept. restore() comes before the first configure(), and before a library of hooks is
    // loaded.
    Json saved() const;
    void restore(const Json& saved);
    // It does not start until an operator enables it. `why` is logged; before the first configure() or after.
    void quarantine(const std::string& name, const std::string& why);
    // The events of those in quarantine, once each. When an arbiter starts nobody subscribes to it yet.
    void tell_quarantines();
    // The end: all stop, `deadline` each.
    void stop(Milliseconds deadline);
    bool is_stopped() const;

    // At the end of the turn. settle(): carries out wishes. deliver(): calls into the plugins what waits for
    // them, for about `budget`. True: there was something; come back, for the rest of it and for what it has
    // set going.
    void settle();
    bool deliver(Milliseconds budget);

    Json show() const;

  private:
    struct Entry {
        config::PluginConfig config;
        bool enabled = true;   // by file or operator
        bool removed = false;  // not in the file any more
        bool restart = false;
        std::string failure;  // not empty: failed
        bool quarantined = false;
        bool quarantine_told = false;
        std::unique_ptr<Runner> runner;
        std::vector<control::CommandRegistry::Answered> waiting;  // for its wish to come true
    };

    Entry* find(std::string_view name);
    void act(const Json& properties, const control::CommandRegistry::Answered& answered);
    void gauge(const Json& properties, const control::CommandRegistry::Answered& answered);
    void change(Entry& entry, const config::PluginConfig& config);
    bool may_stop(const Entry& entry) const;
    void advance(Entry& entry);
    void begin(Entry& entry);
    void fail(Entry& entry, const std::string& why);
    void confine(Entry& entry, const std::string& why);
    void confine_library(const std::string& name, const std::string& why);
    void forget(const Entry& entry);
    void answer(Entry& entry);
    void tell(const std::string& name, const char* event, const std::string& error = {});
    static std::string state_of(const Entry& entry);
    static bool is_settled(const Entry& entry);

    Switchboard& board_;
    HookLibraries& libraries_;
    std::vector<std::string> untold_libraries_;  // in quarantine since this arbiter began
    const Make make_;
    struct Saved {
        std::optional<bool> enabled;  // as an operator said
        std::string quarantine;       // why
    };
    std::map<std::string, Saved> restored_;        // by name in lower case, until it is configured
    std::vector<std::unique_ptr<Entry>> entries_;  // in the order of their start
    bool stopping_ = false;
    Milliseconds stop_deadline_;
    std::size_t next_ = 0;  // whose turn it is in deliver()
};

}  // namespace circus::plugin
