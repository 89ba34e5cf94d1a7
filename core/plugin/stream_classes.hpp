// StreamClasses: circusd's side of the stream classes that one plugin offers. Each is offered to Streams and
// to the configuration under its name; for each stream of it there is a PluginSink, whose other end is the
// plugin's HostSinks, in this process or over the wire: SinkPort is the way there, opened(), took() and
// ready() the way back.
//
// One batch of a sink is on its way at a time, and stays with Streams until the plugin has said that it took
// it. So a plugin that takes nothing holds up who writes, and what one did not take before it stopped is
// there for the next.
//
//   PluginSink   Opening   asked to open
//                Ready     what comes is handed over
//                Busy      a batch is with the plugin
//                Full      it said AGAIN: until ready()
//                Failed    open or write failed: opened again each second, no worker waits meanwhile
//
// The loop's thread. Nothing is called back from inside a call.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <circus/abi.h>

#include "loop/loop.hpp"
#include "loop/timer.hpp"
#include "plugin/backend.hpp"
#include "stream/streams.hpp"

namespace circus::plugin {

// What is said to the plugin. False: it cannot be told.
class SinkPort {
  public:
    virtual ~SinkPort() = default;
    virtual bool open_sink(circus_id offer, SinkId sink, const std::string& options) = 0;
    virtual bool write_sink(SinkId sink, std::vector<stream::Chunk> batch) = 0;
    virtual void close_sink(SinkId sink) = 0;
};

class StreamClasses {
  public:
    StreamClasses(loop::Loop& loop, stream::Streams& streams, SinkPort& port);
    ~StreamClasses();
    StreamClasses(const StreamClasses&) = delete;
    StreamClasses& operator=(const StreamClasses&) = delete;

    circus_status offer(circus_id id, const std::string& name, std::string& why);
    void withdraw(circus_id id);

    void opened(SinkId sink, circus_status status, const std::string& why);
    void took(SinkId sink, std::size_t count, circus_status status, const std::string& why);
    void ready(SinkId sink);

  private:
    class PluginSink;
    struct Class;

    loop::Loop& loop_;
    stream::Streams& streams_;
    SinkPort& port_;
    std::map<circus_id, std::unique_ptr<Class>> classes_;
    std::map<SinkId, PluginSink*> sinks_;  // those that there are; owned by Streams
    SinkId last_ = 0;
};

}  // namespace circus::plugin
