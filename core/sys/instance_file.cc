#include "sys/instance_file.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/text.hpp"

namespace circus::sys {

namespace {

constexpr std::size_t kHeaderSize = 512;
constexpr std::size_t kRowSize = 96;
constexpr std::size_t kMostRows = 200'000;  // more than a keeper has children: what is beyond is no row
constexpr std::string_view kMagic = "circusd-instance/1";

std::string boot_id() {
    const UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    char text[64];
    const ssize_t got = fd ? ::read(fd.get(), text, sizeof text) : -1;
    return got > 0 ? std::string(trim({text, static_cast<std::size_t>(got)})) : "unknown";
}

// A line of exactly `size` bytes: what is too long was never written by us.
std::string line(std::string text, std::size_t size) {
    text.resize(size - 1, ' ');
    text += '\n';
    return text;
}

std::string to_text(const PidRef& process) {
    return cat(process.pid, "/", process.start_ticks);
}

PidRef parse_process(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return {};
    const auto pid = parse_int(text.substr(0, slash)), ticks = parse_int(text.substr(slash + 1));
    if (!pid || !ticks || *pid < 0 || *pid > 0x7fffffff || *ticks < 0) return {};
    return {static_cast<pid_t>(*pid), static_cast<std::uint64_t>(*ticks)};
}

// "1234-5678", or nothing: what else stands there names no instance.
std::string parse_instance(std::string_view text) {
    return keeper_of(text) ? std::string(text) : std::string();
}

std::size_t row_at(std::size_t row) {
    return kHeaderSize + row * kRowSize;
}

bool put_at(int fd, const std::string& text, std::size_t at) {
    ssize_t wrote = 0;
    do wrote = ::pwrite(fd, text.data(), text.size(), static_cast<off_t>(at));
    while (wrote < 0 && errno == EINTR);
    return wrote == static_cast<ssize_t>(text.size());
}

std::string get_at(int fd, std::size_t at, std::size_t size) {
    std::string text(size, '\0');
    const ssize_t got = ::pread(fd, text.data(), size, static_cast<off_t>(at));
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

}  // namespace

std::string InstanceHeader::to_text() const {
    const auto word = [](const std::string& name) { return name.empty() ? std::string("-") : name; };
    return line(cat(kMagic, " boot=", boot_id(), " instance=", word(instance),
                    " arbiter=", sys::to_text(arbiter), " stopping=", is_stopping ? 1 : 0,
                    " before=", word(before), " arbiter_before=", sys::to_text(arbiter_before)),
                kHeaderSize);
}

InstanceHeader InstanceHeader::parse(std::string_view text, std::string_view boot) {
    text = text.substr(0, text.find('\n'));
    if (!text.starts_with(kMagic)) return {};
    InstanceHeader header;
    bool is_of_this_boot = false;
    for (const std::string& word : split(text.substr(kMagic.size()), ' ')) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos) continue;
        const std::string_view key = std::string_view(word).substr(0, equals);
        const std::string_view value = std::string_view(word).substr(equals + 1);
        if (key == "boot") is_of_this_boot = value == boot;
        if (key == "instance") header.instance = parse_instance(value);
        if (key == "arbiter") header.arbiter = parse_process(value);
        if (key == "stopping") header.is_stopping = value == "1";
        if (key == "before") header.before = parse_instance(value);
        if (key == "arbiter_before") header.arbiter_before = parse_process(value);
    }
    if (!is_of_this_boot || header.instance.empty()) return {};
    header.keeper = keeper_of(header.instance).value_or(PidRef{});
    return header;
}

std::string ChildRow::to_text() const {
    return line(cat(child, " ", sys::to_text(process), " ", stop_signal, " ", graceful_timeout.count()),
                kRowSize);
}

std::optional<ChildRow> ChildRow::parse(std::string_view text) {
    const auto words = split(trim(text), ' ');
    if (words.size() != 4) return std::nullopt;
    const auto child = parse_int(words[0]), signo = parse_int(words[2]), grace = parse_int(words[3]);
    constexpr long long kMostMs = 30LL * 365 * 24 * 3600 * 1000;
    if (!child || *child <= 0 || !signo || *signo < 1 || *signo > 64 || !grace || *grace < 0 ||
        *grace > kMostMs)
        return std::nullopt;
    return ChildRow{static_cast<std::uint64_t>(*child), parse_process(words[1]), static_cast<int>(*signo),
                    Milliseconds(*grace)};
}

std::optional<SocketRow> SocketRow::of(const std::string& path) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) return std::nullopt;
    std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
    for (const char c : path) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    return SocketRow{hash >> 1, found.st_ino};
}

std::string SocketRow::to_text() const {
    return line(cat("socket ", path, " ", inode), kRowSize);
}

std::optional<SocketRow> SocketRow::parse(std::string_view text) {
    const auto words = split(trim(text), ' ');
    if (words.size() != 3 || words[0] != "socket") return std::nullopt;
    const auto path = parse_int(words[1]), inode = parse_int(words[2]);
    if (!path || *path < 0 || !inode || *inode < 0) return std::nullopt;
    return SocketRow{static_cast<std::uint64_t>(*path), static_cast<std::uint64_t>(*inode)};
}

