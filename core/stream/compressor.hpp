// Compressor: the thread that gzips old log files, one after the other, with little claim to the CPU. Owned
// and called by Pump's thread, which it never holds up; the thread starts with the first job. Whoever goes
// away leaves an unfinished job behind, which notices and takes its half of a file with it.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace circus::stream {

class Compressor {
  public:
    // A name in a directory.
    struct Target {
        UniqueFd directory;
        std::string name;
        std::string shown;  // all of the path, for errors
        void remove() const;
    };

    // `from` to its end, as gzip, into the new file `to`, which is on the disk when the job is done. A job
    // that fails or is given up leaves no `to`.
    class Job {
      public:
        Job(UniqueFd from, Target to) : from_(std::move(from)), to_(std::move(to)) {}
        const Target& to() const { return to_; }
        bool is_done() const { return state_.load(std::memory_order_acquire) == State::Done; }
        const Status& status() const { return status_; }  // once it is done
        // It is not wanted any more. Whichever of the two comes later removes `to`: this, or the thread.
        void give_up();

      private:
        friend class Compressor;
        enum class State { Open, Done, GivenUp };
        bool is_given_up() const { return state_.load(std::memory_order_relaxed) == State::GivenUp; }
        void finish(Status status);

        UniqueFd from_;
        const Target to_;
        Status status_ = Ok{};
        std::atomic<State> state_ = State::Open;
    };

    // `wake`: an eventfd that is counted up when a job is done; duplicated.
    explicit Compressor(int wake);
    ~Compressor();
    Compressor(const Compressor&) = delete;
    Compressor& operator=(const Compressor&) = delete;

    std::shared_ptr<Job> start(UniqueFd from, Target to);

  private:
    struct Shared;
    Status run();
    static void work(const std::shared_ptr<Shared>& shared);
    static Status carry_out(Job& job, const std::atomic<bool>& ended);

    std::shared_ptr<Shared> shared_;  // with the thread, which may outlive this
    bool runs_ = false;
};

}  // namespace circus::stream
