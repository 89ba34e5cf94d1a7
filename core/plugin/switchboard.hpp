// Switchboard: what all plugins share of the arbiter, and the way back of answers that come late: a reply or
// a hook's call knows its plugin by a number, so that nothing reaches one that has gone meanwhile.
//
// What plugins ask for waits until flush(), at the end of the turn: a call() never acts from inside a
// callback. The loop's thread. Outlives the plugins and the arbiter's last settle().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "bus/bus.hpp"
#include "control/controller.hpp"
#include "loop/loop.hpp"
#include "plugin/backend.hpp"
#include "plugin/gauges.hpp"
#include "plugin/keepsakes.hpp"
#include "stream/streams.hpp"
#include "supervise/hooks.hpp"

namespace circus::plugin {

// Who is called at a point of a watcher's life: a plugin's HostTable, or the far end of an isolated one.
class HookTarget {
  public:
    virtual ~HookTarget() = default;
    virtual void ask(circus_id hook, const supervise::HookCall& call, supervise::HookAnswered answered) = 0;
};

// A plugin's answer to a hook as supervise has it. CIRCUS_E_AGAIN, or DENY with {"retry":
// true}, asks for another try.
supervise::HookAnswer hook_answer(circus_status status, const std::string& json);
// A plugin's answer to a command as a client gets it.
Result<Json> command_answer(circus_status status, const std::string& json);

class Switchboard {
  public:
    using Serial = std::uint64_t;
    struct Services {
        bus::Bus& bus;
        supervise::HookRegistry& hooks;
        Gauges& gauges;
        const Clock& clock;
        loop::Loop& loop;
        stream::Streams& streams;
    };
    explicit Switchboard(const Services& services) : services_(services) {}

    // Once there is one, before the first plugin runs. Libraries of hooks may be loaded earlier.
    void attach(control::Controller& controller) { controller_ = &controller; }
    Services& services() { return services_; }
    Keepsakes& keepsakes() { return keepsakes_; }
    control::CommandRegistry& registry() { return controller_->registry(); }
    Serial enter(HookTarget& target, std::string name);  // as the configuration has it
    void leave(Serial plugin);  // its replies are dropped; calls that wait are made all the same

    void call(Serial plugin, const std::string& command, const std::string& properties, Backend::Reply reply);
    // Registered as a hook: finds the plugin, if it is still there.
    supervise::HookFn hook_of(Serial plugin, circus_id hook);
    void later(std::function<void()> task) { later_.push_back(std::move(task)); }

    // True: something was done.
    bool flush();
    bool is_idle() const { return calls_.empty() && later_.empty(); }

  private:
    struct Call {
        std::uint64_t reply;
        std::string plugin, command, properties;
    };
    struct Waiting {
        Serial plugin;
        Backend::Reply reply;
    };
    void answer(std::uint64_t reply, const Result<Json>& result);
    void answer_text(std::uint64_t reply, std::string_view fields);

    Services services_;
    Keepsakes keepsakes_;
    control::Controller* controller_ = nullptr;
    struct Target {
        HookTarget* plugin = nullptr;
        std::string name;
    };
    std::map<Serial, Target> targets_;
    Serial last_ = 0;
    std::deque<Call> calls_;
    std::map<std::uint64_t, Waiting> replies_;
    std::uint64_t last_reply_ = 0;
    std::vector<std::function<void()>> later_;
};

}  // namespace circus::plugin
