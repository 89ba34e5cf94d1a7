#include "sys/listen.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.hpp"
#include "sys/trusted_path.hpp"

namespace circus::sys {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

std::string with_port(const std::string& host, int port) {
    return host.find(':') == std::string::npos ? cat(host, ":", port) : cat("[", host, "]:", port);
}

Result<UniqueFd> open_socket(const ListenSpec& spec, int family) {
    const int flags = SOCK_CLOEXEC | (spec.blocking ? 0 : SOCK_NONBLOCK);
    UniqueFd fd(::socket(family, spec.type | flags, spec.protocol));
    if (!fd) return sys_error("cannot make a socket", errno);
    return fd;
}

Status listen_if_it_accepts(const ListenSpec& spec, int fd, const std::string& address) {
    if (spec.type != SOCK_STREAM && spec.type != SOCK_SEQPACKET) return Ok{};
    if (!spec.listen) return Ok{};
    if (::listen(fd, spec.backlog) != 0) return sys_error(cat("cannot listen on ", address), errno);
    return Ok{};
}

Status turn_on(int fd, int option, const char* name) {
    const int on = 1;
    if (::setsockopt(fd, SOL_SOCKET, option, &on, sizeof on) == 0) return Ok{};
    return sys_error(cat("cannot set ", name), errno);
}

// Host and port as numbers, from what the kernel says the socket is bound to.
Status read_back(const ListenSpec& spec, Listener& listener) {
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    auto* address = reinterpret_cast<sockaddr*>(&bound);
    if (::getsockname(listener.fd.get(), address, &length) != 0)
        return sys_error("cannot read the bound address", errno);
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    const int problem =
        ::getnameinfo(address, length, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    if (problem != 0) return Error{cat("cannot read the bound address: ", ::gai_strerror(problem))};
    listener.host = host;
    // The kernel shows a raw socket's protocol where others have their port.
    listener.port = spec.type == SOCK_RAW ? 0 : static_cast<int>(parse_int(port).value_or(0));
    listener.address = with_port(listener.host, listener.port);
    return Ok{};
}

Result<Listener> bind_one(const ListenSpec& spec, const addrinfo& candidate) {
    char numeric[NI_MAXHOST];
    const bool known = ::getnameinfo(candidate.ai_addr, candidate.ai_addrlen, numeric, sizeof numeric,
                                     nullptr, 0, NI_NUMERICHOST) == 0;
    const std::string wanted = with_port(known ? numeric : spec.host, spec.port);
    const auto failed = [&](const Error& error) {
        return Error{cat("cannot bind ", wanted, ": ", error.text), error.code};
    };

    auto fd = open_socket(spec, candidate.ai_family);
    if (!fd) return failed(fd.error());
    // Only for streams: two datagram sockets with SO_REUSEADDR may take the same port, and one of them
    // starves (socket(7)).
    if (spec.type == SOCK_STREAM)
        if (const auto set = turn_on(fd->get(), SO_REUSEADDR, "SO_REUSEADDR"); !set)
            return failed(set.error());
    if (spec.so_reuseport)
        if (const auto set = turn_on(fd->get(), SO_REUSEPORT, "SO_REUSEPORT"); !set)
            return failed(set.error());
    if (!spec.interface.empty() &&
        ::setsockopt(fd->get(), SOL_SOCKET, SO_BINDTODEVICE, spec.interface.c_str(),
                     static_cast<socklen_t>(spec.interface.size())) != 0)
        return failed(sys_error(cat("interface \"", spec.interface, "\""), errno));
    if (::bind(fd->get(), candidate.ai_addr, candidate.ai_addrlen) != 0)
        return sys_error(cat("cannot bind ", wanted), errno);
    if (const auto listening = listen_if_it_accepts(spec, fd->get(), wanted); !listening)
        return listening.error();

    Listener listener;
    listener.fd = std::move(*fd);
    if (const auto read = read_back(spec, listener); !read) return failed(read.error());
    return listener;
}

Result<Listener> listen_inet(const ListenSpec& spec) {
    const std::string wanted = with_port(spec.host, spec.port);
    if (spec.port < 0 || spec.port > 65535)
        return Error{cat("cannot bind ", wanted, ": a port is a number from 0 to 65535"), EINVAL};
    addrinfo hints{};
    hints.ai_family = spec.family == ListenSpec::Family::Inet ? AF_INET : AF_INET6;
    // One type, so that each address comes once; which one does not matter to the lookup.
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int problem = ::getaddrinfo(spec.host.empty() ? nullptr : spec.host.c_str(),
                                      std::to_string(spec.port).c_str(), &hints, &found);
    if (problem == EAI_SYSTEM) return sys_error(cat("cannot bind ", wanted), errno);
    if (problem != 0)
        return Error{
            cat("cannot bind ", wanted, ": looking up \"", spec.host, "\": ", ::gai_strerror(problem))};
    const Addresses addresses(found, &::freeaddrinfo);

    auto listener = bind_one(spec, *addresses);
    for (const addrinfo* next = addresses->ai_next; next && !listener; next = next->ai_next)
        if (auto other = bind_one(spec, *next)) return other;
    return listener;
}

// Length of the address, or why the path is none.
Result<socklen_t> fill_address(const std::string& path, sockaddr_un& address) {
    if (path.empty()) return Error{"a unix socket needs a path", EINVAL};
    if (path.find('\0') != std::string::npos) return Error{"the path holds a NUL", EINVAL};
    if (path.size() >= sizeof address.sun_path)
        return Error{
            cat("the path has ", path.size(), " bytes, the kernel takes ", sizeof address.sun_path - 1),
            ENAMETOOLONG};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    constexpr auto kOffset = offsetof(sockaddr_un, sun_path);
    if (path.front() == '@') {
        address.sun_path[0] = '\0';
        return static_cast<socklen_t>(kOffset + path.size());
    }
    return static_cast<socklen_t>(kOffset + path.size() + 1);
}

Status remove_old_socket(const std::string& path) {
    struct stat there {};
    if (::lstat(path.c_str(), &there) != 0) return Ok{};  // bind says what is wrong, if anything is
    if (!S_ISSOCK(there.st_mode)) return Error{"a file that is no socket is in the way", EEXIST};
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return sys_error("cannot remove the old socket", errno);
    return Ok{};
}

// Owner, then mode, of the file that bind made. By a handle and never by the path: who may write to the
// directory could have put a link to another file in its place since.
Status dress_file(const ListenSpec& spec) {
    const UniqueFd file(::open(spec.path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return sys_error("cannot open its file", errno);
    struct stat there {};
    if (::fstat(file.get(), &there) != 0) return sys_error("cannot look at its file", errno);
    if (!S_ISSOCK(there.st_mode)) return Error{"its file was replaced by another", EEXIST};
    constexpr auto kUnchanged = static_cast<uid_t>(-1);
    if ((spec.owner || spec.group) && ::fchownat(file.get(), "", spec.owner.value_or(kUnchanged),
                                                 spec.group.value_or(kUnchanged), AT_EMPTY_PATH) != 0)
        return sys_error("cannot give its file to its owner", errno);
    // fchmod(2) refuses an O_PATH descriptor; its name under /proc leads to the same file and no other.
    if (spec.umask &&
        ::chmod(cat("/proc/self/fd/", file.get()).c_str(), static_cast<mode_t>(0777 & ~*spec.umask)) != 0)
        return sys_error("cannot set the mode of its file", errno);
    return Ok{};
}

Result<Listener> listen_unix(const ListenSpec& spec) {
    const auto failed = [&](const Error& error) {
        return Error{cat("cannot bind unix socket \"", spec.path, "\": ", error.text), error.code};
    };
    sockaddr_un address{};
    const auto length = fill_address(spec.path, address);
    if (!length) return failed(length.error());
    const bool has_file = spec.path.front() != '@';
    // A link that somebody planted in the middle; whatever else is wrong, bind says.
    if (has_file)
        if (const auto place = place_of(spec.path); !place && place.error().code == ELOOP)
            return failed(place.error());
    if (has_file && spec.replace)
        if (const auto removed = remove_old_socket(spec.path); !removed) return failed(removed.error());
    auto fd = open_socket(spec, AF_UNIX);
    if (!fd) return failed(fd.error());
    // The kernel makes the file with the socket's own mode minus the process's umask, so the file is never
    // wider than asked, not even between bind and chmod; and umask(2), which all threads share, stays as it
    // is.
    if (has_file && spec.umask && ::fchmod(fd->get(), static_cast<mode_t>(0777 & ~*spec.umask)) != 0)
        return failed(sys_error("cannot set the socket's mode", errno));
    if (::bind(fd->get(), reinterpret_cast<const sockaddr*>(&address), *length) != 0) {
        const int problem = errno;
        Error error = sys_error(cat("cannot bind unix socket \"", spec.path, "\""), problem);
        if (problem == EADDRINUSE && has_file && !spec.replace)
            error.text += " (the file exists; replace = true would remove an old socket)";
        return error;
    }
    auto done = has_file ? dress_file(spec) : Status(Ok{});
    if (done) done = listen_if_it_accepts(spec, fd->get(), spec.path);
    if (!done) {
        if (has_file) ::unlink(spec.path.c_str());
        return failed(done.error());
    }
    Listener listener;
    listener.fd = std::move(*fd);
    listener.address = spec.path;
    return listener;
}

// umask(2) tells the mask only by setting another, which all threads would see.
mode_t process_umask() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("Umask:")) return static_cast<mode_t>(std::stoul(line.substr(6), nullptr, 8));
    return 022;
}

}  // namespace

Result<Listener> listen_on(const ListenSpec& spec) {
    return spec.family == ListenSpec::Family::Unix ? listen_unix(spec) : listen_inet(spec);
}

bool is_abandoned(const std::string& path, int type) {
    sockaddr_un address{};
    const auto length = fill_address(path, address);
    const UniqueFd probe(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    return length && probe &&
           ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), *length) != 0 &&
           errno == ECONNREFUSED;
}

