// Controller: the bytes of a request in, the bytes of its answer out, now or at the end of the operation.
// Knows nothing of sockets. Driven by Server on the loop's thread; in tests by hand.
//
// Who may do what is decided here (access.hpp), and written down (audit.hpp).
//
// Invariants: every request that is no cast and not blank gets exactly one answer; a cast gets none; nothing
// that a client sends makes a call here throw.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "control/access.hpp"
#include "control/audit.hpp"
#include "control/command_table.hpp"
#include "control/handlers.hpp"

namespace circus::control {

class Controller {
  public:
    using Send = std::function<void(std::string answer)>;

    // `arbiter` and `clock` outlive the controller; the controller outlives the arbiter's last settle().
    Controller(supervise::Arbiter& arbiter, const Clock& clock, pid_t daemon_pid)
        : context_{arbiter, clock, daemon_pid, {}, {}, {}} {}
    Controller(const Controller&) = delete;
    Controller& operator=(const Controller&) = delete;

    // `send` is called inside this call, or from a later work() or Arbiter::settle(), once. False: never, it
    // was a cast or blank. Without `may_wait` a request that would wait for an operation's end is refused.
    bool handle(std::string_view bytes, const Send& send, const Caller& caller, bool may_wait = true);
    // Goes on with what handle() left unanswered, a portion of one request. To be called once a turn while
    // has_work().
    void work();
    bool has_work() const { return !context_.jobs.empty(); }
    // Lets go of what is kept for requests that come no more. To be called every few seconds.
    void rest();

    // The same for who is no client: a plugin, by its name. One of the two is called, perhaps inside this
    // call: `answered_text` with fields that are text already (Reply).
    using Answered = CommandRegistry::Answered;
    void call(std::string_view plugin, const std::string& command, const Json& properties, Answered answered,
              Reply::SendText answered_text = {});
    CommandRegistry& registry() { return context_.registry; }

  private:
    void dispatch(const std::string& name, const Json& properties, const Reply& reply);
    bool is_permitted(const Caller& caller, const std::string& name, const Json& properties,
                      const Reply& reply);
    Status may_ask(const std::string& name, const Json& properties);
    bool is_of_plugin(std::string_view name) const;
    void execute(const Command& command, const Json& properties, const Reply& reply);

    Context context_;
    RefusalLog refusals_;
};

}  // namespace circus::control
