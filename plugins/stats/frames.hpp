// What one second of the stats stream says, as topics and payloads: pure functions over the answers of
// `stats`, `dstats` and `listsockets`. The names and shapes are Circus's.
#pragma once

#include <cstdint>
#include <map>
#include <string>
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

// `infos`: the answer of `stats` without a name. Of each watcher its processes, then their sum.
void add_watchers(Frames& frames, const Json& infos);
// `info`: the answer of `dstats`.
void add_daemon(Frames& frames, const Json& info);

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
