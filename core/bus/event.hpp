// The bus: typed events to in-process subscribers and, as Circus's two frames, to PUB. Events are queued by
// publish() and delivered by drain(), at the end of the turn: nothing is called back from inside a call.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"

namespace circus::bus {

// RES of `watcher.RES.EVENT`: the name in lower case, spaces as "_".
std::string resource(std::string_view watcher_name);

struct Event {
    std::string topic;    // "watcher.web.spawn"
    std::string payload;  // JSON text, with "time": what subscribers get
    std::string wire;     // the same as PUB sends it, Circus's fields alone; empty: it is not published
};

}  // namespace circus::bus
