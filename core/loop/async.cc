#include "loop/async.hpp"

#include <cstdlib>

#include "loop/handle_box.hpp"

namespace circus::loop {

struct Async::Box : HandleBox<uv_async_t> {
    using HandleBox::HandleBox;
};

void Async::Close::operator()(Box* box) const noexcept {
    box->close();
}

Async::Async(Loop& loop, std::function<void()> callback) : box_(new Box(std::move(callback))) {
    const int status = uv_async_init(loop.native(), &box_->handle, [](uv_async_t* handle) noexcept {
        HandleBox<uv_async_t>::of(handle).callback();
    });
    // Fails only where the loop's one eventfd cannot be made: at the first Async, while the daemon starts.
    if (status != 0) std::abort();
    box_->adopt();
    uv_unref(box_->base());
}

void Async::send() {
    uv_async_send(&box_->handle);
}

}  // namespace circus::loop
