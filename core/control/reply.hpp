// Reply: where the answer to one request goes, once. At once for queries, for errors found before the work
// begins and for clients that do not wait; at the end of the operation for those that do.
//
// A handler answers with ok() or error(), or begins operations with at_end() as their Done and then says
// began(). Copies share the destination. The loop's thread only.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/json.hpp"
#include "base/result.hpp"
#include "control/command_registry.hpp"
#include "control/request.hpp"
#include "supervise/watcher.hpp"

namespace circus::control {

class Reply {
  public:
    // Gets the fields of the answer, or the error with Circus's number as its code. Called once; must still
    // be callable when the arbiter calls the last Done.
    using Send = std::function<void(const Result<Json>&)>;
    // What the answer of a finished operation holds.
    using Fields = std::function<Json(const supervise::OpResult&)>;

    Reply(Send send, bool waiting) : send_(std::move(send)), waiting_(waiting) {}

    bool is_waiting() const { return waiting_; }
    void ok() const;
    void ok(Json fields) const;
    void error(Errno number, std::string reason) const;
    void error(const Error& error) const;  // of a layer below: a code that is none of ours becomes Message

    // The Done that answers at the operation's end; empty when the client does not wait.
    supervise::Done at_end(Fields fields = {}) const;
    // A registered command answers this.
    void from(const CommandRegistry::Entry& command, const Json& properties) const;
    // The operation is under way: a client that does not wait gets its answer now.
    void began() const;

  private:
    Send send_;
    bool waiting_;
};

}  // namespace circus::control
