// Board: what circus-top knows of a stack, put together from the frames of the stats stream and the answers
// to `status` and `listsockets`. Pure: time comes in as an argument, nothing is asked and nothing drawn here.
//
// A process, a watcher or a socket that the stream has not named for kForget is gone. Figures that a daemon
// does not have (a Python circusd has no queues) are absent, never zero.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"

namespace circus::top {

constexpr Milliseconds kForget{3500};    // three rounds of a second, and a little
constexpr std::size_t kRemembered = 60;  // rounds of a sparkline

using History = std::deque<double>;  // oldest first

struct ProcessRow {
    int pid = 0;
    std::string command;
    std::optional<double> cpu;     // per cent of one core
    std::optional<double> memory;  // per cent of the machine's
    std::string resident;          // as the daemon words it, "9.66M"
    std::optional<double> age;     // seconds
    TimePoint seen{};
};

struct WatcherRow {
    std::string name;    // of the stream, or as `status` writes it
    std::string status;  // Circus's words; empty: not known yet
    double cpu = 0;      // of all its processes
    double memory = 0;
    std::optional<double> age;  // of its oldest process
    std::vector<ProcessRow> processes;
    History cpus;
};

struct SocketRow {
    std::string name;  // empty where the daemon has not said it
    std::string address;
    int fd = -1;
    std::optional<double> rate;  // connections of the last round
    std::optional<long long> queue, limit, in_flight;
    History rates;
};

enum class SortBy { Name, Cpu, Memory, Age, Count };
std::string_view sort_word(SortBy by);
SortBy next_sort(SortBy by);

struct Choice {
    SortBy by = SortBy::Name;
    std::string filter;  // part of a watcher's name, without case; empty: all
};

class Board {
  public:
    void on_frame(std::string_view topic, const Json& payload, TimePoint now);
    void on_statuses(const Json& answer);  // of `status`
    void on_sockets(const Json& answer);   // of `listsockets` with figures
    void forget(TimePoint now);
    void on_silence();  // the daemon neither answers nor publishes: what it said last is no news any more

    std::vector<WatcherRow> watchers(const Choice& choice) const;
    std::vector<SocketRow> sockets() const;
    const std::optional<ProcessRow>& daemon() const { return daemon_; }
    std::optional<TimePoint> newest() const { return newest_; }  // frame
    int rounds() const { return rounds_; }                       // whole ones, so far

    // For scripts: all of it, figures as numbers.
    Json json(const Choice& choice) const;

  private:
    struct Watcher {
        std::string status;
        std::map<int, ProcessRow> processes;
        History cpus;
        TimePoint seen{};
    };
    struct Socket {
        SocketRow row;
        TimePoint seen{};
        bool is_listed = false;
    };

    void on_process(const std::string& name, const Json& payload, TimePoint now);
    void on_watcher(const std::string& name, TimePoint now);
    void on_socket(const Json& payload, TimePoint now);

    std::map<std::string, Watcher> watchers_;     // by name as the stream has it
    std::map<std::string, std::string> written_;  // that name -> as `status` writes it
    std::map<int, Socket> sockets_;               // by fd
    std::optional<ProcessRow> daemon_;
    std::optional<TimePoint> newest_;
    int rounds_ = 0;
};

}  // namespace circus::top
