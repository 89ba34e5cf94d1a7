// Connection: one connection to Redis, hiredis's asynchronous context on the loop's descriptors.
//
// States: closed, connecting, connected. send() may follow open() at once; answers come in the order of the
// commands, each to its own function, which may close the connection. When it is lost, by either side, no
// answer comes any more and `lost` is called once, if an answer was owed. close() is silent.
// On the loop's thread; nothing is called from inside open(), send() or close().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <hiredis/async.h>
#include <string>
#include <vector>

#include <circus/plugin.hpp>

namespace redis_observer {

class Connection {
  public:
    using Ready = std::function<void(std::uint32_t events)>;
    using Watch = std::function<circus::Registration(int fd, std::uint32_t events, Ready)>;
    using Answered = std::function<void(const redisReply&)>;  // the reply is valid for the call only
    using Lost = std::function<void(const std::string& why)>;

    Connection(circus::Host host, Watch watch, Lost lost);
    ~Connection() { close(); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Empty, or why there is none. `address` is numeric: a name would be looked up, and waited for.
    std::string open(const std::string& address, int port);
    std::string open_path(const std::string& path);
    void send(const std::vector<std::string>& words, Answered answered);
    void close();
    bool is_open() const { return context_ != nullptr; }
    bool is_connected() const { return is_connected_; }

  private:
    struct Adapter;
    std::string adopt(redisAsyncContext* context);
    static void on_connect(const redisAsyncContext* context, int status);
    static void on_disconnect(const redisAsyncContext* context, int status);
    static void on_reply(redisAsyncContext* context, void* reply, void*);
    void gone(const std::string& why);

    circus::Host host_;
    const Watch watch_;
    const Lost lost_;
    redisAsyncContext* context_ = nullptr;  // hiredis frees it when the connection is lost
    bool is_connected_ = false;
    std::deque<Answered> owed_;
};

}  // namespace redis_observer
