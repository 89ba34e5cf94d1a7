// Notifier: what the service manager is told, as sd_notify(3) says: a datagram to NOTIFY_SOCKET. The keeper
// sends it because it is the service's main process, and what comes from another one a manager may not
// believe. Allocates nothing; a manager that does not read costs a tenth of a second, once.
//
// Its watchdog is fed by the arbiter, through here; while there is none that could, by the keeper.
#pragma once

#include <cstddef>
#include <string_view>
#include <sys/un.h>

#include "base/clock.hpp"
#include "base/unique_fd.hpp"

namespace circus::keeper {

class Notifier {
  public:
    // `address`: a path, or @NAME for an abstract socket. Null or anything else: nobody is told anything.
    // WATCHDOG_USEC and WATCHDOG_PID as the environment has them.
    explicit Notifier(const char* address, const char* watchdog_us = nullptr, const char* watched = nullptr);
    bool is_wanted() const { return static_cast<bool>(socket_); }
    Duration watchdog() const { return watchdog_; }  // fed within so long; zero: there is none for us
    bool send(std::string_view text);                // false: it was not taken

  private:
    UniqueFd socket_;
    sockaddr_un address_{};
    socklen_t size_ = 0;
    Duration watchdog_{};
    bool is_read_ = true;  // the last text was taken: the next one may wait a moment
};

}  // namespace circus::keeper
