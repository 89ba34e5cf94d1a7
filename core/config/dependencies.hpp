// `depends_on` over all watchers: that what is named exists, and that nobody waits for himself in the end.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace circus::config {

struct DependencyFault {
    std::size_t watcher = 0;  // its index
    std::string on;           // the name in its depends_on that it is about
    std::string text;  // "there is no such watcher; did you mean "db"?", "is a cycle: web → db → web"
};

// Each cycle is told once, at the watcher that comes first.
std::vector<DependencyFault> check_dependencies(const std::vector<WatcherConfig>& watchers);

}  // namespace circus::config
