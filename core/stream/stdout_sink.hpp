// StdoutSink: the daemon's stdout. Whoever started the daemon shares this open file description, so it cannot
// be made non-blocking, and a write to it may block for ever: that is the business of a thread of its own,
// which blocks alone. Between it and the pump is the backlog.
#pragma once

#include <memory>

#include "stream/sink.hpp"

namespace circus::stream {

class StdoutSink final : public Sink {
  public:
    // Both descriptors are duplicated. `wake`: the pump's eventfd, counted up when the sink has become ready
    // or empty, or when something is to be reported: then call resume().
    StdoutSink(int fd, int wake, Report report);
    ~StdoutSink() override;

    bool is_ready() const override;
    bool continues(PipeId owner) const override { return open_line_.is_of(owner); }
    std::uint64_t dropped() const override { return writing_.lost_ever() + slow_.lost_ever(); }
    void write(PipeId owner, std::string_view first, std::string_view second, bool ends_line) override;
    void resume(TimePoint now) override;
    std::optional<TimePoint> next_time() const override;
    int wait_fd() const override { return -1; }
    bool is_empty() const override;
    void reopen() override {}
    void give_up() override;
    std::string unwritten() const override;
    bool wakes_pump() const override { return true; }

  private:
    struct Shared;
    static void run(const std::shared_ptr<Shared>& shared);

    const Report report_;
    std::shared_ptr<Shared> shared_;  // with the thread, which may outlive this
    OpenLine open_line_;
    Condition writing_, slow_;
};

}  // namespace circus::stream
