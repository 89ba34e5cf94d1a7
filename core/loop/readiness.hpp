// Readiness: tells once when one of many descriptors can be read. It neither reads nor changes anything of
// them: they may be shared with other processes, and a loop::Poll would make their open file descriptions
// non-blocking. So it has an epoll(7) of its own, whose descriptor is what the loop polls.
#pragma once

#include <functional>
#include <memory>

#include "base/result.hpp"
#include "loop/loop.hpp"

namespace circus::loop {

class Readiness {
  public:
    // `ready` is called on the loop's thread, never from inside a method, and may call any of them.
    static Result<Readiness> make(Loop& loop, std::function<void(int fd)> ready);
    Readiness(Readiness&&) noexcept;
    Readiness& operator=(Readiness&&) noexcept;
    ~Readiness();

    // One call of `ready` follows once the descriptor can be read; then it is watched no more. An error for
    // what cannot be polled. Call forget() before the descriptor is closed: a duplicate in another process
    // would keep the watch alive.
    Status watch(int fd);
    void forget(int fd);

  private:
    struct State;
    explicit Readiness(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace circus::loop
