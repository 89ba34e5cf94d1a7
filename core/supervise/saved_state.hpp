// What an arbiter leaves to the next: the state that it saves with the keeper whenever something of it
// changes, and with it, from the keeper, the children and descriptors there are.
//
// The state is a row of records, each a kind, a length and CBOR: the configuration as the file was read last,
// the sockets, each watcher (its configuration, its identity, what is wanted of it, its back-off), and what
// concerns several of them. A record that a circusd does not know it passes over, so that one of another
// version can take over.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "config/config.hpp"
#include "keeper/wire.hpp"
#include "supervise/identity.hpp"
#include "supervise/ports.hpp"

namespace circus::supervise {

struct InheritedChild {
    keeper::ChildMessage facts;
    UniqueFd pidfd;  // empty: reaped already, its Exited follows
};

struct Inheritance {
    std::string state;
    ChildId last_child = 0;
    std::vector<InheritedChild> children;
    std::map<HoldId, UniqueFd> listeners;  // of the SocketTable
};

enum class RecordKind : std::uint32_t {
    Config = 1,
    Sockets,
    Overall,
    Watcher,       // its configuration, and behind it
    WatcherState,  // what is wanted of it
    Plugins = 64,  // not supervise's: bin's
};

void append_record(std::string& state, RecordKind kind, std::string_view bytes);

struct Record {
    RecordKind kind{};
    std::string_view bytes;
};
// An error: this is no state.
Result<std::vector<Record>> read_records(std::string_view state);
std::string to_bytes(const Json& value);
Json from_bytes(std::string_view bytes);  // Json::exception

// The configuration as the file was read last.
Result<config::Config> saved_config(std::string_view state);

Json to_saved(const Identity& identity);
void from_saved(const Json& saved, Identity& identity);

}  // namespace circus::supervise
