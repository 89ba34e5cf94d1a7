// Discovery: answers any datagram of a multicast group with {"endpoint": …}, as Circus does. On the loop's
// thread.
//
// Nobody can make it a weapon: so many datagrams a second are looked at and no more (the rest stays with the
// kernel, which drops it), each is answered once at the most with one small datagram, and what comes from
// the group's own port, which may be the answer of another circusd, never.
#pragma once

#include <memory>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "config/multicast.hpp"
#include "loop/loop.hpp"
#include "loop/poll.hpp"
#include "loop/timer.hpp"

namespace circus::control {

class Discovery {
  public:
    static constexpr int kDatagramsPerSecond = 50;

    static Result<std::unique_ptr<Discovery>> make(loop::Loop& loop, const config::MulticastGroup& group,
                                                   const std::string& endpoint);
    Discovery(const Discovery&) = delete;
    Discovery& operator=(const Discovery&) = delete;

    void set_endpoint(const std::string& endpoint);

  private:
    Discovery(loop::Loop& loop, UniqueFd socket, int port);
    void answer();

    const UniqueFd socket_;
    const int port_;
    std::string answer_;
    int left_ = kDatagramsPerSecond;  // of this second
    TimePoint second_{};              // when it began
    loop::Timer next_second_;
    std::unique_ptr<loop::Poll> poll_;  // always, after make()
};

}  // namespace circus::control
