// What the command `autoscale` says of a watcher, and what it is told of its options. Nothing here calls the
// host.
#pragma once

#include <string>

#include "scaled.hpp"

namespace autoscaler {

// One line: the last decision, or why there is none.
std::string summary_of(const Scaled& it, Time now);
// The event of a change.
Json event_of(const std::string& name, const Decision& decision, bool is_dry);
// `explanation`, the last decisions in words, newest first; with `decisions` also each as JSON, and the
// options.
Json report(const Scaled& it, Time now, bool with_decisions);
// The options among the properties of `autoscale set`. Throws circus::Failure that says what is wrong with
// one.
Json options_in(const Json& properties);

}  // namespace autoscaler
