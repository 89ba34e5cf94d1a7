#include "stream/file_sink.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/text.hpp"
#include "stream/open_log.hpp"
#include "stream/pipe.hpp"

namespace circus::stream {

FileSink::FileSink(std::string path, Report report, Compressor& compressor)
    : path_(std::move(path)), report_(std::move(report)), backups_(path_, compressor) {
    open();
}

void FileSink::set_rules(const Rules& rules) {
    const bool other_schedule = rules.backups.schedule != rules_.backups.schedule;
    rules_ = rules;
    backups_.set_rules(rules.backups);
    if (!rules.backups.compress) packing_.end(report_, path_);
    looks_around_ = rules.watched || rules.backups.schedule;
    if (fd_ && other_schedule) use(std::move(fd_));
}

bool FileSink::open() {
    auto opened = open_log(path_);
    if (!opened) {
        fail(opened.error().text);
        return false;
    }
    use(std::move(*opened));
    return true;
}

void FileSink::use(UniqueFd fd) {
    fd_ = std::move(fd);
    struct stat about {};
    is_regular_ = fstat(fd_.get(), &about) == 0 && S_ISREG(about.st_mode);
    size_ = is_regular_ ? static_cast<std::uint64_t>(about.st_size) : 0;
    device_ = about.st_dev;
    inode_ = about.st_ino;
    // What is in it already is of the period in which it was last written.
    if (rules_.backups.schedule)
        period_ = rules_.backups.schedule->period_of(size_ > 0 ? about.st_mtime : time(nullptr));
}

void FileSink::look_around() {
    if (!fd_ || !is_regular_ || is_rotating()) return;
    if (rules_.watched) look_for_the_name();
    if (rules_.backups.schedule) look_at_the_clock();
}

void FileSink::look_for_the_name() {
    struct stat named {};
    if (stat(path_.c_str(), &named) == 0) {
        if (named.st_dev == device_ && named.st_ino == inode_) return;
    } else if (errno != ENOENT && errno != ENOTDIR) {
        return;
    }
    reopen();
}

void FileSink::look_at_the_clock() {
    const time_t now = time(nullptr);
    if (period_.holds(now)) return;
    if (size_ == 0 || now < period_.begin) {
        period_ = rules_.backups.schedule->period_of(now);
        return;
    }
    backups_.begin(period_.begin);
    rotate();
}

void FileSink::write(PipeId owner, std::string_view first, std::string_view second, bool ends_line) {
    const std::array<std::string_view, 3> parts{open_line_.separator(owner), first, second};
    const std::size_t total = parts[0].size() + first.size() + second.size();
    if (total == 0) return;
    if (!found_.empty()) return write_rest(owner, cat(parts[0], first, second), ends_line);
    if (looks_around_) look_around();
    if (!fd_ || !backlog_.empty() || writing_.is_active()) {
        // Whole or not at all, so that what is dropped are whole lines.
        if (!backlog_.empty() && backlog_.size() + total > kMaxBacklog) {
            Condition& condition = writing_.is_active() ? writing_ : slow_;
            condition.begin(report_, path_, cat("\"", path_, "\" does not take bytes fast enough"));
            condition.lose(first.size() + second.size());
            return;
        }
        open_line_.wrote(owner, ends_line);
        for (const auto part : parts) backlog_ += part;
        return;
    }
    open_line_.wrote(owner, ends_line);
    if (!rotates_by_size() || (!is_rotating() && !would_overflow(total))) {
        std::size_t done = write_some(parts.data(), parts.size());
        for (const auto part : parts) {
            const std::size_t skip = std::min(done, part.size());
            backlog_ += part.substr(skip);
            done -= skip;
        }
        return;
    }
    // The one batch that crosses the limit is worth a copy: it is cut at its lines.
    std::string joined;
    joined.reserve(total);
    for (const auto part : parts) joined += part;
    emit(joined);
}

Journal::Place FileSink::place() const {
    if (!fd_ || !is_regular_ || !backlog_.empty() || is_rotating()) return {};
    return {device_, inode_, size_};
}

void FileSink::resume_behind(const Journal::Place& place) {
    if (!fd_ || !is_regular_ || place.device != device_ || place.inode != inode_ || size_ <= place.size)
        return;
    const std::uint64_t count = std::min<std::uint64_t>(size_ - place.size, kReadSize + kMaxLine);
    const UniqueFd file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    found_.resize(count);
    const ssize_t got = file ? pread(file.get(), found_.data(), count, static_cast<off_t>(place.size)) : 0;
    found_.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
}

// What comes is, or begins with, what is in the file already. With the time before each line it may differ in
// that: then the lines count, and one that was cut short is taken back.
void FileSink::write_rest(PipeId owner, const std::string& joined, bool ends_line) {
    const std::string found = std::exchange(found_, {});
    std::size_t done = 0;
    if (joined.starts_with(found)) {
        done = found.size();
    } else if (found.size() <= joined.size()) {
        const std::size_t whole = found.rfind('\n') + 1;
        for (auto lines = std::count(found.begin(), found.end(), '\n'); lines > 0; --lines)
            done = std::min(joined.find('\n', done), joined.size() - 1) + 1;
        const std::uint64_t cut = size_ - (found.size() - whole);
        if (cut < size_ && ftruncate(fd_.get(), static_cast<off_t>(cut)) == 0) size_ = cut;
    }
    if (done < joined.size())
        write(owner, std::string_view(joined).substr(done), {}, ends_line);
    else
        open_line_.wrote(owner, ends_line);
}

// Writes all of it, rotating where due; what cannot be written goes to the backlog.
void FileSink::emit(std::string_view data) {
    while (!data.empty()) {
        const std::size_t piece = rotates_by_size() ? piece_that_fits(data) : data.size();
        const std::string_view part = data.substr(0, piece);
        const std::size_t done = write_some(&part, 1);
        data.remove_prefix(done);
        if (done < piece) {
            backlog_ += data;
            return;
        }
    }
}

// How much of `data`, in whole lines, this file still takes: rotates first when that is nothing.
std::size_t FileSink::piece_that_fits(std::string_view data) {
    if (!is_rotating() && !would_overflow(data.size())) return data.size();
    // Somebody may have truncated it meanwhile (logrotate's copytruncate).
    struct stat about {};
    if (!is_rotating() && fstat(fd_.get(), &about) == 0) size_ = static_cast<std::uint64_t>(about.st_size);
    for (;;) {
        if (!is_rotating()) {
            if (!would_overflow(data.size())) return data.size();
            const std::uint64_t room = size_ + 1 < rules_.max_bytes ? rules_.max_bytes - 1 - size_ : 0;
            const void* newline = memrchr(data.data(), '\n', std::min<std::uint64_t>(room, data.size()));
            if (newline) return static_cast<std::size_t>(static_cast<const char*>(newline) - data.data()) + 1;
            // One line that is longer than a file may be has a file of its own.
            if (size_ == 0) return std::min(data.find('\n'), data.size() - 1) + 1;
            backups_.begin(0);
        }
        if (!rotate()) return data.size();
    }
}

// Until everything is written, or nothing can be for now. The bytes written.
std::size_t FileSink::write_some(const std::string_view* parts, std::size_t count) {
    std::array<iovec, 3> vectors{};
    std::size_t first = 0;
    for (std::size_t i = 0; i < count; ++i)
        vectors[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
    std::size_t total = 0;
    while (first < count) {
        if (vectors[first].iov_len == 0) {
            ++first;
            continue;
        }
        ssize_t n = writev(fd_.get(), &vectors[first], static_cast<int>(count - first));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            is_full_ = true;
            break;
        }
        if (n <= 0) {
            fail(sys_error(cat("cannot write to \"", path_, "\""), n == 0 ? EIO : errno).text);
            break;
        }
        total += static_cast<std::size_t>(n);
        size_ += static_cast<std::uint64_t>(n);
        for (auto left = static_cast<std::size_t>(n); left > 0;) {
            const std::size_t step = std::min(left, vectors[first].iov_len);
            vectors[first].iov_base = static_cast<char*>(vectors[first].iov_base) + step;
            vectors[first].iov_len -= step;
            left -= step;
            if (vectors[first].iov_len == 0) ++first;
        }
    }
    return total;
}

void FileSink::fail(std::string text) {
    failed_ = true;
    retry_write_ = Monotonic::now() + kSinkRetry;
    writing_.begin(report_, path_, std::move(text));
}

void FileSink::resume(TimePoint now) {
    if (is_full_ || (writing_.is_active() && now >= retry_write_)) {
        is_full_ = false;
        failed_ = false;
        // emit() keeps again what is still too much.
        if (fd_ || open()) emit(std::exchange(backlog_, {}));
        if (!failed_) writing_.end(report_, path_);
    }
    if (backlog_.empty() && now >= slow_.calm_at()) slow_.end(report_, path_);
    if (const auto packed = backups_.compressed(); packed && *packed)
        packing_.end(report_, path_);
    else if (packed)
        packing_.begin(report_, path_, packed->error().text);
    if (rotating_.is_active() && now >= retry_rotate_) rotate();
}

std::optional<TimePoint> FileSink::next_time() const {
    std::optional<TimePoint> next;
    const auto consider = [&next](TimePoint when) { next = next ? std::min(*next, when) : when; };
    if (writing_.is_active()) consider(retry_write_);
    if (rotating_.is_active()) consider(retry_rotate_);
    if (slow_.is_active() && backlog_.empty()) consider(slow_.calm_at());
    return next;
}

int FileSink::wait_fd() const {
    return is_full_ ? fd_.get() : -1;
}

// Goes on where it stands. False: it has to wait, and the file at hand is used further.
bool FileSink::rotate() {
    if (rotating_.is_active() && Monotonic::now() < retry_rotate_) return false;
    const bool makes_a_backup = backups_.is_moving();
    if (Status moved = backups_.move_on(); !moved) return rotation_fails(moved.error().text);
    opens_anew_ = true;
    auto opened = open_log(path_);
    if (!opened) return rotation_fails(opened.error().text);
    opens_anew_ = false;
    use(std::move(*opened));
    rotating_.end(report_, path_);
    if (makes_a_backup) backups_.compress();
    return true;
}

bool FileSink::rotation_fails(std::string text) {
    retry_rotate_ = Monotonic::now() + kSinkRetry;
    rotating_.begin(report_, path_, std::move(text));
    return false;
}

void FileSink::reopen() {
    if (!fd_) return;  // being tried each second already
    struct stat about {};
    if (fstat(fd_.get(), &about) == 0 && S_ISREG(about.st_mode) && about.st_nlink == 0) {
        // It has no name any more: what went into it would be lost.
        opens_anew_ = false;
        fd_.reset();
        if (open()) rotating_.end(report_, path_);
        return;
    }
    opens_anew_ = true;
    rotate();
}

void FileSink::give_up() {
    if (!backlog_.empty()) {
        writing_.begin(report_, path_, cat("\"", path_, "\" is closed with bytes not written"));
        writing_.lose(backlog_.size());
        backlog_.clear();
    }
    writing_.end(report_, path_);
    slow_.end(report_, path_);
    rotating_.end(report_, path_);
    packing_.end(report_, path_);
}

}  // namespace circus::stream
