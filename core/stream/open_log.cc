#include "stream/open_log.hpp"

#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <climits>

#include "base/text.hpp"

namespace circus::stream {

namespace {

constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
constexpr mode_t kMode = 0644;
constexpr int kMaxLinks = 8;

Error failure(const std::string& path, int error) {
    return sys_error(cat("cannot open \"", path, "\""), error);
}

struct Link {
    std::string target;     // a path, relative to nothing any more
    bool is_magic = false;  // of /proc: its text is no path, but following it is exact
};

// Owner and text of a link are read through one descriptor of the link itself, so that it cannot be replaced
// between the check and the use.
Result<Link> read_trusted_link(const std::string& path) {
    const UniqueFd link(open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat about {};
    struct statfs filesystem {};
    if (!link || fstat(link.get(), &about) != 0 || fstatfs(link.get(), &filesystem) != 0)
        return failure(path, errno);
    if (!S_ISLNK(about.st_mode)) return Link{path, false};  // replaced by something better just now
    if (about.st_uid != 0 && about.st_uid != geteuid()) return failure(path, ELOOP);
    if (filesystem.f_type == PROC_SUPER_MAGIC) return Link{path, true};
    char text[PATH_MAX];
    const ssize_t n = readlinkat(link.get(), "", text, sizeof text);
    if (n < 0) return failure(path, errno);
    std::string target(text, static_cast<std::size_t>(n));
    if (target.empty() || target.front() != '/') target.insert(0, path.substr(0, path.rfind('/') + 1));
    return Link{std::move(target), false};
}

}  // namespace

Result<UniqueFd> open_log(const std::string& path) {
    std::string at = path;
    for (int links = 0; links <= kMaxLinks; ++links) {
        UniqueFd fd(open(at.c_str(), kFlags | O_NOFOLLOW, kMode));
        if (fd) return fd;
        if (errno != ELOOP) return failure(path, errno);
        auto link = read_trusted_link(at);
        if (!link) return link.error();
        if (link->is_magic) {
            UniqueFd followed(open(at.c_str(), kFlags, kMode));
            if (!followed) return failure(path, errno);
            return followed;
        }
        at = std::move(link->target);
    }
    return failure(path, ELOOP);
}

}  // namespace circus::stream
