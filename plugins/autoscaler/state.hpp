// What the autoscaler keeps (circus.state/1), so that another arbiter goes on where this one ended: of each
// watcher what operators have said, what was learnt, and what limits the next change. Pure.
//
// Not in it: the decisions of late and what was wanted in the window of a shrink. The window begins anew: the
// fleet shrinks later, never sooner, and grows no faster.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "scaled.hpp"

namespace autoscaler {

using AllScaled = std::map<std::string, std::shared_ptr<Scaled>>;

class Notebook {
  public:
    // What the arbiter before has kept. Throws circus::Failure where that makes no sense.
    void open(const Json& state);
    // Before the options of a watcher are read for the first time: what is known of it. Throws, and has
    // changed nothing, where that makes no sense.
    void recall(const std::string& name, Scaled& it, Time now);
    // It is not scaled any more, before it was recalled.
    void forget(const std::string& name) { left_.erase(name); }
    void forget_all_but(const Json& names);

    // What is to be kept; nothing: the same as last time.
    std::optional<Json> changed(const AllScaled& scaled);

  private:
    Json left_ = Json::object();  // rows of watchers that were not looked at yet
    Json kept_ = Json::object();  // the rows of last time
};

}  // namespace autoscaler
