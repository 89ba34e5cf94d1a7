// Handover: the bounded queue between the pump's thread and a LoopSink; HandoverSink: its end on the pump's
// side.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/unique_fd.hpp"
#include "stream/loop_sink.hpp"
#include "stream/sink.hpp"

namespace circus::stream {

class Handover {
  public:
    // `tell_loop`: there are chunks, or the pump's side is gone; called on the pump's thread.
    Handover(std::string key, StreamSpec spec, std::function<void()> tell_loop)
        : key_(std::move(key)), spec_(std::move(spec)), tell_loop_(std::move(tell_loop)) {}

    const std::string& key() const { return key_; }
    const StreamSpec& spec() const { return spec_; }

    // ---- the loop's thread ----
    std::vector<Chunk> take();
    void passed(std::size_t bytes);       // on to the LoopSink
    void set_reason(std::string nobody);  // why nobody takes them; empty: somebody does
    bool is_over();                       // the pump's side is gone, and nothing is left in it
    bool has_chunks();
    bool has_reason();       // of set_reason()
    void take_everything();  // from now on, whatever the size: it is about to end

  private:
    friend class HandoverSink;
    const std::string key_;
    const StreamSpec spec_;
    const std::function<void()> tell_loop_;

    std::mutex mutex_;  // all below
    std::vector<Chunk> chunks_;
    std::size_t bytes_ = 0;  // in chunks_, and taken but not passed on
    bool told_ = false;
    bool pump_waits_ = false;
    bool is_over_ = false;
    bool takes_everything_ = false;
    std::string reason_;
    UniqueFd wake_;  // the pump's eventfd
};

class HandoverSink final : public Sink {
  public:
    HandoverSink(std::shared_ptr<Handover> handover, int wake, Report report);
    ~HandoverSink() override;

    bool is_ready() const override;
    bool continues(PipeId) const override { return false; }
    std::uint64_t dropped() const override { return absent_.lost_ever() + slow_.lost_ever(); }
    void write(PipeId owner, std::string_view first, std::string_view second, bool ends_line) override;
    void resume(TimePoint now) override;
    std::optional<TimePoint> next_time() const override;
    int wait_fd() const override { return -1; }
    bool is_empty() const override { return true; }  // what it has is the loop's
    void reopen() override {}
    void give_up() override;
    bool wakes_pump() const override { return true; }
    void joined(PipeId pipe, pid_t pid) override { pids_[pipe] = pid; }
    void left(PipeId pipe) override { pids_.erase(pipe); }

  private:
    const std::shared_ptr<Handover> handover_;  // with the loop's side
    const Report report_;
    const std::string target_;
    std::unordered_map<PipeId, pid_t> pids_;
    Condition absent_, slow_;
    std::optional<TimePoint> absent_from_;  // when it is told that nobody takes the lines
};

}  // namespace circus::stream
