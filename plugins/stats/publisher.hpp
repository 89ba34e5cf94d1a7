// Publisher: the socket of the stats stream, and the thread that makes what is sent there: circusd's loop
// only hands on the answers that it is made of. An ipc endpoint is a socket of mode 0600; folders that it
// makes for it are 0700, and one where others may put something of their own is refused. Subscribers that do
// not read lose messages; sending never waits. The thread takes no signal.
//
// It is an XPUB, which hears of subscriptions: while there are none, nothing needs to be looked at.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <circus/plugin.hpp>

#include "frames.hpp"

namespace stats {

class Publisher {
  public:
    // Called on the thread, until the destructor has returned.
    struct Calls {
        std::function<void(bool)> wanted;  // somebody has subscribed; or the last of them has gone
        std::function<void(circus_level, const std::string&)> log;
    };
    // The answers of circusd to `stats`, `dstats` and `listsockets`, each as it came.
    struct Round {
        std::string processes, daemon, sockets;
        bool is_first = false;  // nobody waits for it: the next one counts from it
    };

    // Binds; throws circus::Failure with the endpoint and the reason.
    Publisher(const std::string& endpoint, Calls calls);
    // Ends the thread; what it was given is sent or dropped.
    ~Publisher();
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    // From any thread. One that comes while the one before is still made replaces it.
    void publish(Round round);

  private:
    class Impl;
    const std::unique_ptr<Impl> impl_;
};

}  // namespace stats
