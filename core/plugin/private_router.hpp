// PrivateRouter: circusd's end of the wire of frames.hpp, one socket for all isolated plugins. It lies in a
// folder of mode 0700 of its own, which exists from the first isolated plugin on until the router goes. A
// peer is nobody until its hello has brought a token that was given out; the last hello of a token is who it
// is.
//
// The loop's thread. Outlives its clients.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "loop/zmq_pump.hpp"

namespace circus::plugin {

class PrivateRouter {
  public:
    class Client {
      public:
        virtual ~Client() = default;
        virtual void on_hello() = 0;
        virtual void on_message(const Json& message) = 0;  // any but hello
    };
    PrivateRouter(loop::Loop& loop, loop::ZmqContext& context) : loop_(loop), context_(context) {}
    ~PrivateRouter();
    PrivateRouter(const PrivateRouter&) = delete;
    PrivateRouter& operator=(const PrivateRouter&) = delete;

    // Before open(): its folder is named so, and one that an arbiter before has left is used again.
    void name(const std::string& instance) { name_ = instance; }
    Status open();  // once it is needed; more often does no harm
    const std::string& endpoint() const { return endpoint_; }
    // A fresh token for a client.
    std::string enter(Client& client);
    void leave(const std::string& token);
    // `bytes`, if there are any, go along as a frame of their own. False: not connected, or its queue is
    // full.
    bool send(const std::string& token, std::string frame, std::string bytes = {});

  private:
    struct Entry {
        Client* client = nullptr;
        std::string identity;  // empty: not connected
    };
    void forget_peer(const std::string& token);
    void receive(const std::string& identity, const std::string& text);

    loop::Loop& loop_;
    loop::ZmqContext& context_;
    std::string name_, folder_, endpoint_;
    std::optional<loop::ZmqPump> pump_;
    std::map<std::string, Entry> clients_;           // by token
    std::map<std::string, std::string> identities_;  // identity -> token
};

}  // namespace circus::plugin
