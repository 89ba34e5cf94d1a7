#include "stream/journal.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <new>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/pipe.hpp"
#include "stream/sink.hpp"

namespace circus::stream {

namespace {

enum Phase : std::uint32_t { Idle, Taking, Taken, Writing, Written };

constexpr std::uint64_t kMagic = 0x436a6e6c00000001;  // and the version of what follows
constexpr std::size_t kLines = 4096;
constexpr std::size_t kBacklogs = 32;
constexpr std::size_t kBacklogSize = kMaxBacklog + kReadSize + kMaxLine;
constexpr std::size_t kPage = 4096;

constexpr std::size_t rounded(std::size_t size) {
    return (size + kPage - 1) / kPage * kPage;
}

}  // namespace

struct Journal::Head {
    std::uint64_t magic;
    std::atomic<std::uint32_t> phase;
    std::uint32_t size;
    PipeId pipe;
    std::uint32_t unfinished;  // bytes of the line before the batch
    // What stands before this, and the first numbers of `place`, other versions know as well.
    Place place, other;
    std::atomic<std::uint32_t> in_other;  // which of the two holds
};
struct Journal::LineHead {
    PipeId pipe;
    std::uint32_t size;
    std::uint32_t reserved;
};
struct Journal::BacklogHead {
    std::uint64_t sink;  // of its name
    std::atomic<std::uint64_t> state;
};

namespace {

// The state of a backlog: its size, and these.
constexpr std::uint64_t kSizeMask = 0xffffffff;
constexpr std::uint64_t kOtherText = 1ULL << 32;   // which of its two texts holds
constexpr std::uint64_t kOtherPlace = 1ULL << 33;  // and which of its two places
constexpr std::uint64_t kHasPlace = 1ULL << 34;

// The file, mostly of holes: only what is used takes memory.
constexpr std::size_t kBatchAt = kPage;
constexpr std::size_t kLineHeadsAt = kBatchAt + rounded(kReadSize);
constexpr std::size_t kBacklogHeadsAt = kLineHeadsAt + rounded(kLines * 16);
constexpr std::size_t kLineTextsAt = kBacklogHeadsAt + rounded(kBacklogs * 16);
constexpr std::size_t kBacklogTextsAt = kLineTextsAt + kLines * rounded(kMaxLine);
constexpr std::size_t kOtherTextsAt = kBacklogTextsAt + kBacklogs * rounded(kBacklogSize);
constexpr std::size_t kPlacesAt = kOtherTextsAt + kBacklogs * rounded(kBacklogSize);
constexpr std::size_t kFileSize = kPlacesAt + rounded(kBacklogs * 2 * sizeof(Journal::Place));

}  // namespace

Result<Journal::Parts> Journal::make_parts() {
    Parts parts;
    parts.memory.reset(memfd_create("circus-journal", MFD_CLOEXEC));
    if (!parts.memory || ftruncate(parts.memory.get(), kFileSize) != 0)
        return sys_error("cannot make the journal of the workers' output", errno);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return sys_error("cannot make the journal of the workers' output", errno);
    parts.read_end.reset(ends[0]);
    parts.write_end.reset(ends[1]);
    fcntl(ends[0], F_SETPIPE_SZ, static_cast<int>(kReadSize));
    return parts;
}

Journal::Journal(Parts parts, void* memory)
    : parts_(std::move(parts)),
      memory_(static_cast<char*>(memory)),
      null_(::open("/dev/null", O_WRONLY | O_CLOEXEC)) {}

Journal::~Journal() {
    munmap(memory_, kFileSize);
}

Result<std::unique_ptr<Journal>> Journal::open(Parts parts) {
    // One that an older version has made is shorter.
    struct stat about {};
    if (fstat(parts.memory.get(), &about) != 0 || (static_cast<std::size_t>(about.st_size) < kFileSize &&
                                                   ftruncate(parts.memory.get(), kFileSize) != 0))
        return sys_error("cannot use the journal of the workers' output", errno);
    void* const memory =
        mmap(nullptr, kFileSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, parts.memory.get(), 0);
    if (memory == MAP_FAILED) return sys_error("cannot map the journal of the workers' output", errno);
    std::unique_ptr<Journal> journal(new Journal(std::move(parts), memory));
    Head& head = journal->head();
    if (head.magic != kMagic) {
        new (&head) Head{};
        head.magic = kMagic;
    }
    for (std::size_t at = 0; at < kLines; ++at) {
        // They are used from the first on: the pages behind the last one used are not there.
        const LineHead& line = journal->line(at);
        if (line.pipe != 0) {
            journal->lines_[line.pipe] = at;
            journal->unused_lines_ = at + 1;
        } else if (at % 256 == 0 && at > journal->unused_lines_ + 256) {
            break;
        }
    }
    for (std::size_t at = 0; at < kBacklogs; ++at)
        if (const auto& row = journal->backlog_head(at); (row.state.load() & kSizeMask) != 0)
            journal->backlogs_[row.sink] = at;
    for (std::size_t at = 0; at < journal->unused_lines_; ++at)
        if (journal->line(at).pipe == 0) journal->free_lines_.push_back(at);
    return journal;
}

Journal::Head& Journal::head() const {
    return *reinterpret_cast<Head*>(memory_);
}
Journal::LineHead& Journal::line(std::size_t at) const {
    static_assert(sizeof(LineHead) == 16 && sizeof(BacklogHead) == 16 && sizeof(Head) <= kPage);
    return reinterpret_cast<LineHead*>(memory_ + kLineHeadsAt)[at];
}
char* Journal::line_text(std::size_t at) const {
    return memory_ + kLineTextsAt + at * rounded(kMaxLine);
}
Journal::BacklogHead& Journal::backlog_head(std::size_t at) const {
    return reinterpret_cast<BacklogHead*>(memory_ + kBacklogHeadsAt)[at];
}
char* Journal::backlog_text(std::size_t at, bool other) const {
    return memory_ + (other ? kOtherTextsAt : kBacklogTextsAt) + at * rounded(kBacklogSize);
}
Journal::Place* Journal::backlog_places(std::size_t at) const {
    return reinterpret_cast<Place*>(memory_ + kPlacesAt) + at * 2;
}
char* Journal::batch() const {
    return memory_ + kBatchAt;
}
void Journal::set(std::uint32_t phase) {
    head().phase.store(phase, std::memory_order_release);
}

// ---- a batch ----

// From the journal's pipe into memory: whole, or nothing of it.
bool Journal::drain(std::size_t size) {
    ssize_t got = 0;
    do got = ::read(parts_.read_end.get(), batch(), size);
    while (got < 0 && errno == EINTR);
    return got == static_cast<ssize_t>(size);
}

Journal::Took Journal::take(PipeId pipe, int fd, std::string_view& bytes) {
    Head& now = head();
    now.pipe = pipe;
    const auto line = lines_.find(pipe);
    now.unfinished = line == lines_.end() ? 0 : this->line(line->second).size;
    now.place = {};
    now.in_other.store(0, std::memory_order_relaxed);
    set(Taking);
    ssize_t got = 0;
    do
        got = ::splice(fd, nullptr, parts_.write_end.get(), nullptr, kReadSize,
                       SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        const bool empty = got < 0 && errno == EAGAIN;
        set(Idle);
        return empty ? Took::Nothing : Took::End;
    }
    now.size = static_cast<std::uint32_t>(got);
    set(Taken);
    if (!drain(now.size)) {
        set(Idle);
        return Took::End;
    }
    bytes = {batch(), now.size};
    return Took::Some;
}

void Journal::writing(const Place& place) {
    Head& now = head();
    now.place = place;
    now.in_other.store(0, std::memory_order_release);
    set(Writing);
}

void Journal::moved(const Place& place) {
    Head& now = head();
    const std::uint32_t next = now.in_other.load(std::memory_order_relaxed) ^ 1U;
    (next == 0 ? now.place : now.other) = place;
    now.in_other.store(next, std::memory_order_release);
}

std::optional<std::size_t> Journal::line_of(PipeId pipe) {
    if (const auto at = lines_.find(pipe); at != lines_.end()) return at->second;
    std::size_t free = 0;
    if (!free_lines_.empty()) {
        free = free_lines_.back();
        free_lines_.pop_back();
    } else if (unused_lines_ < kLines) {
        free = unused_lines_++;
    } else {
        return std::nullopt;
    }
    lines_[pipe] = free;
    return free;
}

void Journal::free_line(PipeId pipe) {
    const auto at = lines_.find(pipe);
    if (at == lines_.end()) return;
    LineHead& row = line(at->second);
    if (row.size > kPage) madvise(line_text(at->second), rounded(kMaxLine), MADV_REMOVE);
    row.pipe = 0;
    row.size = 0;
    free_lines_.push_back(at->second);
    lines_.erase(at);
}

void Journal::done(PipeId pipe, std::string_view unfinished, std::size_t grown) {
    set(Written);
    if (unfinished.empty()) {
        free_line(pipe);
    } else if (const auto at = line_of(pipe)) {
        LineHead& row = line(*at);
        // What was there already is not touched: the batch may have to be done once more.
        const std::size_t kept = unfinished.size() - grown;
        std::memcpy(line_text(*at) + kept, unfinished.data() + kept, grown);
        row.size = static_cast<std::uint32_t>(unfinished.size());
        row.pipe = pipe;
    }
    set(Idle);
}

void Journal::forget(PipeId pipe) {
    free_line(pipe);
}

void Journal::backlog(const std::string& sink, std::string_view bytes) {
    const std::uint64_t name = std::hash<std::string>{}(sink);
    const auto known = backlogs_.find(name);
    if (known == backlogs_.end() && bytes.empty()) return;
    std::size_t at = known != backlogs_.end() ? known->second : 0;
    if (known == backlogs_.end()) {
        while (at < kBacklogs && (backlog_head(at).state.load() & kSizeMask) != 0) ++at;
        if (at == kBacklogs) return;  // more sinks are stuck than anybody should have
        backlogs_[name] = at;
        backlog_head(at).sink = name;
    }
    BacklogHead& row = backlog_head(at);
    if (bytes.empty()) {
        row.state.store(0, std::memory_order_release);
        for (const bool other : {false, true})
            madvise(backlog_text(at, other), rounded(kBacklogSize), MADV_REMOVE);
        backlogs_.erase(name);
        return;
    }
    const std::size_t size = std::min(bytes.size(), kBacklogSize);
    const std::uint64_t text = (row.state.load(std::memory_order_relaxed) ^ kOtherText) & kOtherText;
    std::memcpy(backlog_text(at, text != 0), bytes.data(), size);
    row.state.store(text | size, std::memory_order_release);
}

void Journal::writing_backlog(const std::string& sink, const Place& place) {
    const auto known = backlogs_.find(std::hash<std::string>{}(sink));
    if (known == backlogs_.end()) return;
    BacklogHead& row = backlog_head(known->second);
    const std::uint64_t state = row.state.load(std::memory_order_relaxed) ^ kOtherPlace;
    backlog_places(known->second)[(state & kOtherPlace) != 0 ? 1 : 0] = place;
    row.state.store(state | kHasPlace, std::memory_order_release);
}

// ---- what was left ----

std::optional<Journal::Left> Journal::left() {
    Head& now = head();
    const std::uint32_t phase = now.phase.load(std::memory_order_acquire);
    int moved = 0;
    ioctl(parts_.read_end.get(), FIONREAD, &moved);
    if (phase == Idle || (phase == Taking && moved == 0)) {
        set(Idle);
        return std::nullopt;
    }
    if (moved > 0) {
        now.size = static_cast<std::uint32_t>(moved);
        if (!drain(now.size)) return std::nullopt;
    }
    Left left;
    left.pipe = now.pipe;
    left.bytes.assign(batch(), std::min<std::size_t>(now.size, kReadSize));
    left.unfinished = unfinished_of(now.pipe).substr(0, now.unfinished);
    left.writing = phase >= Writing;
    if (left.writing) left.place = now.in_other.load(std::memory_order_acquire) == 0 ? now.place : now.other;
    left.written = phase == Written;
    return left;
}

std::string Journal::unfinished_of(PipeId pipe) const {
    const auto at = lines_.find(pipe);
    if (at == lines_.end()) return {};
    return {line_text(at->second), std::min<std::size_t>(line(at->second).size, kMaxLine)};
}

std::string Journal::backlog_of(const std::string& sink) const {
    const auto at = backlogs_.find(std::hash<std::string>{}(sink));
    if (at == backlogs_.end()) return {};
    const std::uint64_t state = backlog_head(at->second).state.load(std::memory_order_acquire);
    return {backlog_text(at->second, (state & kOtherText) != 0),
            std::min<std::size_t>(state & kSizeMask, kBacklogSize)};
}

Journal::Place Journal::place_of_backlog(const std::string& sink) const {
    const auto at = backlogs_.find(std::hash<std::string>{}(sink));
    if (at == backlogs_.end()) return {};
    const std::uint64_t state = backlog_head(at->second).state.load(std::memory_order_acquire);
    if ((state & kHasPlace) == 0) return {};
    return backlog_places(at->second)[(state & kOtherPlace) != 0 ? 1 : 0];
}

}  // namespace circus::stream
