// The pidfile: "PID\n", mode 0644. One that names a live process is respected; a dead or odd one is taken
// over.
#pragma once

#include <string>
#include <sys/types.h>
#include <utility>

#include "base/result.hpp"

namespace circus::bin {

class Pidfile {
  public:
    Pidfile() = default;
    // Writes `pid`. Never follows a symlink. An error names the file and the process that holds it.
    static Result<Pidfile> write(const std::string& path, pid_t pid);
    Pidfile(Pidfile&& other) noexcept : path_(std::exchange(other.path_, {})), pid_(other.pid_) {}
    Pidfile& operator=(Pidfile&& other) noexcept {
        std::swap(path_, other.path_);
        std::swap(pid_, other.pid_);
        return *this;
    }
    ~Pidfile() { remove(); }
    void remove();  // unless it names another process by now

  private:
    std::string path_;
    pid_t pid_ = 0;
};

}  // namespace circus::bin