Status set_backlog(int fd, int backlog) {
    if (::listen(fd, backlog) == 0) return Ok{};
    return sys_error(cat("cannot set the backlog to ", backlog), errno);
}

Status set_blocking(int fd, bool blocking) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags >= 0 && ::fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK) == 0)
        return Ok{};
    return sys_error("cannot set the blocking mode", errno);
}

Status set_reuseport(int fd, bool on) {
    const int value = on ? 1 : 0;
    if (::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value) == 0) return Ok{};
    return sys_error("cannot set SO_REUSEPORT", errno);
}

Status dress(const ListenSpec& spec) {
    ListenSpec filled = spec;
    if (!filled.umask) filled.umask = process_umask();
    if (!filled.owner) filled.owner = ::geteuid();
    if (!filled.group) filled.group = ::getegid();
    return dress_file(filled);
}

std::string bound_path(int fd) {
    sockaddr_un address{};
    socklen_t length = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
        address.sun_family != AF_UNIX || length <= offsetof(sockaddr_un, sun_path))
        return {};
    return {address.sun_path, ::strnlen(address.sun_path, length - offsetof(sockaddr_un, sun_path))};
}

std::vector<int> listening_descriptors() {
    std::vector<int> found;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir("/proc/self/fd"), ::closedir);
    while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr) {
        const auto fd = parse_int(entry->d_name);
        int listens = 0;
        socklen_t size = sizeof listens;
        if (fd && ::getsockopt(static_cast<int>(*fd), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
            listens != 0)
            found.push_back(static_cast<int>(*fd));
    }
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace circus::sys