Result<InstanceFile> InstanceFile::open(const std::string& path) {
    InstanceFile file;
    file.path_ = path;
    // O_NONBLOCK: something that is no file must not keep us waiting.
    constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    for (UniqueFd* fd : {&file.keeper_, &file.arbiter_}) {
        fd->reset(::open(path.c_str(), kFlags, 0600));
        if (!*fd && errno == ELOOP)
            return Error{cat("the lock file ", path, " is a link: somebody planted it; remove it"), ELOOP};
        if (!*fd) return sys_error(cat("cannot open the lock file ", path), errno);
        struct stat found {};
        if (::fstat(fd->get(), &found) != 0)
            return sys_error(cat("cannot look at the lock file ", path), errno);
        if (!S_ISREG(found.st_mode) || found.st_uid != ::geteuid() || found.st_nlink != 1)
            return Error{cat("the lock file ", path, " is ",
                             !S_ISREG(found.st_mode)       ? "no regular file"
                             : found.st_uid != ::geteuid() ? "another user's"
                                                           : "not there under exactly one name",
                             ": remove it"),
                         EPERM};
        // Whatever the umask and whoever made it: the next one to open it is we ourselves.
        if ((found.st_mode & 07777) != 0600) ::fchmod(fd->get(), 0600);
    }
    return file;
}

int InstanceFile::lock(Lock which) {
    struct flock range {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_start = which == Lock::Keeper ? 0 : 1;
    range.l_len = 1;
    const int fd = which == Lock::Keeper ? keeper_.get() : arbiter_.get();
    if (::fcntl(fd, F_OFD_SETLK, &range) == 0) return 0;
    return errno == EACCES ? EAGAIN : errno;
}

InstanceHeader InstanceFile::header() const {
    return InstanceHeader::parse(get_at(arbiter_.get(), 0, kHeaderSize), boot_id());
}

Status InstanceFile::write(const InstanceHeader& header) {
    if (put_at(arbiter_.get(), header.to_text(), 0)) return Ok{};
    return sys_error(cat("cannot write to the lock file ", path_), errno);
}

std::vector<ChildRow> InstanceFile::rows() const {
    std::vector<ChildRow> out;
    for (std::size_t row = 0; row < kMostRows; ++row) {
        const std::string text = get_at(arbiter_.get(), row_at(row), kRowSize);
        if (text.empty()) break;
        if (auto parsed = ChildRow::parse(text)) out.push_back(*parsed);
    }
    return out;
}

void InstanceFile::clear_rows() {
    const std::vector<SocketRow> kept = sockets();
    used_.clear();
    free_.clear();
    socket_places_.clear();
    size_ = 0;
    [[maybe_unused]] const int done = ::ftruncate(arbiter_.get(), kHeaderSize);
    set_sockets(kept);
}

std::vector<SocketRow> InstanceFile::sockets() const {
    std::vector<SocketRow> out;
    for (std::size_t row = 0; row < kMostRows; ++row) {
        const std::string text = get_at(arbiter_.get(), row_at(row), kRowSize);
        if (text.empty()) break;
        if (auto parsed = SocketRow::parse(text)) out.push_back(*parsed);
    }
    return out;
}

// The new ones first: whoever dies in between leaves too many, which does no harm.
void InstanceFile::set_sockets(const std::vector<SocketRow>& sockets) {
    const std::vector<std::size_t> before = std::exchange(socket_places_, {});
    for (const SocketRow& socket : sockets) {
        socket_places_.push_back(take_place());
        put_at(arbiter_.get(), socket.to_text(), row_at(socket_places_.back()));
    }
    for (const std::size_t place : before) {
        put_at(arbiter_.get(), line({}, kRowSize), row_at(place));
        free_.push_back(place);
    }
}

std::size_t InstanceFile::take_place() {
    if (free_.empty()) return size_++;
    const std::size_t place = free_.back();
    free_.pop_back();
    return place;
}

bool InstanceFile::put(const ChildRow& row) {
    auto at = used_.find(row.child);
    if (at == used_.end()) at = used_.emplace(row.child, take_place()).first;
    return put_at(arbiter_.get(), row.to_text(), row_at(at->second));
}

void InstanceFile::remove(std::uint64_t child) {
    const auto at = used_.find(child);
    if (at == used_.end()) return;
    put_at(arbiter_.get(), line({}, kRowSize), row_at(at->second));
    free_.push_back(at->second);
    used_.erase(at);
}

void InstanceFile::adopt_rows() {
    used_.clear();
    free_.clear();
    socket_places_.clear();
    for (size_ = 0; size_ < kMostRows; ++size_) {
        const std::string text = get_at(arbiter_.get(), row_at(size_), kRowSize);
        if (text.empty()) break;
        if (const auto row = ChildRow::parse(text))
            used_[row->child] = size_;
        else if (SocketRow::parse(text))
            socket_places_.push_back(size_);
        else
            free_.push_back(size_);
    }
}

}  // namespace circus::sys
