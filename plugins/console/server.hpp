// Server: the console's thread, with everything that runs on it: connections, sessions, routes, the feed. The
// plugin, on circusd's loop, hands it answers and events; what the thread wants of circusd it asks for by
// `ask`, and what it logs by `log`, both of which may be called from any thread until stop() returns, and
// never after.
//
// The thread takes no signal. Closures of connections never leave it: only numbers and texts cross.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <circus/plugin.hpp>

#include "settings.hpp"

namespace console {

class Server {
  public:
    struct Calls {
        // A command of circusd; its answer comes back by answer() with this number.
        std::function<void(std::uint64_t number, std::string command, std::string properties)> ask;
        std::function<void(circus_level, const std::string&)> log;
        // What recall() of the server after this one takes.
        std::function<void(circus::Json)> keep;
    };

    // Binds and listens; throws circus::Failure with the address and the reason.
    Server(Settings settings, Calls calls);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Before start(): what the server before this one, which was lost, had kept.
    void recall(const circus::Json& kept);
    void start();
    // Ends all connections and joins the threads. A password that is being checked is waited for, tenths of a
    // second.
    void stop();

    std::string url() const;
    // From any thread. `json`: circusd's answer.
    void answer(std::uint64_t number, circus_status status, std::string json);
    void event(std::string topic, std::string payload);

    class Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace console
