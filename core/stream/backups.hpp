// Backups: the old files of one log. By number, FILE.4 becomes FILE.5 … and FILE becomes FILE.1; by date,
// FILE becomes FILE.SUFFIX, and FILE.SUFFIX.1 where that is taken (an hour that comes twice, a clock that was
// set back). Either may be followed by .gz. Owned by FileSink, on the pump's thread.
//
// Making room for a new FILE is a sequence of steps that is resumed where it stood: a rename that fails today
// is the next one tried, so no backup is moved twice.
//
// Compressing goes on beside it (Compressor): into FILE.gz.tmp, which takes the name of its original, with
// .gz, when it is complete; then the original goes. So whatever happens in between there is a file that can
// be read. One file at a time, the youngest that is not compressed; it is followed when it is moved
// meanwhile.
//
// Nothing is renamed or removed through a link that somebody has planted (sys/trusted_path.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/result.hpp"
#include "stream/compressor.hpp"
#include "stream/schedule.hpp"
#include "sys/trusted_path.hpp"

namespace circus::stream {

struct BackupRules {
    int count = 0;                     // that are kept; by date, 0: all
    std::optional<Schedule> schedule;  // by date, else by number
    bool compress = false;
};

class Backups {
  public:
    Backups(std::string path, Compressor& compressor) : path_(std::move(path)), compressor_(compressor) {}
    ~Backups();
    Backups(const Backups&) = delete;
    Backups& operator=(const Backups&) = delete;

    void set_rules(const BackupRules& rules);
    const BackupRules& rules() const { return rules_; }

    // FILE is to become a backup: by date, that of the period which began then.
    void begin(time_t period_begin);
    bool is_moving() const { return step_ >= 0; }
    // Goes on until FILE's name is free. An error: what could not be done; call again later.
    Status move_on();

    // Compresses what there is to compress, unless it is under way.
    void compress();
    bool is_compressing() const { return job_ != nullptr; }
    // What became of a compression that is done; nothing: none is.
    std::optional<Status> compressed();

  private:
    static constexpr int kAtRest = -1;
    Status locate();
    std::string numbered(int number) const;
    bool is_there(const std::string& name) const;
    void remove(const std::string& name) const;
    std::string whole(const std::string& name) const;
    Status move(const std::string& from, const std::string& to) const;
    Status move_by_number();
    Status move_by_date();
    std::string free_name() const;
    void remove_surplus() const;
    std::string youngest_plain(int* number) const;
    void give_up();

    const std::string path_;
    Compressor& compressor_;
    BackupRules rules_;
    sys::Place place_;          // of path_; names are looked up in its directory alone
    int step_ = kAtRest;        // by number: the file that is moved next, count - 1 … 0
    bool oldest_goes_ = false;  // by number: before the first step
    time_t period_begin_ = 0;

    std::shared_ptr<Compressor::Job> job_;
    int job_number_ = 0;    // by number: where its original is now
    std::string job_name_;  // by date
};

}  // namespace circus::stream
