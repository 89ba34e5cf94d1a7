#include "stream/file_sink.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/text.hpp"
#include "stream/open_log.hpp"
#include "sys/trusted_path.hpp"

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
    tell_place();
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
    const Parts parts{open_line_.separator(owner), first, second};
    if (parts[0].size() + first.size() + second.size() == 0) return;
    lines_ = parts[0].empty() ? 0 : -1;
    bytes_ = 0;
    if (resumes_)
        put_rest(owner, cat(parts[0], first, second), ends_line);
    else
        put(owner, parts, ends_line);
    ++pieces_;
}

void FileSink::put(PipeId owner, const Parts& parts, bool ends_line) {
    const std::size_t total = parts[0].size() + parts[1].size() + parts[2].size();
    if (looks_around_) look_around();
    if (!fd_ || !backlog_.empty() || writing_.is_active()) {
        // Whole or not at all, so that what is dropped are whole lines.
        if (!backlog_.empty() && backlog_.size() + total > kMaxBacklog) {
            Condition& condition = writing_.is_active() ? writing_ : slow_;
            condition.begin(report_, path_, cat("\"", path_, "\" does not take bytes fast enough"));
            condition.lose(parts[1].size() + parts[2].size());
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

// ---- for whoever comes after this process, and behind whoever was before ----

Journal::Place FileSink::here() const {
    Journal::Place place;
    if (fd_ && is_regular_) place = {device_, inode_, size_, 0, 0, 0};
    place.pieces = pieces_;
    place.lines = static_cast<std::uint64_t>(std::max<std::int64_t>(lines_, 0));
    place.bytes = bytes_;
    return place;
}

Journal::Place FileSink::place_of_backlog() {
    pieces_ = 0;
    lines_ = 0;
    bytes_ = 0;
    return here();
}

Journal::Place FileSink::place() {
    const Journal::Place place = place_of_backlog();
    return backlog_.empty() ? place : Journal::Place{};
}

void FileSink::resume_behind(const Journal::Place& place) {
    // Far more than there can be of one batch, with the longest prefixes.
    constexpr std::uint64_t kMost = 16UL * 1024 * 1024;
    before_ = place;
    found_.clear();
    if (fd_ && is_regular_ && place.device == device_ && place.inode == inode_ && size_ > place.size) {
        auto file = sys::open_trusted(path_, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat about {};
        if (file && fstat(file->get(), &about) == 0 && about.st_dev == device_ && about.st_ino == inode_) {
            found_.resize(std::min(size_ - place.size, kMost));
            const ssize_t got =
                pread(file->get(), found_.data(), found_.size(), static_cast<off_t>(place.size));
            found_.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        }
    }
    resumes_ = place.pieces + place.lines + place.bytes > 0 || !found_.empty();
}

// The piece without what was written of it.
void FileSink::put_rest(PipeId owner, std::string_view joined, bool ends_line) {
    if (before_.pieces > 0) {
        --before_.pieces;
        return open_line_.wrote(owner, ends_line);
    }
    std::size_t done = std::min<std::size_t>(std::exchange(before_.bytes, 0), joined.size());
    for (auto lines = std::exchange(before_.lines, 0); lines > 0 && done < joined.size(); --lines)
        done = std::min(joined.find('\n', done), joined.size() - 1) + 1;
    done += find_in_file(joined.substr(done));
    resumes_ = !found_.empty();
    lines_ = std::count(joined.begin(), joined.begin() + static_cast<std::ptrdiff_t>(done), '\n');
    bytes_ = done;
    if (done < joined.size())
        put(owner, Parts{std::string_view(), joined.substr(done), std::string_view()}, ends_line);
    else
        open_line_.wrote(owner, ends_line);
}

// How much of `text` is in the file already. It is what is found there, or begins with it, or what is found
// goes on with the next piece. With the time before each line it may differ in that: then the lines count,
// and one that was cut short is taken back.
std::size_t FileSink::find_in_file(std::string_view text) {
    // What has ended another's line.
    if (found_.starts_with('\n') && !text.starts_with('\n')) found_.erase(0, 1);
    if (std::string_view(found_).starts_with(text)) {
        found_.erase(0, text.size());
        return text.size();
    }
    const std::string found = std::exchange(found_, {});
    if (text.starts_with(found)) return found.size();
    std::size_t done = 0;
    if (found.size() <= text.size()) {
        const std::size_t whole = found.rfind('\n') + 1;
        for (auto lines = std::count(found.begin(), found.end(), '\n'); lines > 0; --lines)
            done = std::min(text.find('\n', done), text.size() - 1) + 1;
        const std::uint64_t cut = size_ - (found.size() - whole);
        if (cut < size_ && ftruncate(fd_.get(), static_cast<off_t>(cut)) == 0) size_ = cut;
    }
    return done;
}

// Writes all of it, rotating where due; what cannot be written goes to the backlog.
void FileSink::emit(std::string_view data) {
    while (!data.empty()) {
        const std::size_t piece = rotates_by_size() ? piece_that_fits(data) : data.size();
        const std::string_view part = data.substr(0, piece);
        const std::size_t done = write_some(&part, 1);
        data.remove_prefix(done);
        bytes_ += done;
        if (!data.empty() && moved) lines_ += std::count(part.begin(), part.end(), '\n');
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
        std::string held = std::exchange(backlog_, {});
        // emit() keeps again what is still too much.
        if (fd_ || open())
            emit(held);
        else
            backlog_ = std::move(held);
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
    tell_place();
    if (const Status free = backups_.move_on(); !free) return rotation_fails(free.error().text);
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
    tell_place();
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
