// IsolatedRunner: a plugin in a process of its own, as the arbiter sees it: the process of a hidden watcher
// (which replaces it with back-off when it dies), its declarations, and the calls that it owes answers to.
//
//   process      phase       what there is
//   none, new    Starting    nothing yet; the hello is answered by start
//   started      Running     declarations, events, calls
//   died         Starting    declarations retracted, tokens failed; the watcher spawns the next one
//   told to go   Stopping    SIGTERM, SIGKILL after the deadline
//   gone         Ended       the watcher is removed
//
// How a process ended is told by the events of its watcher. The loop's thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <sys/types.h>

#include "loop/timer.hpp"
#include "plugin/host_table.hpp"
#include "plugin/local_backend.hpp"
#include "plugin/private_router.hpp"
#include "plugin/runner.hpp"
#include "supervise/arbiter.hpp"

namespace circus::plugin {

class IsolatedRunner final : public Runner,
                             private PrivateRouter::Client,
                             private HookTarget,
                             private SinkPort {
  public:
    // `program`: the file of circus-plugin.
    IsolatedRunner(loop::Loop& loop, Switchboard& board, PrivateRouter& router, supervise::Arbiter& arbiter,
                   const std::string& program, const config::PluginConfig& config);
    ~IsolatedRunner() override;

    Phase phase() const override { return phase_; }
    const std::string& error() const override { return error_; }
    Figures figures() const override { return figures_; }
    void reconfigure(const config::PluginConfig& config) override;
    std::optional<std::string> take_refusal() override { return std::exchange(refusal_, std::nullopt); }
    void stop(Milliseconds deadline) override;
    bool deliver(TimePoint until) override;

  private:
    struct Owed {
        std::string what;
        TimePoint deadline;
        HostTable::Answered answered;
    };

    Status spawn(const std::string& program);
    void end(std::string error);
    void on_hello() override;
    void on_message(const Json& message) override;
    void on_process_event(const bus::Event& event);
    void declare(const Json& message);
    void call(const Json& message);
    void on_answer(const Json& message);
    std::uint64_t owe(std::string what, HostTable::Answered answered);
    void fail_owed(circus_status status, const std::string& why);
    void watch_deadlines();
    void on_deadline();
    void ask(circus_id hook, const supervise::HookCall& call, supervise::HookAnswered answered) override;
    bool open_sink(circus_id offer, SinkId sink, const std::string& options) override;
    bool write_sink(SinkId sink, std::vector<stream::Chunk> batch) override;
    void close_sink(SinkId sink) override;
    // False: there is nobody, or it does not keep up.
    bool say(std::string frame, std::string bytes = {});
    void make_declarations();

    Switchboard& board_;
    PrivateRouter& router_;
    supervise::Arbiter& arbiter_;
    config::PluginConfig config_;
    const std::string watcher_name_;
    const Switchboard::Serial serial_;
    const std::string token_;
    bus::Bus::SubscriptionId events_ = 0;
    Phase phase_ = Phase::Starting;
    pid_t pid_ = 0;           // of the process that was spawned last
    bool connected_ = false;  // a process has said hello and is not known to be gone
    std::string error_, failure_;
    std::optional<std::string> refusal_;
    Figures figures_, earlier_;  // of this process, and of those before it
    std::optional<Declarations> declarations_;
    std::map<std::uint64_t, Owed> owed_;
    std::uint64_t last_owed_ = 0;
    std::uint64_t gauges_seen_ = 0;
    std::uint64_t lost_ = 0;
    loop::Timer deadline_;
};

}  // namespace circus::plugin
