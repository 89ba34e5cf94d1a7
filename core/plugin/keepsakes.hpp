// Keepsakes: what plugins keep for the instance after them (circus.state/1), one object's text for each. Goes
// from arbiter to arbiter with what Plugins saves; who keeps something has it saved at once, so that it is
// safe before the plugin answers anybody. Plugins forgets what nobody is to inherit. The loop's thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace circus::plugin {

class Keepsakes {
  public:
    // Called when something was kept; saves.
    void when_kept(std::function<void()> then) { then_ = std::move(then); }
    void keep(std::string_view plugin, std::string json);
    // Of the arbiter before. Not an object: it is logged, and nothing is kept.
    void restore(std::string_view plugin, std::string json);
    void forget(std::string_view plugin);
    const std::string& of(std::string_view plugin) const;  // empty: nothing

  private:
    std::map<std::string, std::string> by_plugin_;  // its name in lower case
    std::function<void()> then_;
};

}  // namespace circus::plugin
