#include "control/endpoint.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "sys/trusted_path.hpp"

namespace circus::control {

namespace {

constexpr std::string_view kIpc = "ipc://";

Error refused(const std::string& endpoint, std::string_view why, int code) {
    return {cat("cannot bind ", endpoint, ": ", why), code};
}

class UmaskGuard {
  public:
    explicit UmaskGuard(mode_t mask) : before_(::umask(mask)) {}
    ~UmaskGuard() { ::umask(before_); }
    UmaskGuard(const UmaskGuard&) = delete;
    UmaskGuard& operator=(const UmaskGuard&) = delete;

  private:
    mode_t before_;
};

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// Whoever may write to the directory can put a socket of his own in the place of ours.
Status check_directory(int fd, const std::string& directory) {
    const auto is_strange = [](const struct stat& found) {
        return found.st_uid != 0 && found.st_uid != ::geteuid();
    };
    struct stat found {};
    if (::fstat(fd, &found) != 0) return sys_error(cat("cannot look at ", directory), errno);
    if (::geteuid() != 0 && is_strange(found))
        return Error{cat("the directory ", directory, " belongs to another user"), EPERM};
    if ((found.st_mode & S_IWOTH) != 0 && (found.st_mode & S_ISVTX) == 0)
        return Error{cat("everybody may write to the directory ", directory, "; chmod o-w it"), EPERM};
    return Ok{};
}

// Each missing directory above `path`, for its owner alone, or for others to pass through.
Result<UniqueFd> make_directories(const std::string& path, bool passable) {
    const UmaskGuard guard(passable ? 066 : 077);
    return sys::make_way(path);
}

// Between the look at a stale socket and the bind in its place, for all who mean the same directory. A
// filesystem that has no locks, or somebody who keeps this one, does not keep us from binding.
UniqueFd lock_directory(const std::string& path) {
    UniqueFd fd(::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const TimePoint until = Monotonic::now() + Milliseconds(1000);
    while (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK &&
           Monotonic::now() < until) {
        const timespec pause{0, 5'000'000};
        ::nanosleep(&pause, nullptr);
    }
    return fd;
}

void warn_if_out_of_reach(const std::string& path, std::optional<uid_t> owner, bool open_to_all) {
    const std::string directory = directory_of(path);
    struct stat found {};
    if ((!open_to_all && owner.value_or(0) == 0) || ::stat(directory.c_str(), &found) != 0) return;
    // Which groups somebody is in is not looked up: they may be what lets him through.
    const mode_t needed = !open_to_all && found.st_uid == owner ? S_IXUSR : S_IXOTH | S_IXGRP;
    if ((found.st_mode & needed) == 0)
        log::warning(cat(open_to_all ? "allow_users" : "endpoint_owner", " cannot reach ", path,
                         ": the directory ", directory, " is closed to ", open_to_all ? "them" : "him",
                         "; chmod 711 it"));
}

bool is_answered(const sockaddr_un& address) {
    const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!probe) return true;  // it cannot be told: nothing is replaced
    if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
    return errno == EAGAIN || errno == EINPROGRESS || errno == EACCES;  // a full queue has an owner, too
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
    return address;
}

Status make_room(const std::string& endpoint, const std::string& path, UniqueFd& lock) {
    const sockaddr_un address = address_of(path);
    lock = lock_directory(path);
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return Ok{};
        return sys_error(cat("cannot bind ", endpoint), errno);
    }
    if (!S_ISSOCK(found.st_mode))
        return refused(endpoint, "something that is not a socket is in its place", EEXIST);
    if (is_answered(address)) return refused(endpoint, "another circusd answers there", EADDRINUSE);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return sys_error(cat("cannot remove the stale socket of ", endpoint), errno);
    return Ok{};
}

}  // namespace

Status make_place(const std::string& endpoint, bool passable) {
    if (!endpoint.starts_with(kIpc)) return Ok{};
    const std::string path = endpoint.substr(kIpc.size());
    if (path.empty()) return refused(endpoint, "the path is missing", EINVAL);
    // "ipc://@name" is an abstract socket: no file, no directory, and open to every local user.
    if (path.front() == '@') return refused(endpoint, "an abstract socket is open to everybody", EINVAL);
    if (path.size() >= sizeof sockaddr_un::sun_path)
        return refused(endpoint,
                       cat("the path has ", path.size(), " bytes, a unix socket's has at most ",
                           sizeof sockaddr_un::sun_path - 1),
                       ENAMETOOLONG);
    auto directory = make_directories(path, passable);
    if (!directory) return refused(endpoint, directory.error().text, directory.error().code);
    if (const Status ours = check_directory(directory->get(), directory_of(path)); !ours)
        return refused(endpoint, ours.error().text, ours.error().code);
    return Ok{};
}

Status bind_endpoint(loop::ZmqPump& pump, const std::string& endpoint, std::optional<uid_t> owner,
                     bool open_to_all) {
    if (!endpoint.starts_with(kIpc)) return pump.bind(endpoint);
    const std::string path = endpoint.substr(kIpc.size());
    if (const Status place = make_place(endpoint, owner || open_to_all); !place) return place.error();
    UniqueFd lock;
    if (const Status room = make_room(endpoint, path, lock); !room) return room.error();
    {
        // The file is born with its mode: chmod(2) after bind(2) would leave it open for a moment.
        const UmaskGuard guard(0177);
        if (const Status bound = pump.bind(endpoint); !bound) return bound.error();
    }
    if (!owner && !open_to_all) return Ok{};
    const Status owned = own_endpoint(endpoint, owner, open_to_all);
    if (!owned) {
        [[maybe_unused]] const Status unbound = pump.unbind(endpoint);
        remove_endpoint(endpoint);
    }
    return owned;
}

Status own_endpoint(const std::string& endpoint, std::optional<uid_t> owner, bool open_to_all) {
    if (!endpoint.starts_with(kIpc)) return Ok{};
    const std::string path = endpoint.substr(kIpc.size());
    const uid_t uid = owner.value_or(::geteuid());
    // By a handle and never by the path: what is there now need not be there with the next call.
    const UniqueFd file(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat found {};
    if (!file || ::fstat(file.get(), &found) != 0 || !S_ISSOCK(found.st_mode))
        return Error{cat("cannot say whose ", endpoint, " is: its socket is gone"), ENOENT};
    if (found.st_uid != uid && ::fchownat(file.get(), "", uid, static_cast<gid_t>(-1), AT_EMPTY_PATH) != 0)
        return sys_error(cat("cannot make ", endpoint, " the endpoint_owner's"), errno);
    const mode_t mode = open_to_all ? 0666 : 0600;
    if ((found.st_mode & 07777U) != mode && ::chmod(cat("/proc/self/fd/", file.get()).c_str(), mode) != 0)
        return sys_error(cat("cannot set the mode of ", endpoint), errno);
    warn_if_out_of_reach(path, owner, open_to_all);
    return Ok{};
}

void remove_endpoint(const std::string& endpoint) {
    if (!endpoint.starts_with(kIpc)) return;
    const std::string path = endpoint.substr(kIpc.size());
    struct stat found {};
    if (::lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) ::unlink(path.c_str());
}

}  // namespace circus::control
