// Poll: readiness of a descriptor that somebody else owns. Level-triggered: it calls back each turn for as
// long as the condition holds. May be destroyed inside its own callback.
#pragma once

#include <functional>
#include <memory>

#include "base/result.hpp"
#include "loop/loop.hpp"

namespace circus::loop {

class Poll {
  public:
    static constexpr unsigned kReadable = 1;
    static constexpr unsigned kWritable = 2;
    static constexpr unsigned kHangup = 4;  // the peer will send nothing more
    // `ready`: which of them. A descriptor in an error state counts as ready for whatever was asked: the
    // owner's next read or write says what is wrong.
    using Callback = std::function<void(unsigned ready)>;

    // An error for a descriptor that cannot be polled (a regular file) or that a Poll watches already. Sets
    // O_NONBLOCK on the open file description. The descriptor must stay open while the Poll lives.
    static Result<Poll> make(Loop& loop, int fd, Callback callback);

    // What to wait for from now on; 0: nothing. A no-op when nothing changes.
    void watch(unsigned events);
    unsigned watched() const;

  private:
    struct Box;
    struct Close {
        void operator()(Box* box) const noexcept;
    };
    explicit Poll(std::unique_ptr<Box, Close> box);
    std::unique_ptr<Box, Close> box_;
};

}  // namespace circus::loop
