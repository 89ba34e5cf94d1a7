// Changes: tells by inotify which of a set of files are there anew, and complete.
//
// Two kinds of watches: on the directories of each file's trail, for names that come and go, and on the file
// itself, for writes by whatever name. A file counts as being written from its creation or a write to the
// close that follows; a file that is moved into place, or linked, is whole. It has changed when its signature
// is another one than at the last report, and nothing happened to it for `quiet`; a writer that keeps a file
// open and silent is believed to be through after kSilence times that.
//
// Passive: the owner calls read() when fd() is readable, and take_changed() at next_look(). One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "trail.hpp"

namespace command_reloader {

using Time = std::chrono::nanoseconds;  // of a monotonic clock

class Changes {
  public:
    static constexpr int kSilence = 10;

    // Throws std::system_error.
    explicit Changes(Time quiet);
    ~Changes();
    Changes(const Changes&) = delete;
    Changes& operator=(const Changes&) = delete;

    int fd() const { return fd_; }
    // What is watched: these paths and no others; true: a program, which must be executable. Those that are
    // watched already go on as they are.
    void set(const std::map<std::string, bool>& paths);
    void read(Time now);
    // Nothing: nothing is under way.
    std::optional<Time> next_look() const;
    std::vector<std::string> take_changed(Time now);
    // Directories that could not be watched, the first one's name and why; empty: none.
    const std::string& trouble() const { return trouble_; }

  private:
    struct Target {
        bool program = false;
        Trail trail;
        std::optional<Signature> known;  // as it was reported, or found at first
        bool writing = false;
        std::optional<Time> touched;  // the last that happened, until it is reported
    };
    struct Watch {
        std::multimap<std::string, std::string> names;  // in a directory: name -> path of a target
        std::set<std::string> files;                    // the file itself: paths of targets
    };

    void on_event(int wd, std::uint32_t mask, const std::string& name, Time now);
    void touch(const std::string& path, std::uint32_t mask, bool last, Time now);
    void watch_all();
    int add(const std::string& path, std::uint32_t mask);

    const Time quiet_;
    int fd_ = -1;
    std::map<std::string, Target> targets_;  // by path as written
    std::map<int, Watch> watches_;
    std::string trouble_;
};

}  // namespace command_reloader
