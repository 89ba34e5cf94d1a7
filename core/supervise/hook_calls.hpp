// HookCalls: the hooks of one watcher that are being asked. A question at one point goes to the hook of the
// watcher's configuration and to those that plugins registered; when all have answered, their sternest answer
// is handed to whoever asked.
//
// Nothing is called back from inside a call: answers, deadlines and the ends of commands set data and mark;
// settle() hands them on. Every question ends: by its answers, by the deadline of each (then it has failed,
// and a command gets SIGKILL), or by cancel().
//
// A command is a child of the keeper. It has no slot and is Stopping from its birth, as a stop_command is. No
// more than kCommandsAtOnce run at a time, the others wait in line; their time runs from their start.
//
// Owned by its Watcher, made with its first question; the loop's thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "config/config.hpp"
#include "model/hook.hpp"
#include "supervise/hooks.hpp"
#include "supervise/identity.hpp"
#include "supervise/process.hpp"
#include "supervise/stack.hpp"

namespace circus::supervise {

// What a point is about; what it does not have is left out.
struct HookFacts {
    model::HookPoint point{};
    model::Wid wid = 0;
    pid_t pid = 0;
    std::optional<int> signum{};
    std::optional<int> exit_code{};  // minus the signal's number
    std::string stats{};             // extended_stats: the JSON object there is
};

struct HookResult {
    model::HookOutcome outcome = model::HookOutcome::Go;
    std::string why;                 // not Go: "hook before_start: exited with 1"
    std::vector<std::string> texts;  // extended_stats: the JSON of each that said yes
};

class HookCalls {
  public:
    static constexpr std::size_t kCommandsAtOnce = 16;
    static constexpr std::size_t kCommandsInLine = 4096;  // more have failed
    static constexpr std::size_t kMaxOutput = 65536;      // of extended_stats

    using Then = std::function<void(const HookResult&)>;
    // `owns` is told of each new child; `mark` asks for a settle(). The watcher's configuration may change.
    HookCalls(const config::WatcherConfig& config, const Identity& identity, Stack& stack,
              std::function<void(ChildId)> owns, std::function<void()> mark);
    ~HookCalls();
    HookCalls(const HookCalls&) = delete;
    HookCalls& operator=(const HookCalls&) = delete;

    // Whether there is anybody to ask.
    static bool is_hooked(const config::WatcherConfig& config, const Stack& stack, model::HookPoint point);
    // Whether the libraries of a configuration's hooks can be loaded; loads them.
    static Status load(const config::WatcherConfig& config, const Stack& stack);

    // `then` is called once, by settle(), and not after a cancel(); may be empty.
    void ask(HookFacts facts, Then then);
    // Nobody wants to know any more; commands are killed.
    void cancel(std::initializer_list<model::HookPoint> points);
    // Everything, and nothing is asked from now on. `then` of extended_stats is called, with an Abort: a
    // client waits.
    void close();
    // Something is asked, or a command is not gone yet.
    bool is_busy() const { return !questions_.empty() || !children_.empty() || draining_ > 0; }

    // Hands on what came. Returns when the next deadline is.
    std::optional<TimePoint> settle();

    // ---- facts ----
    void answered(HookCallId id, HookAnswer answer);
    bool owns(ChildId id) const { return children_.contains(id); }
    void on_spawned(ChildId id, pid_t pid, UniqueFd pidfd);
    void on_spawn_failed(ChildId id, const std::string& why);
    void on_exited(ChildId id, int status);
    void collect(std::vector<const Process*>& processes) const;

  private:
    using QuestionId = std::uint64_t;
    struct Question {
        HookFacts facts;
        Then then;
        std::size_t open = 0;  // calls that have not answered
        HookResult result;
    };
    struct Call {
        QuestionId question = 0;
        config::HookConfig hook;  // a plugin's: only the deadline
        TimePoint deadline = TimePoint::max();
        ChildId child = 0;
        std::optional<HookAnswer> answer{};
    };
    struct Child {
        Process process;
        HookCallId call = 0;
        UniqueFd output;  // extended_stats
    };

    HookCallId add_call(QuestionId question, config::HookConfig hook);
    void call_function(HookCallId id, const HookFacts& facts, const HookFn& function);
    void call_library(HookCallId id, const HookFacts& facts);
    void call_command(HookCallId id, const HookFacts& facts);
    Status spawn(HookCallId id, const HookFacts& facts);
    void start_waiting();
    void kill(ChildId id);
    void let_go(HookCallId id);
    void expire(TimePoint now);
    void conclude(HookCallId id);
    void finish_pipes(const Process& process);

    const config::WatcherConfig& config_;
    const Identity& identity_;
    Stack& stack_;
    std::function<void(ChildId)> owns_;
    std::function<void()> mark_;
    bool closed_ = false;
    int draining_ = 0;  // pipes of commands that are gone
    std::map<QuestionId, Question> questions_;
    std::map<HookCallId, Call> calls_;
    std::map<ChildId, Child> children_;
    std::deque<HookCallId> waiting_;  // commands in line
    std::vector<HookCallId> to_conclude_;
    std::map<std::pair<std::string, std::string>, HookFn> functions_;  // by library and name
    QuestionId next_question_ = 1;
};

}  // namespace circus::supervise
