// Router: from a request that the gate let in to what is done about it. On the console's thread.
#pragma once

#include <string>
#include <vector>

#include "backend.hpp"
#include "gate.hpp"
#include "http.hpp"
#include "login.hpp"
#include "routes.hpp"
#include "stacks.hpp"

namespace console {

// What a WebSocket at /api/v1/events asked for.
struct Wish {
    std::string topic;       // a glob; empty: all
    std::size_t past = 0;    // so many events of before
    bool overview = false;   // what the page shows, each interval
    std::string watcher;     // of this one the processes, too
    Stack* stack = nullptr;  // whose
};

class Router {
  public:
    // `tell`: of each command that a visitor gave and that may have changed something, how it ended.
    Router(const Settings& settings, Gate& gate, Login& login, Stacks& stacks, Note tell);

    // Answered once, now or later; or never, when the console stops.
    void handle(const Request& request, Time now, const Respond& respond);
    // The same for one that asks for a WebSocket; a response: it gets none.
    std::optional<Response> open_events(const Request& request, Time now, Visitor& visitor, Wish& wish);

  private:
    using Path = std::vector<std::string>;
    // Below /api/v1, or /api/v1/endpoints/NAME, whose circusd it is then about.
    struct Asked {
        Path path;  // what comes after that
        Stack& stack;
        const Request& request;
        const Visitor& visitor;
        Time now;
        const Respond& respond;
    };
    void api(const Path& path, const Request& request, const Visitor& visitor, Time now,
             const Respond& respond);
    // What is the console's own, whatever circusds it shows; false: it is something else.
    bool own(const Asked& asked);
    void get(const Asked& asked);
    bool read(const Asked& asked);
    void write(const Asked& asked);
    void run(const Asked& asked, const std::string& command, const Json& properties);
    // For who may operate.
    void carry_out(const Asked& asked, const std::string& command, const Json& properties);
    std::string audit_text(const Asked& asked, const std::string& command, const Json& properties) const;
    static void send(const Asked& asked, const std::string& command, const Json& properties);
    void show_options(const Asked& asked, const Json& properties);
    void ready(const Respond& respond);
    void forward(const std::string& name, const Request& request, Time now, const Respond& respond);
    // Whose circusd it is about, and the path without that. Null: there is no such one.
    Stack* find_stack(Path& path);

    const Settings& settings_;
    Gate& gate_;
    Login& login_;
    Stacks& stacks_;
    Note tell_;
};

// How an answer of circusd looks in HTTP.
Response response_to(const Answer& answer);

}  // namespace console
