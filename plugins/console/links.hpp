// Links: to the other circusds of `endpoints`, on a thread of their own. Each is a DEALER for commands and a
// SUB for events, both ZeroMQ's, which connect again by themselves.
//
// A command is sent over a connection that there is, or not at all: none waits here for a daemon to come
// back, to be carried out when nobody expects it any more. Of those that are under way when a connection ends
// it is not known whether they were done; that is what their answer says.
//
// What goes wrong with one of them, and is thrown, ends that one's connections; they are made anew after a
// pause. The others go on.
//
// What is heard is told from the thread of the links, from start() until stop() returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <circus/plugin.hpp>

#include "endpoints.hpp"

namespace console {

class Links {
  public:
    struct Heard {
        // The answer to `number`; `json` is the daemon's, or {"reason"} of this side.
        std::function<void(std::uint64_t number, circus_status status, std::string json)> answer;
        // `link` is the place in the settings.
        std::function<void(std::size_t link, std::string topic, std::string payload)> event;
        // Empty: it is connected. Else why not. At each change, and at the first look.
        std::function<void(std::size_t link, std::string problem)> state;
    };
    Links(std::vector<EndpointSettings> settings, Heard heard);
    ~Links();
    Links(const Links&) = delete;
    Links& operator=(const Links&) = delete;

    void start();
    // Joins the thread; what has not been answered never is.
    void stop();
    // From any thread. `properties` is JSON, an object.
    void ask(std::size_t link, std::uint64_t number, std::string command, std::string properties);

  private:
    class Thread;
    std::unique_ptr<Thread> thread_;
};

}  // namespace console
