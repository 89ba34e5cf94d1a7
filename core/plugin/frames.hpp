// The words between circusd and a plugin in a process of its own: each message is one frame, a JSON object
// with the member "m"; behind the chunks of a sink comes a second one, their bytes as they are. Between them
// is a ROUTER of circusd that nobody else is told of; order is kept both ways.
//
//   circus-plugin says                                circusd says
//   hello     token                                   start        name, file, options, kept (if any)
//   started                                           reconfigure  options
//   failed    why; it goes when it is told to         leave
//   declare   id, kind, name, detail                  declared     id, status, why (at once)
//   retract   id, kind
//   call      id (0: no reply), command, properties   reply        id, status, answer
//   publish   topic, payload                          event        id, topic, payload
//   gauge     watcher, name, value                    gauge        watcher, name, value, age in ms
//   keep      state
//   answer    token, status, answer                   invoke       token, id, kind, then properties,
//                                                                  or hook, watcher, args
//   opened    sink, status, why                       open         id, sink, options
//   took      sink, count, status, why                chunks       sink, chunks: [watcher, pid, time,
//   ready     sink                                                 stream, bytes] each
//   refused   why ("": it has no reconfigure)         close        sink
//   figures   calls, slow, errors, ns
//   log       level, line
//   bye       it was stopped
//
// `answer`, `properties`, `payload`, `options`, `args`, `state` and `kept` are objects. How it dies is told
// by the keeper, not by a message that does not come.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "plugin/backend.hpp"
#include "stream/loop_sink.hpp"

namespace circus::plugin {

// Environment of circus-plugin: where the ROUTER is, and what makes it believe the hello.
inline constexpr const char* kEndpointVariable = "CIRCUS_PLUGIN_ENDPOINT";
inline constexpr const char* kTokenVariable = "CIRCUS_PLUGIN_TOKEN";

// A frame with `fields` (an object) and one more member that is JSON text already: neither is parsed again.
std::string frame(const Json& fields, std::string_view raw_name = {}, std::string_view raw_json = {});

// The object of a frame, with "m"; not an object: it is none.
Json parse_frame(const std::string& text);

std::string dump(const Json& value);
// {"reason": why}: what an answer that is an error has.
std::string reason_json(std::string_view why);

// "chunks" and the bytes behind it, and back. Throws a Json::exception where they make no sense.
std::pair<std::string, std::string> chunks_frame(SinkId sink, const std::vector<stream::Chunk>& chunks);
std::vector<stream::Chunk> chunks_of(const Json& message, const std::string& bytes);

}  // namespace circus::plugin
