// FileSink: appends to a file, rotates it, outlives full disks, missing directories and whoever renames or
// removes it from outside.
//
// Before a line would make the file reach max_bytes, or when its period is over, the file becomes a backup
// (backups.hpp) and a new one is opened. Where that fails the file at hand just grows, until it succeeds:
// lines are worth more than a limit. A file that is watched is looked for by its name before each batch, and
// opened anew when another one, or none, is found there.
//
// The clock on the wall decides about periods and names, no timer does. Set forward it ends the period; set
// back it begins the period that it shows, and the file is used further.
//
// Four conditions may last, each reported when it begins and when it ends: the file cannot be opened or
// written
// (`writing_`: the backlog fills, then bytes are dropped and counted); it is a FIFO or a terminal whose
// reader is slow, and dying workers or those that must not wait left more than the backlog holds (`slow_`);
// it cannot be rotated or opened anew (`rotating_`: nothing is lost); an old file cannot be compressed
// (`packing_`: it stays as it is).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>

#include "base/unique_fd.hpp"
#include "stream/backups.hpp"
#include "stream/sink.hpp"

namespace circus::stream {

class FileSink final : public Sink {
  public:
    struct Rules {
        std::uint64_t max_bytes = 0;
        BackupRules backups;
        bool watched = false;
    };

    FileSink(std::string path, Report report, Compressor& compressor);

    void set_rules(const Rules& rules);

    bool is_ready() const override { return backlog_.empty() || writing_.is_active(); }
    bool continues(PipeId owner) const override { return open_line_.is_of(owner); }
    std::uint64_t dropped() const override { return writing_.lost_ever() + slow_.lost_ever(); }
    void write(PipeId owner, std::string_view first, std::string_view second, bool ends_line) override;
    void resume(TimePoint now) override;
    std::optional<TimePoint> next_time() const override;
    int wait_fd() const override;
    bool is_empty() const override { return backlog_.empty(); }
    void reopen() override;
    void give_up() override;
    Journal::Place place() override;
    Journal::Place place_of_backlog() override;
    std::string unwritten() const override { return backlog_; }
    void resume_behind(const Journal::Place& place) override;
    bool is_busy() const override { return backups_.is_compressing(); }
    bool wakes_pump() const override { return rules_.backups.compress; }

  private:
    bool rotates_by_size() const {
        return rules_.max_bytes > 0 && rules_.backups.count > 0 && !rules_.backups.schedule && is_regular_;
    }
    bool would_overflow(std::size_t bytes) const { return size_ + bytes >= rules_.max_bytes; }
    bool is_rotating() const { return backups_.is_moving() || opens_anew_; }
    bool open();
    void use(UniqueFd fd);
    void look_around();
    void look_for_the_name();
    void look_at_the_clock();
    void emit(std::string_view data);
    std::size_t piece_that_fits(std::string_view data);
    std::size_t write_some(const std::string_view* parts, std::size_t count);
    void fail(std::string text);
    bool rotate();
    bool rotation_fails(std::string text);
    // With what stands before them to end another's line.
    using Parts = std::array<std::string_view, 3>;
    void put(PipeId owner, const Parts& parts, bool ends_line);
    void put_rest(PipeId owner, std::string_view joined, bool ends_line);
    std::size_t find_in_file(std::string_view text);
    Journal::Place here() const;
    void tell_place() const {
        if (moved && backlog_.empty()) moved(here());
    }

    const std::string path_;
    const Report report_;
    UniqueFd fd_;
    bool is_regular_ = false;
    std::uint64_t size_ = 0;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    Rules rules_;
    bool looks_around_ = false;  // before each batch
    OpenLine open_line_;

    // Since place(): whole pieces, and of the one under way lines that are in files before this one (-1: the
    // line that was ended first) and bytes that emit() is done with.
    std::uint64_t pieces_ = 0;
    std::int64_t lines_ = 0;
    std::uint64_t bytes_ = 0;

    // Of what comes next was written by another process: to files before this one, and to this one.
    bool resumes_ = false;
    Journal::Place before_;
    std::string found_;
    std::string backlog_;
    bool is_full_ = false;  // a FIFO or a terminal that takes no more now
    Condition writing_, slow_;
    bool failed_ = false;  // the last attempt
    TimePoint retry_write_{};

    Backups backups_;
    Schedule::Period period_;
    bool opens_anew_ = false;  // the file at hand serves until the one of its name is open
    Condition rotating_, packing_;
    TimePoint retry_rotate_{};
};

}  // namespace circus::stream
