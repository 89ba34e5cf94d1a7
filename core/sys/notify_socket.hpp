// NotifySocket: the receiving end of sd_notify(3). A datagram socket in the abstract namespace, so that
// workers of any user, in any root directory, can send to it; each datagram comes with its sender's
// credentials, which the kernel vouches for (SO_PASSCRED).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace circus::sys {

struct Notification {
    pid_t pid = 0;       // of the sender; 0: it is nobody that this process can see
    bool ready = false;  // it says READY=1
};

class NotifySocket {
  public:
    // `name` is what the address begins with; where it is taken, the kernel chooses one.
    static Result<NotifySocket> open(std::string_view name);
    // One that was opened before, by this process or by another. An error: it has no address.
    static Result<NotifySocket> adopt(UniqueFd fd);

    // The next datagram; nothing: there is none now. Descriptors that came with it are closed when the one
    // after it is asked for, so that who waits for that (sd_notify_barrier(3)) knows that it was dealt with.
    std::optional<Notification> receive();

    int fd() const { return fd_.get(); }
    const std::string& address() const { return address_; }  // as in NOTIFY_SOCKET: "@…"

  private:
    NotifySocket(UniqueFd fd, std::string address) : fd_(std::move(fd)), address_(std::move(address)) {}

    UniqueFd fd_;
    std::string address_;
    UniqueFd barrier_;
};

}  // namespace circus::sys
