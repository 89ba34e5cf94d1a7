// PluginRecord: which plugins were running when an arbiter died, and what becomes of those that do it again
// and again. Goes from arbiter to arbiter in the saved state, with what operators said of plugins. The loop's
// thread.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.hpp"
#include "base/json.hpp"
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
    // Before the plugins are configured: what the arbiter before knew, and how it ended.
    void inherit(const std::string& state, const keeper::HelloMessage& hello, TimePoint now,
                 plugin::Plugins& plugins);
    std::string saved(const plugin::Plugins& plugins) const;

  private:
    std::deque<std::pair<std::string, TimePoint>> deaths_;  // in a plugin's call, the oldest first
};

}  // namespace circus::bin
