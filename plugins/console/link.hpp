// Link: one of Links, on their thread: a DEALER, whose connection is watched, and a SUB. It asks the daemon
// where its events are, and subscribes there.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include <zmq.hpp>

#include <circus/plugin.hpp>

#include "endpoints.hpp"

namespace console {

// The answer of this side to what is not carried out.
std::string failure_text(const std::string& reason);

class Link {
  public:
    using Time = std::chrono::steady_clock::time_point;
    struct Told {
        std::function<void(std::uint64_t number, circus_status status, std::string json)> answer;
        std::function<void(std::string topic, std::string payload)> event;
        std::function<void(std::string problem)> state;
    };
    // `name_of_watch`: an inproc address of its own. Throws zmq::error_t.
    Link(zmq::context_t& context, const EndpointSettings& settings, const std::string& name_of_watch,
         Told told);
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    // What a poll has to wait for: three sockets.
    zmq::socket_t& control() { return control_; }
    zmq::socket_t& events() { return events_; }
    zmq::socket_t& watch() { return watch_; }

    void ask(std::uint64_t number, const std::string& command, const std::string& properties, Time now);
    // Everything that has come.
    void receive(Time now);
    // Answers what has waited too long.
    void give_up(Time now);
    // What is under way is answered: it is not known what became of it.
    void end(const std::string& problem);
    // Whether it wants to be looked at again soon, whatever comes.
    bool has_waiting() const { return !waiting_.empty() || (is_connected_ && !knows_events_); }

  private:
    // To the link's own question nothing is answered. `why` goes on from the name.
    void refuse(std::uint64_t number, circus_status status, const std::string& why);
    void prepare(zmq::socket_t& socket, const std::string& address) const;
    void follow_connection();
    void take_answers();
    void take_events();
    void subscribe(const circus::Json& options);
    void say(const std::string& problem);

    const EndpointSettings& settings_;
    Told told_;
    zmq::socket_t control_, events_, watch_;
    bool is_connected_ = false;
    bool is_reached_ = false;    // by the latest attempt, whatever became of the handshake
    bool knows_events_ = false;  // it has been answered where they are, on this connection
    std::string problem_;
    std::string subscribed_;                 // the address; empty: none
    std::map<std::uint64_t, Time> waiting_;  // by number; until when
};

}  // namespace console
