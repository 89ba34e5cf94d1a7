#include "stream/handover.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <utility>

#include "base/text.hpp"

namespace circus::stream {

namespace {
// Beyond this the pipes wait; below it they are read again.
constexpr std::size_t kEnough = 128 * 1024;
// So long nobody is told that nobody takes the lines, unless some are lost: who offers the class may be on
// its way, as with the daemon's start or when it is restarted.
constexpr Milliseconds kGrace{1000};
}  // namespace

// ---- the loop's side ----

std::vector<Chunk> Handover::take() {
    const std::lock_guard lock(mutex_);
    told_ = false;
    return std::exchange(chunks_, {});
}

void Handover::passed(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    bytes_ -= bytes;
    if (pump_waits_ && bytes_ < kEnough && std::exchange(pump_waits_, false)) eventfd_write(wake_.get(), 1);
}

void Handover::set_reason(std::string nobody) {
    const std::lock_guard lock(mutex_);
    reason_ = std::move(nobody);
    if (wake_) eventfd_write(wake_.get(), 1);
}

bool Handover::is_over() {
    const std::lock_guard lock(mutex_);
    return is_over_ && chunks_.empty();
}

bool Handover::has_chunks() {
    const std::lock_guard lock(mutex_);
    return !chunks_.empty();
}

bool Handover::has_reason() {
    const std::lock_guard lock(mutex_);
    return !reason_.empty();
}

void Handover::take_everything() {
    const std::lock_guard lock(mutex_);
    takes_everything_ = true;
}

// ---- the pump's side ----

HandoverSink::HandoverSink(std::shared_ptr<Handover> handover, int wake, Report report)
    : handover_(std::move(handover)),
      report_(std::move(report)),
      target_(cat(handover_->spec().class_name, " of ", handover_->spec().watcher)) {
    const std::lock_guard lock(handover_->mutex_);
    handover_->wake_.reset(fcntl(wake, F_DUPFD_CLOEXEC, 0));
    handover_->is_over_ = false;
    if (!handover_->reason_.empty()) absent_from_ = Monotonic::now() + kGrace;
}

HandoverSink::~HandoverSink() {
    {
        const std::lock_guard lock(handover_->mutex_);
        handover_->is_over_ = true;
        handover_->wake_.reset();
    }
    handover_->tell_loop_();
}

bool HandoverSink::is_ready() const {
    const std::lock_guard lock(handover_->mutex_);
    const bool ready =
        handover_->takes_everything_ || !handover_->reason_.empty() || handover_->bytes_ < kEnough;
    handover_->pump_waits_ |= !ready;
    return ready;
}

void HandoverSink::write(PipeId owner, std::string_view first, std::string_view second, bool) {
    const std::size_t total = first.size() + second.size();
    if (total == 0) return;
    const auto pid = pids_.find(owner);
    bool tell = false;
    {
        const std::lock_guard lock(handover_->mutex_);
        // What a ready sink is given it takes, whatever the size.
        if (!handover_->takes_everything_ && handover_->bytes_ >= kEnough &&
            handover_->bytes_ + total > kMaxBacklog) {
            if (!handover_->reason_.empty()) absent_.begin(report_, target_, handover_->reason_);
            Condition& condition = absent_.is_active() ? absent_ : slow_;
            condition.begin(report_, target_, cat(target_, " does not take lines fast enough"));
            condition.lose(total);
            return;
        }
        const auto& spec = handover_->spec();
        handover_->chunks_.push_back({spec.watcher, spec.channel, pid == pids_.end() ? 0 : pid->second,
                                      SystemClock().wall(), cat(first, second)});
        handover_->bytes_ += total;
        tell = !std::exchange(handover_->told_, true);
    }
    if (tell) handover_->tell_loop_();
}

std::optional<TimePoint> HandoverSink::next_time() const {
    if (slow_.is_active()) return absent_from_ ? std::min(*absent_from_, slow_.calm_at()) : slow_.calm_at();
    return absent_from_;
}

void HandoverSink::resume(TimePoint now) {
    const std::lock_guard lock(handover_->mutex_);
    if (handover_->reason_.empty()) {
        absent_from_.reset();
        absent_.end(report_, target_);
    } else if (!absent_.is_active()) {
        if (!absent_from_) absent_from_ = now + kGrace;
        if (now >= *absent_from_) {
            absent_from_.reset();
            absent_.begin(report_, target_, handover_->reason_);
        }
    }
    if (now >= slow_.calm_at()) slow_.end(report_, target_);
}

void HandoverSink::give_up() {
    absent_.end(report_, target_);
    slow_.end(report_, target_);
}

}  // namespace circus::stream
