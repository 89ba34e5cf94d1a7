// HostSinks: the stream classes that one plugin offers (circus.sinks/1), and the sinks it has open of them.
// Owned and driven by the plugin's HostTable, whose queue every call here is a delivery of; what the plugin's
// functions say goes to the Backend.
//
// A sink is opened, written to, and closed: when its stream is over, or when write() has failed. A class that
// is taken back takes its sinks along: they are the plugin's, and no function is called for them any more.
// The loop's thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <circus/abi.h>

#include "plugin/backend.hpp"
#include "stream/loop_sink.hpp"

namespace circus::plugin {

class HostTable;

class HostSinks {
  public:
    HostSinks(HostTable& host, Backend& backend) : host_(host), backend_(backend) {}

    // A table that can be used: all of 1.0, all its functions there.
    static bool is_usable(const circus_sink* functions);
    void offer(circus_id id, const std::string& name, const circus_sink& functions, void* user);
    void withdraw(circus_id id);

    void open(circus_id offer, SinkId sink, const std::string& options);
    void write(SinkId sink, const std::vector<stream::Chunk>& batch);
    void close(SinkId sink);
    // The plugin's pointer: of each sink that has it.
    void ready(const void* sink);

  private:
    struct Class {
        std::string name;
        circus_sink functions{};
        void* user = nullptr;
    };
    struct Sink {
        circus_id of = 0;
        void* sink = nullptr;
    };

    HostTable& host_;
    Backend& backend_;
    std::map<circus_id, Class> classes_;
    std::map<SinkId, Sink> open_;
};

}  // namespace circus::plugin
