#include "loop/timer.hpp"

#include <algorithm>

#include "loop/handle_box.hpp"

namespace circus::loop {

struct Timer::Box : HandleBox<uv_timer_t> {
    using HandleBox::HandleBox;
};

namespace {
std::uint64_t to_ms(Duration d) {
    return static_cast<std::uint64_t>(
        std::max<Milliseconds::rep>(0, std::chrono::ceil<Milliseconds>(d).count()));
}
}  // namespace

void Timer::Close::operator()(Box* box) const noexcept {
    box->close();
}

Timer::Timer(Loop& loop, std::function<void()> callback) : box_(new Box(std::move(callback))) {
    uv_timer_init(loop.native(), &box_->handle);
    box_->adopt();
}

void Timer::start(Duration delay, Duration repeat) {
    // libuv counts whole milliseconds of the monotonic clock, cut off, from the loop's cached time: the delay
    // is what lies between that and the first whole millisecond that is not early.
    uv_update_time(box_->handle.loop);
    const auto due = to_ms((Monotonic::now() + std::max(delay, Duration::zero())).time_since_epoch());
    const std::uint64_t cached = uv_now(box_->handle.loop);
    uv_timer_start(
        &box_->handle, [](uv_timer_t* handle) noexcept { HandleBox<uv_timer_t>::of(handle).callback(); },
        delay > Duration::zero() && due > cached ? due - cached : 0, to_ms(repeat));
}

void Timer::stop() {
    uv_timer_stop(&box_->handle);
}

bool Timer::is_active() const {
    return uv_is_active(box_->base()) != 0;
}

}  // namespace circus::loop
