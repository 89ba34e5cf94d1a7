// HostTable: the circus_host of one plugin, and the tables of its extensions, over a Backend. The same object
// code serves a plugin in the arbiter and one in circus-plugin.
//
// It holds the plugin's registrations, its queue (events, replies, timers, descriptors, posted tasks, calls
// of its commands and hooks, all in one, in order) and the tokens that the plugin owes an answer to. Nothing
// is called into the plugin but by deliver(), at the end of the loop's turn, and by run().
//
// States: closed -> open -> closed. In the first nothing but log and set_error is served ([any] functions
// return an error); open() is for start(); close() cancels what is registered and fails what is owed.
//
// The loop's thread, but for the functions that the ABI marks [any].
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "loop/inbox.hpp"
#include "loop/loop.hpp"
#include "loop/poll.hpp"
#include "loop/timer.hpp"
#include "plugin/backend.hpp"
#include "plugin/host_sinks.hpp"
#include "plugin/meter.hpp"

namespace circus::plugin {

inline constexpr Milliseconds kAnswerDeadline{10'000};  // of commands and hooks
// Of an isolated plugin's, as circusd sees them: its own process knows better why, so it comes first.
inline constexpr Milliseconds kFarAnswerDeadline{11'000};
inline constexpr std::size_t kMostEvents = 200'000;  // that wait for one plugin; more are dropped, counted

// What extension() knows.
const std::vector<std::string>& offered_extensions();

class HostTable {
  public:
    // The answer to a token: a status and an object's text.
    using Answered = std::function<void(circus_status status, const std::string& json)>;

    // `size`: how much of circus_host the plugin is shown; less than all, for the test of growth.
    HostTable(loop::Loop& loop, Backend& backend, std::string plugin,
              std::uint32_t size = sizeof(circus_host));
    ~HostTable();
    HostTable(const HostTable&) = delete;
    HostTable& operator=(const HostTable&) = delete;

    const circus_host* raw() const;
    const std::string& plugin() const { return plugin_; }
    Meter& meter() { return meter_; }
    const Meter& meter() const { return meter_; }

    void open();
    // What the plugin had registered and not cancelled, as text: leaks, if it had its chance.
    std::vector<std::string> close();

    // A function of the plugin that returns a status; its set_error() is in `why`.
    circus_status run(std::string_view callback, const std::function<circus_status()>& function,
                      std::string& why);
    // A token whose answer goes to `answered`, once: the plugin's, or an error at the deadline or by close().
    circus_token owe(std::string what, Milliseconds deadline, Answered answered);
    // The function that was given the token has returned: any status but PENDING is the answer.
    void returned(circus_token token, circus_status status, const std::string& why);

    // ---- for the backend: what is said to the plugin. All of it is queued. ----
    void event(circus_id to, std::string topic, std::string json);
    void invoke_command(circus_id command, std::string properties, Answered answered);
    void invoke_hook(circus_id hook, std::string point, std::string watcher, std::string args,
                     Answered answered);

    void open_sink(circus_id offer, SinkId sink, std::string options);
    void write_sink(SinkId sink, std::vector<stream::Chunk> batch);
    void close_sink(SinkId sink);

    // A function of a library of hooks, which registers nothing.
    void invoke(circus_hook_fn function, std::string what, std::string point, std::string watcher,
                std::string args, Answered answered);

    // Calls what waits, in order, until it is `until`. True: there was something, so there may be more: of
    // it, or of what it has set going.
    bool deliver(TimePoint until);

    void misbehaving(const std::string& what);

  private:
    friend struct HostFunctions;
    enum class Kind { Event, Command, Hook, Sink, Timer, Fd };
    struct Registration {
        Kind kind = Kind::Event;
        std::string name;
        void* user = nullptr;
        circus_event_fn event = nullptr;
        circus_task_fn task = nullptr;
        circus_command_fn command = nullptr;
        circus_hook_fn hook = nullptr;
        circus_fd_fn on_fd = nullptr;
        bool once = false;     // a timer that is spent when it has run
        bool waiting = false;  // in the queue: a timer or descriptor is there once at the most
        std::unique_ptr<loop::Timer> timer;
        std::optional<loop::Poll> poll;
        int fd = -1;
        std::uint32_t ready = 0;

        std::string text() const;
    };
    struct Delivery {
        circus_id registration = 0;  // not 0: dropped when that is gone
        std::function<void()> run;
        bool answers = false;  // somebody waits for what it answers: run even when the plugin is gone
    };
    struct HookText {
        std::string point, watcher, args;
    };
    struct Owed {
        std::string what;
        TimePoint deadline;
        Answered answered;
    };

    bool on_loop(const char* function);
    bool is_usable(const char* function);
    static std::optional<Declared> declared_as(Kind kind);
    circus_status enter(Registration registration, const std::string& detail, circus_id* out);
    circus_status cancel(circus_id id);
    void forget(circus_id id);
    void fire_timer(circus_id id);
    void fire_fd(circus_id id, std::uint32_t events);
    void queue(circus_id registration, std::function<void()> run, bool answers = false);
    circus_status complete(circus_token token, circus_status status, std::string json);
    void call_hook(circus_hook_fn function, void* user, const std::string& what, const HookText& text,
                   const Answered& answered);
    std::optional<Owed> take(circus_token token);
    void hand_over();
    void watch_deadlines();
    void on_deadline();

    struct Table;  // circus_host as the plugin sees it
    loop::Loop& loop_;
    Backend& backend_;
    const std::string plugin_;
    const std::thread::id thread_ = std::this_thread::get_id();
    std::unique_ptr<Table> table_;
    Meter meter_;
    std::atomic<bool> open_{false};
    std::string error_;
    std::string kept_;  // as it was given out
    std::map<circus_id, Registration> registrations_;
    circus_id last_id_ = 0;
    HostSinks sinks_;
    std::deque<Delivery> queue_;
    std::size_t events_waiting_ = 0;
    std::uint64_t events_dropped_ = 0;

    std::mutex mutex_;  // the three below, for complete()
    std::map<circus_token, Owed> tokens_;
    circus_token last_token_ = 0;
    struct Completed {
        Answered answered;
        circus_status status;
        std::string json;
    };
    std::vector<Completed> completed_;  // answered by complete(), on their way to the loop

    loop::Timer deadline_;
    loop::Inbox inbox_;
    loop::Inbox::Sender sender_;
};

}  // namespace circus::plugin
