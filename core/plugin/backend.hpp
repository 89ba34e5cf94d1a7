// Backend: all that differs between a plugin in the arbiter and one in a process of its own. The functions of
// the ABI are HostTable's, once; what they ask of circusd goes through here.
//
// On the loop's thread, but for set_gauge() and log(). Nothing is called back from inside a call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <circus/abi.h>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace circus::plugin {

using SinkId = std::uint64_t;  // one opening of a sink; never 0, never used twice

enum class Declared { Event, Command, Hook, Sink };

class Backend {
  public:
    using Reply = std::function<void(circus_status status, std::string json)>;
    struct Gauge {
        double value = 0;
        Duration age{};
    };
    virtual ~Backend() = default;

    // `properties` is an object's text. `reply` is called once, later, or never once the plugin stops.
    virtual void call(const std::string& command, const std::string& properties, Reply reply) = 0;
    virtual void publish(const std::string& topic, const std::string& json) = 0;
    // A registration that circusd has to know: `name` a glob, a command, a point or a class, `detail` its
    // help, glob of watchers, or nothing. Answered at once. `why`: the text of an error.
    virtual circus_status declare(Declared kind, const std::string& name, const std::string& detail,
                                  circus_id id, std::string& why) = 0;
    virtual void retract(Declared kind, circus_id id) = 0;
    virtual void set_gauge(const std::string& watcher, const std::string& name, double value) = 0;
    virtual std::optional<Gauge> gauge(const std::string& watcher, const std::string& name) = 0;
    // What the plugin's functions said of a sink. `count`: how many chunks of the last batch it took, from
    // the first on.
    virtual void sink_opened(SinkId sink, circus_status status, const std::string& why) = 0;
    virtual void sink_took(SinkId sink, std::size_t count, circus_status status, const std::string& why) = 0;
    virtual void sink_ready(SinkId sink) = 0;
    // For the instance after this one, an object's text; empty: nothing was kept.
    virtual void keep(const std::string& json) = 0;
    virtual std::string kept() = 0;
    virtual void log(log::Level level, const std::string& line) = 0;
};

}  // namespace circus::plugin
