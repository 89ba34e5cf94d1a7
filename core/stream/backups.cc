#include "stream/backups.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <memory>
#include <unistd.h>
#include <vector>

#include "base/text.hpp"
#include "base/unique_fd.hpp"

namespace circus::stream {

namespace {

constexpr std::string_view kPacked = ".gz";

// The names of the backups by date of the file `log`: period and number among those of the same period, with
// the names of the one or two files (an interrupted compression leaves both).
using Dated = std::map<std::pair<std::string, long long>, std::vector<std::string>>;

Dated dated_backups(int directory, const std::string& log, const Schedule& schedule) {
    const std::string prefix = log + ".";
    Dated found;
    const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(fd < 0 ? nullptr : fdopendir(fd), closedir);
    if (!entries && fd >= 0) close(fd);
    while (const dirent* entry = entries ? readdir(entries.get()) : nullptr) {
        const std::string name = entry->d_name;
        if (!name.starts_with(prefix)) continue;
        std::string_view rest = std::string_view(name).substr(prefix.size());
        if (rest.ends_with(kPacked)) rest.remove_suffix(kPacked.size());
        const std::size_t dot = rest.find('.');
        const auto number = dot == rest.npos ? std::optional(0LL) : parse_int(rest.substr(dot + 1));
        if (!number || !schedule.is_suffix(rest.substr(0, dot))) continue;
        found[{std::string(rest.substr(0, dot)), *number}].push_back(name);
    }
    return found;
}

}  // namespace

Backups::~Backups() {
    give_up();
}

void Backups::give_up() {
    if (job_) job_->give_up();
    job_.reset();
}

// Anew before each use: somebody may have moved a directory, or put a link in its place.
Status Backups::locate() {
    auto place = sys::place_of(path_);
    if (!place) return Error{cat("cannot move \"", path_, "\": ", place.error().text), place.error().code};
    place_ = std::move(*place);
    return Ok{};
}

std::string Backups::numbered(int number) const {
    return number == 0 ? place_.name : cat(place_.name, ".", number);
}

bool Backups::is_there(const std::string& name) const {
    return faccessat(place_.directory.get(), name.c_str(), F_OK, 0) == 0;
}

void Backups::remove(const std::string& name) const {
    unlinkat(place_.directory.get(), name.c_str(), 0);
}

// For errors.
std::string Backups::whole(const std::string& name) const {
    return cat(std::string_view(path_).substr(0, path_.rfind('/') + 1), name);
}

void Backups::set_rules(const BackupRules& rules) {
    // A move that is under way goes on where it stands, but not beyond the new number of backups.
    const bool by_date = rules.schedule.has_value();
    if (by_date != rules_.schedule.has_value()) {
        step_ = kAtRest;
        give_up();
    }
    if (!by_date) step_ = std::min(step_, rules.count - 1);
    rules_ = rules;
    if (!rules_.compress) give_up();
    compress();
}

void Backups::begin(time_t period_begin) {
    if (is_moving()) return;
    period_begin_ = period_begin;
    step_ = rules_.schedule ? 0 : rules_.count - 1;
    oldest_goes_ = !rules_.schedule;
}

Status Backups::move_on() {
    if (!is_moving()) return Ok{};
    if (Status located = locate(); !located) return located;
    Status moved = rules_.schedule ? move_by_date() : move_by_number();
    if (moved) step_ = kAtRest;
    return moved;
}

Status Backups::move(const std::string& from, const std::string& to) const {
    const int in = place_.directory.get();
    if (renameat(in, from.c_str(), in, to.c_str()) == 0 || errno == ENOENT) return Ok{};
    return sys_error(cat("cannot rename \"", whole(from), "\" to \"", whole(to), "\""), errno);
}

Status Backups::move_by_number() {
    // The oldest goes first, and once: ext4 writes a file out at once when it replaces another by rename
    // (ext4(5), auto_da_alloc), and each rotation would wait for the disk. What is wrong with it rename()
    // will tell.
    if (std::exchange(oldest_goes_, false)) {
        const std::string oldest = numbered(rules_.count);
        remove(oldest);
        remove(cat(oldest, kPacked));
    }
    for (; step_ >= 0; --step_) {
        const std::string from = numbered(step_), to = numbered(step_ + 1);
        if (job_ && job_number_ == step_ + 1) give_up();  // its original is replaced
        if (Status moved = move(from, to); !moved) return moved;
        if (step_ > 0)
            if (Status moved = move(cat(from, kPacked), cat(to, kPacked)); !moved) return moved;
        if (job_ && job_number_ == step_) ++job_number_;
    }
    return Ok{};
}

Status Backups::move_by_date() {
    if (Status moved = move(place_.name, free_name()); !moved) return moved;
    remove_surplus();
    return Ok{};
}

std::string Backups::free_name() const {
    const std::string name = cat(place_.name, ".", rules_.schedule->suffix(period_begin_));
    std::string free = name;
    for (int n = 1; is_there(free) || is_there(cat(free, kPacked)); ++n) free = cat(name, ".", n);
    return free;
}

void Backups::remove_surplus() const {
    if (rules_.count <= 0) return;
    const Dated found = dated_backups(place_.directory.get(), place_.name, *rules_.schedule);
    std::size_t surplus = found.size() - std::min(found.size(), static_cast<std::size_t>(rules_.count));
    for (auto at = found.begin(); surplus > 0; ++at, --surplus)
        for (const std::string& name : at->second) remove(name);
}

// Empty: there is none.
std::string Backups::youngest_plain(int* number) const {
    if (!rules_.schedule) {
        for (*number = 1; *number <= rules_.count; ++*number)
            if (const std::string name = numbered(*number); is_there(name)) return name;
        return {};
    }
    const Dated found = dated_backups(place_.directory.get(), place_.name, *rules_.schedule);
    for (auto at = found.rbegin(); at != found.rend(); ++at)
        for (const std::string& name : at->second)
            if (!name.ends_with(kPacked)) return name;
    return {};
}

void Backups::compress() {
    // While a move waits for its next step one of the numbers may be free, or not be what it says.
    if (!rules_.compress || job_ || is_moving() || !locate()) return;
    job_name_ = youngest_plain(&job_number_);
    if (job_name_.empty()) return;
    const int in = place_.directory.get();
    UniqueFd from(openat(in, job_name_.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    // Somebody took it away, or it is none of ours: then it is left as it is.
    if (!from) return;
    const std::string packed = cat(place_.name, kPacked, ".tmp");
    job_ =
        compressor_.start(std::move(from), {UniqueFd(fcntl(in, F_DUPFD_CLOEXEC, 0)), packed, whole(packed)});
}

std::optional<Status> Backups::compressed() {
    if (!job_ || !job_->is_done()) return std::nullopt;
    const auto job = std::exchange(job_, nullptr);
    if (!job->status()) return job->status();
    const Status located = locate();
    const std::string plain = rules_.schedule ? job_name_ : numbered(job_number_);
    const std::string packed = cat(plain, kPacked);
    const Compressor::Target& to = job->to();
    // Removed meanwhile, as surplus or from outside: then nobody wants it.
    if (!located || !is_there(plain)) {
        to.remove();
    } else if (renameat(to.directory.get(), to.name.c_str(), place_.directory.get(), packed.c_str()) != 0) {
        const Status failed =
            sys_error(cat("cannot rename \"", to.shown, "\" to \"", whole(packed), "\""), errno);
        to.remove();
        return failed;
    } else {
        remove(plain);
    }
    if (!located) return located;
    compress();
    return Ok{};
}

}  // namespace circus::stream
