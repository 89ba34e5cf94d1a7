// A watcher's current status, in Circus's words; what is *wanted* of it (up or down, how many) is another
// thing.
#pragma once

namespace circus::model {

enum class WatcherStatus { Stopped, Starting, Active, Stopping };

constexpr const char* to_string(WatcherStatus status) {
    switch (status) {
        case WatcherStatus::Stopped:
            return "stopped";
        case WatcherStatus::Starting:
            return "starting";
        case WatcherStatus::Active:
            return "active";
        case WatcherStatus::Stopping:
            return "stopping";
    }
    return "";
}

}  // namespace circus::model
