#include "changes.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/inotify.h>
#include <system_error>
#include <unistd.h>

namespace command_reloader {

namespace {

constexpr std::uint32_t kOfDirectory =
    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CLOSE_WRITE | IN_ONLYDIR;
constexpr std::uint32_t kOfFile = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB;

}  // namespace

Changes::Changes(Time quiet) : quiet_(quiet), fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "inotify");
}

Changes::~Changes() {
    ::close(fd_);
}

void Changes::set(const std::map<std::string, bool>& paths) {
    std::erase_if(targets_, [&](const auto& each) { return !paths.contains(each.first); });
    for (const auto& [path, program] : paths) {
        const auto [at, is_new] = targets_.try_emplace(path);
        at->second.program = program;
        if (is_new) at->second.known = follow(path).file;
    }
    watch_all();
}

int Changes::add(const std::string& path, std::uint32_t mask) {
    const int wd = ::inotify_add_watch(fd_, path.c_str(), mask);
    if (wd < 0 && errno != ENOENT && errno != ENOTDIR && trouble_.empty())
        trouble_ =
            path + ": " +
            (errno == ENOSPC ? "too many watches, see fs.inotify.max_user_watches" : std::strerror(errno));
    return wd;
}

// Follows every path anew and watches what is on its way. What changes between looking and watching would go
// unseen, so it looks once more afterwards.
void Changes::watch_all() {
    constexpr int kMostRounds = 5;
    for (int round = 0; round < kMostRounds; ++round) {
        std::map<int, Watch> wanted;
        for (auto& [path, target] : targets_) {
            target.trail = follow(path);
            for (const auto& [directory, name] : target.trail.steps)
                if (const int wd = add(directory, kOfDirectory); wd >= 0)
                    wanted[wd].names.emplace(name, path);
            if (target.trail.file)
                if (const int wd = add(target.trail.file->path, kOfFile); wd >= 0)
                    wanted[wd].files.insert(path);
        }
        for (const auto& [wd, watch] : watches_)
            if (!wanted.contains(wd)) ::inotify_rm_watch(fd_, wd);
        watches_ = std::move(wanted);
        if (std::all_of(targets_.begin(), targets_.end(),
                        [](const auto& each) { return follow(each.first) == each.second.trail; }))
            return;
    }
}

void Changes::read(Time now) {
    constexpr int kBudget = 16;
    alignas(inotify_event) std::array<char, 16384> buffer;
    for (int i = 0; i < kBudget; ++i) {
        const ssize_t size = ::read(fd_, buffer.data(), buffer.size());
        if (size <= 0) break;
        for (const char* at = buffer.data(); at < buffer.data() + size;) {
            inotify_event event;
            std::memcpy(&event, at, sizeof event);
            at += sizeof event;
            on_event(event.wd, event.mask, event.len > 0 ? std::string(at) : std::string(), now);
            at += event.len;
        }
    }
    if (std::any_of(targets_.begin(), targets_.end(),
                    [&](const auto& each) { return each.second.touched == now; }))
        watch_all();
}

void Changes::on_event(int wd, std::uint32_t mask, const std::string& name, Time now) {
    if ((mask & IN_Q_OVERFLOW) != 0) {
        for (auto& [path, target] : targets_) target.touched = now;
        return;
    }
    const auto watch = watches_.find(wd);
    if (watch == watches_.end()) return;
    for (const std::string& path : watch->second.files) touch(path, mask, true, now);
    const auto [from, to] = watch->second.names.equal_range(name);
    for (auto at = from; at != to; ++at) {
        const auto& steps = targets_.at(at->second).trail.steps;
        touch(at->second, mask, !steps.empty() && steps.back().name == name, now);
    }
}

// `last`: it is the file itself, not a name on the way to it.
void Changes::touch(const std::string& path, std::uint32_t mask, bool last, Time now) {
    Target& target = targets_.at(path);
    target.touched = now;
    if (!last) return;
    if ((mask & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0) target.writing = false;
    if ((mask & IN_MODIFY) != 0) target.writing = true;
    if ((mask & IN_CREATE) != 0) {
        // A symbolic link is whole when it is there, and so is one more name of a file.
        const Trail trail = follow(path);
        const bool is_link =
            !trail.file || trail.links > 1 || trail.steps.back().name != target.trail.steps.back().name;
        target.writing = !is_link;
    }
}

std::optional<Time> Changes::next_look() const {
    std::optional<Time> next;
    for (const auto& [path, target] : targets_) {
        if (!target.touched) continue;
        const Time due = *target.touched + (target.writing ? quiet_ * kSilence : quiet_);
        next = std::min(next.value_or(due), due);
    }
    return next;
}

std::vector<std::string> Changes::take_changed(Time now) {
    std::vector<std::string> changed;
    for (auto& [path, target] : targets_) {
        if (!target.touched || now - *target.touched < (target.writing ? quiet_ * kSilence : quiet_))
            continue;
        target.touched.reset();
        target.writing = false;
        target.trail = follow(path);
        const auto& file = target.trail.file;
        // Not there, empty, or not to be executed yet: whoever is at it will be back.
        if (!file || file->size == 0 || (target.program && !target.trail.executable)) continue;
        if (file == target.known) continue;
        target.known = file;
        changed.push_back(path);
    }
    return changed;
}

}  // namespace command_reloader
