// Reply: where the answer to one request goes, once. At once for queries, for errors found before the work
// begins and for clients that do not wait; at the end of the operation for those that do.
//
// A handler answers with ok() or error(), or begins operations with at_end() as their Done and then says
// began(). Copies share the destination. The loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
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
    // The same of fields that are text already. Not needed: `Send` then gets what the text says.
    using SendText = std::function<void(std::string_view fields)>;
    // What the answer of a finished operation holds.
    using Fields = std::function<Json(const supervise::OpResult&)>;

    // `begun`: becomes true before `send` is called with an answer that says only that the work has begun.
    Reply(Send send, bool waiting, SendText send_text = {}, std::shared_ptr<bool> begun = {})
        : send_(std::move(send)),
          send_text_(std::move(send_text)),
          waiting_(waiting),
          begun_(std::move(begun)) {}

    bool is_waiting() const { return waiting_; }
    void ok() const;
    void ok(Json fields) const;
    void ok_text(std::string_view fields) const;  // an object of JSON without `status`: long lists of numbers
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
    SendText send_text_;
    bool waiting_;
    std::shared_ptr<bool> begun_;
};

}  // namespace circus::control
