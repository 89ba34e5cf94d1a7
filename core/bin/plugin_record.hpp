// PluginRecord: which plugins, or libraries of hooks, were running when an arbiter died, and what becomes of
// those that do it again and again. Goes from arbiter to arbiter in the saved state, with what operators said
// of plugins. The loop's thread.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "bin/plugin_deaths.hpp"
#include "bin/shared_page.hpp"
#include "keeper/wire.hpp"
#include "plugin/meter.hpp"
#include "plugin/plugins.hpp"

namespace circus::bin {

// Says in the shared page which plugin is being called.
class PageWitness final : public plugin::Witness {
  public:
    explicit PageWitness(SharedPage& page) : page_(page) { plugin::Meter::set_witness(this); }
    ~PageWitness() override { plugin::Meter::set_witness(nullptr); }
    void enter(std::string_view plugin, std::string_view callback) override { page_.enter(plugin, callback); }
    void leave() override { page_.leave(); }

  private:
    SharedPage& page_;
};

class PluginRecord {
  public:
    // Before the plugins are configured and libraries of hooks loaded: what the arbiter before knew, and how
    // it ended.
    void inherit(const std::string& state, const keeper::HelloMessage& hello, TimePoint now,
                 Duration arbiter_timeout, plugin::Plugins& plugins);
    std::string saved(const plugin::Plugins& plugins) const;

  private:
    PluginDeaths deaths_;
};

}  // namespace circus::bin
