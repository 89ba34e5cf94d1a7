#include "bin/pidfile.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "sys/trusted_path.hpp"

namespace circus::bin {

namespace {

// The process that the file names, or 0.
pid_t holder(const sys::Place& place) {
    const UniqueFd fd(
        ::openat(place.directory.get(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    char text[32] = {};
    if (!fd || ::read(fd.get(), text, sizeof text - 1) <= 0) return 0;
    const auto pid = parse_int(trim(text));
    if (!pid || *pid <= 0 || *pid > 0x7fffffff) return 0;
    return static_cast<pid_t>(*pid);
}

bool is_alive(pid_t pid) {
    return ::kill(pid, 0) == 0 || errno == EPERM;
}  // signal 0: only asks

}  // namespace

Result<Pidfile> Pidfile::write(const std::string& path, pid_t pid) {
    auto place = sys::place_of(path);
    if (!place)
        return Error{cat("cannot write pidfile ", path, ": ", place.error().text), place.error().code};
    const pid_t other = holder(*place);
    // Left behind by a daemon of another time, in a container where pids begin anew: it may be the number of
    // this very process now.
    if (other != 0 && other != pid && other != ::getpid() && is_alive(other))
        return Error{cat("pidfile ", path, " names process ", other,
                         ", which is alive: is this circusd running already? Stop it, or remove the file")};
    // A new file and a rename: a planted symlink is replaced, never written through.
    const int directory = place->directory.get();
    const std::string& name = place->name;
    const std::string fresh = cat(name, ".", pid);
    ::unlinkat(directory, fresh.c_str(), 0);
    const UniqueFd fd(
        ::openat(directory, fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!fd) return sys_error(cat("cannot write pidfile ", path), errno);
    const std::string text = cat(pid, "\n");
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fchmod(fd.get(), 0644) != 0 || ::renameat(directory, fresh.c_str(), directory, name.c_str()) != 0) {
        const int problem = errno;
        ::unlinkat(directory, fresh.c_str(), 0);
        return sys_error(cat("cannot write pidfile ", path), problem);
    }
    Pidfile file;
    file.path_ = path;
    file.pid_ = pid;
    return file;
}

void Pidfile::remove() {
    const std::string path = std::exchange(path_, {});
    if (path.empty()) return;
    auto place = sys::place_of(path);
    // Somebody else's by now: it stays.
    if (place && holder(*place) == pid_) ::unlinkat(place->directory.get(), place->name.c_str(), 0);
}

}  // namespace circus::bin
