// One row per option: name, type, default, doc, parser, getter, and when a change of it takes effect.
// Everything that knows options reads this table: the loader, --check, `options`, `get`, `set`, `add`, the
// reload plan, the docs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "config/config.hpp"

namespace circus::config {

// When a `set` (or a reloaded file) that changes the option takes effect.
enum class Effect {
    Live,     // now, nothing is restarted
    Count,    // numprocesses: spawn or stop the difference
    Respawn,  // the watcher is reloaded gracefully
    Restart,  // not settable while the watcher lives: the watcher is stopped and started anew
};

// What a value must be. Circus's wording on the wire and the loader's wording in files both follow from it.
enum class ValueType {
    Boolean,
    Integer,
    Number,
    Text,
    TextOrList,
    Signal,
    UserName,
    GroupName,
    Octal,
    Env,
    Stream,
    Rlimit,
    Hooks,
    Ready,
    Depends,
    Size,
    Strings,
    Table
};

struct OptionInfo {
    std::string_view name;
    ValueType type;
    Effect effect;
    bool settable;  // by `set` (all are by `add` and the file)
    std::string_view doc;
    std::string default_text;               // as docs/config.md shows it
    std::vector<std::string> choices = {};  // the words that a value may be, in any case; empty: others too
};

const std::vector<OptionInfo>& watcher_options();
const std::vector<OptionInfo>& socket_options();
const std::vector<OptionInfo>& circus_options();
std::vector<std::string> rlimit_options();        // what rlimit_LIMIT stands for: "rlimit_as" …
const std::vector<OptionInfo>& plugin_options();  // those that every plugin has

// One row per class of streams: its name, what it does, and the options of stream_options() that it has.
struct StreamClass {
    std::string_view name;
    std::string_view doc;
    std::vector<std::string_view> options;
    std::vector<std::string_view> required = {};
};
const std::vector<StreamClass>& stream_classes();
const std::vector<OptionInfo>& stream_options();

// A class of streams that somebody else has: known by its name from now on, in files and in messages,
// whatever options it is given. What those mean is the business of who offers it. From any thread.
void offer_stream_class(std::string name);
void withdraw_stream_class(std::string_view name);

// An error of `set` or `add` in Circus's words, e.g. "unknown key 'k'" or "'numprocesses' isn't an integer".
// Applies one wire option (stdout_stream.filename, rlimit_nofile and env included) to the config; on an error
// the config is as before. Returns when the change takes effect. Error::code is Circus's errno: 3 for a bad
// message, 5 for a command that cannot be done (no such user). Rules between several options are not checked
// here, since one message may set many: call check_watcher() after the last.
// Resolves user and group names, so `uid` and `gid` may ask the network.
Result<Effect> set_watcher_option(WatcherConfig& config, std::string_view key, const Json& value);

// The rules between the options of one watcher (a cmd that splits into words, a single process of a
// singleton, a FileStream with a filename), in the words of set_watcher_option.
Status check_watcher(const WatcherConfig& config);

// What `options` answers: every key of protocol.md section 3 with its type there, and the extras that were
// set.
Json watcher_options_to_json(const WatcherConfig& config, const std::string& daemon_directory);

// What `set` can change of it: by option, {"type", "effect", "value"}: "boolean", "integer", "number",
// "string", "size" or "any"; "live", "count", "respawn" or "restart" (Effect); what it is now,
// null: not set. Without limits and hooks, which are set one by one.
Json settable_options_to_json(const WatcherConfig& config);

Json global_options_to_json(const CircusConfig& config);

}  // namespace circus::config
