// What `reloadconfig` has to do: the difference between two configurations, pure. Which options differ is
// read off the option tables, and so is what a difference means (Effect): nothing here knows an option by its
// name but those by which a watcher reaches its sockets.
//
// Three configurations meet in a reload: the file as it was read last, what runs (the file and what `set`,
// `incr` and `add` did since), and the file now. merge() decides between them, section by section as Circus
// does: a section that the file did not change stays as it runs, one that it did is taken whole. diff()
// then compares what runs with what is wanted.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace circus::config {

// From the least to the most.
enum class Change {
    Kept,
    Live,     // options that apply as they are set
    Count,    // numprocesses, perhaps beside live options: the difference is started or stopped
    Reload,   // its processes are replaced, gracefully
    Restart,  // it is stopped and started
    Added,
    Removed
};

struct WatcherChange {
    std::string name;  // as written in the new configuration; a removed one's as it was
    Change change = Change::Kept;
    std::vector<std::string> why;  // the options, and "socket NAME" for a socket it uses
};

// One [socket.NAME] of the new configuration.
struct SocketChange {
    std::string name;
    std::string from;              // the present socket that goes on as this one; empty: there is none
    bool bind = false;             // a new descriptor is bound (with `from`: in the place of the old one)
    bool replaces_users = false;   // who uses it must be started anew
    std::vector<std::string> why;  // the options; "renamed from NAME"; empty: kept or added
};

struct PluginChange {
    std::string name;
    Change change = Change::Kept;  // Live: it is reconfigured, where it can be. Restart, Added, Removed
    std::vector<std::string> why;
};

struct CircusChange {
    std::string option;
    bool live = false;  // else it takes effect when circusd is started again
};

struct Difference {
    std::vector<CircusChange> circus;
    std::vector<SocketChange> sockets;         // as in the new configuration, all of them
    std::vector<std::string> removed_sockets;  // and gone for good: renamed ones are not among them
    std::vector<WatcherChange> watchers;       // as in the new configuration, then the removed ones
    std::vector<PluginChange> plugins;         // the same
};

Difference diff(const Config& current, const Config& next);

std::vector<SocketChange> diff_sockets(const std::vector<SocketConfig>& current,
                                       const std::vector<SocketConfig>& next);

// The names of the options in which two watchers differ, as the table calls them ("env", "rlimit_nofile").
std::vector<std::string> changed_options(const WatcherConfig& current, const WatcherConfig& next);

// `next` without what only a new circusd puts into force.
CircusConfig in_force(const CircusConfig& current, const CircusConfig& next);

// `next` with the watchers as they run where their sections are as in `before`. Where only numprocesses
// changed, only that is taken over.
Config merge(const Config& before, const Config& running, Config next);

}  // namespace circus::config
