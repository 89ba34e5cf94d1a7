// Overview: everything that a page of watchers shows, put together from circusd's own commands: the state,
// the number wanted and the number there, cpu and memory of each watcher, the sockets, and circusd itself.
//
// A round is four commands, one for what became of processes when that may have changed, and one for each
// watcher whose options are not known yet. Who asks during a round gets its result. On the console's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend.hpp"
#include "throttle.hpp"

namespace console {

class Overview {
  public:
    // {"time", "watchers": […], "sockets": […], "daemon"}; an error: circusd's answer.
    using Ready = std::function<void(const Answer&)>;
    explicit Overview(Backend& backend) : backend_(backend) {}

    void ask(Time now, Ready ready);
    // An event: counts deaths and spawns, and knows whose options may have changed.
    void heard(const std::string& topic, const circus::Json& payload);
    // The processes of one watcher as of the last round; [] where there is none.
    circus::Json processes(const std::string& watcher) const;

  private:
    struct Known {  // of a watcher's options
        circus::Json options;
        Time when{};
    };
    struct Counted {
        std::uint64_t spawns = 0, deaths = 0;
    };
    struct Round {
        std::size_t open = 0;
        Answer failure;
        std::map<std::string, circus::Json> answers;  // by command
    };
    // What answers hold is not taken on trust: of a part that is none an empty one stands there.
    void take(const std::shared_ptr<Round>& round, const std::string& command, const Answer& answer);
    void take_figures(const Answer& answer);
    void ask_options(const std::shared_ptr<Round>& round);
    void finish(const Round& round);
    Answer result_of(const Round& round);
    circus::Json watchers(const Round& round) const;
    void add_restarts(const std::string& watcher, circus::Json& row) const;

    Backend& backend_;
    Time now_{};
    std::vector<Ready> waiting_;
    std::map<std::string, Known> options_;
    std::map<std::string, Counted> counted_;  // by name as in topics
    circus::Json infos_ = circus::Json::object();
    circus::Json figures_ = circus::Json::object();  // of the command `figures`, by watcher
    Time figures_when_{};
    bool figures_changed_ = true;
};

}  // namespace console
