// Server::Impl: what the connections of Server share. Included by the few files that are built with Beast.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "gate.hpp"
#include "links.hpp"
#include "login.hpp"
#include "router.hpp"
#include "server.hpp"
#include "sessions.hpp"
#include "stacks.hpp"

namespace console {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

class EventClient;

class Server::Impl final : public Backend, public Passwords {
  public:
    Impl(Settings settings, Calls calls);
    ~Impl() override;

    void recall(const Json& kept);
    void start();
    void stop();
    std::string url() const;
    void answer(std::uint64_t number, circus_status status, std::string json);
    void event(std::string topic, std::string payload);

    // For the router.
    void command(const std::string& name, const Json& properties, Answered answered) override;
    bool check_password(const PasswordHash& hash, const std::string& password,
                        std::function<void(bool)> done) override;

    // For connections, on this thread.
    Router& router() { return router_; }
    Stacks& stacks() { return stacks_; }
    Sessions& sessions() { return sessions_; }
    asio::io_context& context() { return context_; }
    void log(circus_level level, const std::string& line) const { calls_.log(level, line); }
    void opened() { ++connections_; }
    void closed() { --connections_; }
    std::chrono::milliseconds interval() const { return settings_.interval; }
    void join(EventClient* client);
    void leave(EventClient* client) { clients_.erase(client); }
    // The interval's tick: an overview of each circusd that somebody watches, unless one is under way.
    void look();

  private:
    // One of `endpoints`, as its stack's backend.
    class Remote final : public Backend {
      public:
        Remote(Impl& server, std::size_t link) : server_(server), link_(link) {}
        void command(const std::string& name, const Json& properties, Answered answered) override;

      private:
        Impl& server_;
        std::size_t link_;
    };
    void make_links();
    Stack& stack_of(std::size_t link) { return stacks_.at(link + 1); }
    // From the thread of the links.
    void link_changed(std::size_t link, std::string problem);
    // From any thread.
    void event_of(Stack& stack, std::string topic, std::string payload);
    void look_at(Stack& stack, Time now);
    void set_problem(Stack& stack, const std::string& problem);
    void bind();
    void accept();
    void begin(int fd);
    void run();
    void settle(std::uint64_t number, circus_status status, const std::string& json);
    void tick();
    // Ends the WebSockets of sessions that have ended.
    void check_clients();
    std::uint64_t await(std::string what, Answered answered);

    // What connections still use when they go, which may be with context_: declared before it.
    const Settings settings_;
    const Calls calls_;
    int connections_ = 0;
    std::set<EventClient*> clients_;

    asio::io_context context_{1};
    tcp::acceptor acceptor_{context_};
    asio::steady_timer pause_{context_}, ticks_{context_};
    std::optional<asio::thread_pool> passwords_;
    std::atomic<int> passwords_waiting_{0};
    std::atomic<int> events_waiting_{0};
    std::thread thread_;

    Sessions sessions_;
    Gate gate_;
    Login login_;
    std::deque<Remote> remotes_;
    Stacks stacks_;
    Router router_;
    std::optional<Links> links_;  // none: there are no endpoints
    std::uint64_t last_number_ = 0;
    struct Waiting {
        std::string what;  // it is an answer to
        Answered answered;
    };
    std::map<std::uint64_t, Waiting> waiting_;  // the first to go: its closures hold connections
};

}  // namespace console
