// Catalog: from the `use` of a [plugin.NAME] to a library, and to what that library says of itself. It is
// asked in a throw-away `circus-plugin --describe FILE`, so that a constructor that crashes or hangs hurts
// nobody. It blocks: for the thread that reads the configuration.
#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "config/plugin_catalog.hpp"

namespace circus::plugin {

class Catalog final : public config::PluginCatalog {
  public:
    // `describer`: the file of circus-plugin. `folders`: where shipped plugins are.
    Catalog(std::string describer, std::vector<std::string> folders,
            Milliseconds deadline = Milliseconds(5000));
    // Those of this program's own build or installation.
    static Catalog of_this_program();

    config::PluginLookup find(std::string_view use, const std::vector<std::string>& folders) const override;
    const std::string& describer() const { return describer_; }

  private:
    config::PluginLookup describe(const std::string& file) const;

    const std::string describer_;
    const std::vector<std::string> folders_;
    const Milliseconds deadline_;
};

}  // namespace circus::plugin
