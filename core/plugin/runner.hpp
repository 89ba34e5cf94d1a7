// Runner: one plugin of the configuration while it runs, in the arbiter or in a process of its own. Plugins
// looks at its phase at the end of each turn; a runner calls nobody back.
//
//   Starting -> Running -> Stopping -> Ended     with an error, from any of them: Ended
#pragma once

#include <optional>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "plugin/meter.hpp"

namespace circus::plugin {

class Runner {
  public:
    enum class Phase { Starting, Running, Stopping, Ended };
    virtual ~Runner() = default;

    virtual Phase phase() const = 0;
    // Why it ended, as text; empty: it was stopped.
    virtual const std::string& error() const = 0;
    virtual Figures figures() const = 0;
    // While it is Running. Whether it could, comes out later.
    virtual void reconfigure(const config::PluginConfig& config) = 0;
    // Once, after reconfigure(): it could not, and is to be restarted. The text says why, if there is a
    // reason but that it has no such function.
    virtual std::optional<std::string> take_refusal() = 0;
    virtual void stop(Milliseconds deadline) = 0;
    // Calls into the plugin what waits for it. True: there was something; come back.
    virtual bool deliver(TimePoint until) = 0;
};

}  // namespace circus::plugin
