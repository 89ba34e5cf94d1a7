#include "loop/poll.hpp"

#include "base/text.hpp"
#include "loop/handle_box.hpp"

namespace circus::loop {

static_assert(Poll::kReadable == UV_READABLE && Poll::kWritable == UV_WRITABLE &&
              Poll::kHangup == UV_DISCONNECT);

struct Poll::Box : HandleBox<uv_poll_t, Poll::Callback> {
    using HandleBox::HandleBox;
    unsigned watched = 0;
};

void Poll::Close::operator()(Box* box) const noexcept {
    box->close();
}

Poll::Poll(std::unique_ptr<Box, Close> box) : box_(std::move(box)) {}

Result<Poll> Poll::make(Loop& loop, int fd, Callback callback) {
    auto box = std::make_unique<Box>(std::move(callback));
    // On failure the handle was not taken into the loop: the box is freed as any other memory.
    if (const int status = uv_poll_init(loop.native(), &box->handle, fd); status != 0)
        return sys_error(cat("polling descriptor ", fd), -status);
    box->adopt();
    return Poll(std::unique_ptr<Box, Close>(box.release()));
}

void Poll::watch(unsigned events) {
    if (events == box_->watched) return;
    box_->watched = events;
    if (events == 0) {
        uv_poll_stop(&box_->handle);
        return;
    }
    uv_poll_start(&box_->handle, static_cast<int>(events),
                  [](uv_poll_t* handle, int status, int ready) noexcept {
                      auto& box = static_cast<Box&>(Box::of(handle));
                      box.callback(status < 0 ? box.watched : static_cast<unsigned>(ready));
                  });
}

unsigned Poll::watched() const {
    return box_->watched;
}

}  // namespace circus::loop
