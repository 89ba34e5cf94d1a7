// What one second of the stats stream says, as topics and payloads: pure functions over the answers of
// `stats`, `dstats` and `listsockets`. The names and shapes are Circus's.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <circus/plugin.hpp>

namespace stats {

using circus::Json;

struct Frame {
    std::string topic;    // "stat.web.1234"
    std::string payload;  // JSON
};
using Frames = std::vector<Frame>;

// The name as topics have it: lower case, spaces as "_". (Circus's own differ from it for processes that ran
// before its circusd-stats did.)
std::string topic_name(std::string_view watcher);

// What is subscribed to: beginnings of topics.
class Wanted {
  public:
    static Wanted everything();
    void add(std::string_view prefix) { prefixes_.emplace(prefix); }
    void remove(std::string_view prefix) { prefixes_.erase(std::string(prefix)); }
    bool is_empty() const { return prefixes_.empty(); }
    bool has(std::string_view topic) const;

  private:
    std::set<std::string> prefixes_;
};

// `infos`: the answer of `stats` without a name. Of each watcher its processes, then their sum; the frames
// that are wanted. What is not for the stream is taken out of `infos`.
void add_watchers(Frames& frames, Json infos, const Wanted& wanted = Wanted::everything());
// `info`: the answer of `dstats`.
void add_daemon(Frames& frames, Json info, const Wanted& wanted = Wanted::everything());

// How many connections were opened to each socket since the last look. Exact: a socket whose connections the
// kernel does not let circusd count is left out, and so is everything at the first look.
class Reads {
  public:
    // `sockets`: the answer of `listsockets` with figures.
    void add_to(Frames& frames, const Json& sockets);

  private:
    std::map<int, std::uint64_t> accepted_;  // by descriptor number, at the last look
};

}  // namespace stats
