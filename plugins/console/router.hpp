// Router: from a request that the gate let in to what is done about it. On the console's thread.
#pragma once

#include <string>
#include <vector>

#include "backend.hpp"
#include "gate.hpp"
#include "http.hpp"
#include "login.hpp"
#include "overview.hpp"
#include "routes.hpp"

namespace console {

// What a WebSocket at /api/v1/events asked for.
struct Wish {
    std::string topic;      // a glob; empty: all
    std::size_t past = 0;   // so many events of before
    bool overview = false;  // what the page shows, each interval
    std::string watcher;    // of this one the processes, too
};

class Router {
  public:
    Router(const Settings& settings, Gate& gate, Login& login, Backend& backend, Overview& overview);

    // Answered once, now or later; or never, when the console stops.
    void handle(const Request& request, Time now, const Respond& respond);
    // The same for one that asks for a WebSocket; a response: it gets none.
    std::optional<Response> open_events(const Request& request, Time now, Visitor& visitor, Wish& wish);

  private:
    using Path = std::vector<std::string>;
    void api(const Path& path, const Request& request, const Visitor& visitor, Time now,
             const Respond& respond);
    bool read(const Path& path, const Request& request, const Visitor& visitor, Time now,
              const Respond& respond);
    void write(const Path& path, const Request& request, const Visitor& visitor, Time now,
               const Respond& respond);
    void run(const std::string& command, const Json& properties, const Visitor& visitor,
             const Respond& respond);
    void send(const std::string& command, const Json& properties, Role role, const Respond& respond);
    void ready(const Respond& respond);
    void forward(const std::string& name, const Request& request, Time now, const Respond& respond);

    const Settings& settings_;
    Gate& gate_;
    Login& login_;
    Backend& backend_;
    Overview& overview_;
};

// How an answer of circusd looks in HTTP.
Response response_to(const Answer& answer);

}  // namespace console
