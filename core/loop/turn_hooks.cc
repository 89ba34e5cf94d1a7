#include "loop/turn_hooks.hpp"

#include "loop/handle_box.hpp"

namespace circus::loop {

struct Prepare::Box : HandleBox<uv_prepare_t> {
    using HandleBox::HandleBox;
};
struct Idle::Box : HandleBox<uv_idle_t> {
    using HandleBox::HandleBox;
};

void Prepare::Close::operator()(Box* box) const noexcept {
    box->close();
}
void Idle::Close::operator()(Box* box) const noexcept {
    box->close();
}

Prepare::Prepare(Loop& loop, std::function<void()> callback) : box_(new Box(std::move(callback))) {
    uv_prepare_init(loop.native(), &box_->handle);
    box_->adopt();
    uv_prepare_start(&box_->handle,
                     [](uv_prepare_t* handle) noexcept { HandleBox<uv_prepare_t>::of(handle).callback(); });
    uv_unref(box_->base());
}

Idle::Idle(Loop& loop, std::function<void()> callback) : box_(new Box(std::move(callback))) {
    uv_idle_init(loop.native(), &box_->handle);
    box_->adopt();
}

void Idle::start() {
    uv_idle_start(&box_->handle,
                  [](uv_idle_t* handle) noexcept { HandleBox<uv_idle_t>::of(handle).callback(); });
}

void Idle::stop() {
    uv_idle_stop(&box_->handle);
}

bool Idle::is_active() const {
    return uv_is_active(box_->base()) != 0;
}

}  // namespace circus::loop
