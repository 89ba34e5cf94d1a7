#include "sys/trusted_path.hpp"

#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <climits>

#include "base/text.hpp"

namespace circus::sys {

namespace {

constexpr int kDirectory = O_PATH | O_DIRECTORY | O_CLOEXEC;
constexpr int kMaxLinks = 40;  // as the kernel's

bool is_ours(uid_t owner) {
    return owner == 0 || owner == geteuid();
}

// The directory above the last part, if there is no link on the way at all and the kernel can be asked for
// that (5.6): one call in the place of one for each part.
UniqueFd without_links(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string above = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    open_how how{};
    how.flags = static_cast<decltype(how.flags)>(kDirectory);
    how.resolve = RESOLVE_NO_SYMLINKS;
    return UniqueFd(static_cast<int>(syscall(SYS_openat2, AT_FDCWD, above.c_str(), &how, sizeof how)));
}

// From part to part.
class Walk {
  public:
    explicit Walk(bool makes = false) : makes_(makes) {}

    // Goes through all parts but the last, which it returns. A relative path begins where the one before has
    // led to.
    Result<std::string> go(std::string rest) {
        if (const Status begun = begin(rest); !begun) return begun.error();
        for (;;) {
            rest.erase(0, rest.find_first_not_of('/'));
            const std::size_t slash = rest.find('/');
            const std::size_t next = slash == std::string::npos ? slash : rest.find_first_not_of('/', slash);
            std::string part = rest.substr(0, slash);
            if (next == std::string::npos) return part;
            rest.erase(0, next);
            if (const Status entered = enter(part, rest); !entered) return entered.error();
        }
    }

    int directory() const { return at_.get(); }
    UniqueFd take_directory() { return std::move(at_); }
    std::string shown(const std::string& part) const { return cat(way_, part); }

    // Where the link `part` leads to; empty: it is one of /proc, whose text is no path. ENOTDIR: it is no
    // link. Owner and text are read through one descriptor of the link itself, so that it cannot be replaced
    // between the check and the use.
    Result<std::string> read_link(const std::string& part) {
        if (++links_ > kMaxLinks) return sys_error(shown(part), ELOOP);
        const UniqueFd link(openat(at_.get(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        struct stat about {
        }, around{};
        struct statfs filesystem {};
        if (!link || fstat(link.get(), &about) != 0 || fstat(at_.get(), &around) != 0 ||
            fstatfs(link.get(), &filesystem) != 0)
            return sys_error(shown(part), errno);
        if (!S_ISLNK(about.st_mode)) return sys_error(shown(part), ENOTDIR);
        if (!is_ours(about.st_uid)) return sys_error(cat(shown(part), " is a link of another user's"), ELOOP);
        if (filesystem.f_type == PROC_SUPER_MAGIC) return std::string();
        const bool is_open = (around.st_mode & S_IWOTH) != 0 && (around.st_mode & S_ISVTX) == 0;
        if (is_open || !is_ours(around.st_uid))
            return sys_error(cat(shown(part), " is a link in a directory that another user may write to"),
                             ELOOP);
        char text[PATH_MAX];
        const ssize_t size = readlinkat(link.get(), "", text, sizeof text);
        if (size <= 0) return sys_error(shown(part), size == 0 ? ENOENT : errno);
        return std::string(text, static_cast<std::size_t>(size));
    }

  private:
    Status begin(const std::string& path) {
        const bool is_whole = path.starts_with('/');
        if (at_ && !is_whole) return Ok{};
        at_.reset(open(is_whole ? "/" : ".", kDirectory));
        if (!at_) return sys_error(is_whole ? "/" : ".", errno);
        way_ = is_whole ? "/" : "";
        return Ok{};
    }

    // `rest`, what comes behind it, has the target of a link before it then.
    Status enter(const std::string& part, std::string& rest) {
        UniqueFd next(openat(at_.get(), part.c_str(), kDirectory | O_NOFOLLOW));
        if (!next && errno == ENOENT && makes_) {
            if (mkdirat(at_.get(), part.c_str(), 0777) != 0 && errno != EEXIST)
                return sys_error(cat("cannot make the directory ", shown(part)), errno);
            next.reset(openat(at_.get(), part.c_str(), kDirectory | O_NOFOLLOW));
        }
        if (!next) {
            if (errno != ENOTDIR && errno != ELOOP) return sys_error(shown(part), errno);
            auto target = read_link(part);
            if (!target) return target.error();
            if (!target->empty()) {
                rest = cat(*target, "/", rest);
                return begin(rest);
            }
            next.reset(openat(at_.get(), part.c_str(), kDirectory));
            if (!next) return sys_error(shown(part), errno);
        }
        at_ = std::move(next);
        way_ += cat(part, "/");
        return Ok{};
    }

    const bool makes_;
    UniqueFd at_;
    std::string way_;  // to at_, for errors
    int links_ = 0;
};

}  // namespace

Result<Place> place_of(const std::string& path) {
    if (UniqueFd above = without_links(path))
        return Place{std::move(above), path.substr(path.rfind('/') + 1)};
    Walk walk;
    auto name = walk.go(path);
    if (!name) return name.error();
    return Place{walk.take_directory(), std::move(*name)};
}

Result<UniqueFd> make_way(const std::string& path) {
    Walk walk(true);
    if (const auto name = walk.go(path); !name) return name.error();
    return walk.take_directory();
}

Result<UniqueFd> open_trusted(const std::string& path, int flags, mode_t mode) {
    if (const UniqueFd above = without_links(path)) {
        UniqueFd fd(openat(above.get(), path.c_str() + path.rfind('/') + 1, flags | O_NOFOLLOW, mode));
        if (fd) return fd;
        if (errno != ELOOP) return sys_error(path, errno);
    }
    Walk walk;
    for (std::string rest = path;;) {
        auto name = walk.go(std::move(rest));
        if (!name) return name.error();
        UniqueFd fd(openat(walk.directory(), name->c_str(), flags | O_NOFOLLOW, mode));
        if (fd) return fd;
        if (errno != ELOOP) return sys_error(walk.shown(*name), errno);
        auto target = walk.read_link(*name);
        if (!target && target.error().code != ENOTDIR) return target.error();
        if (target && target->empty()) {
            fd.reset(openat(walk.directory(), name->c_str(), flags, mode));
            if (!fd) return sys_error(walk.shown(*name), errno);
            return fd;
        }
        rest = std::move(target ? *target : *name);  // replaced by something better just now
    }
}

}  // namespace circus::sys
