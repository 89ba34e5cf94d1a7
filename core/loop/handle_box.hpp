// HandleBox: a libuv handle and what it calls, in one heap block that only its close callback frees. Included
// by the .cc files of this folder, not by headers.
#pragma once

#include <functional>
#include <utility>

#include <uv.h>

namespace circus::loop {

template <class Handle, class Callback = std::function<void()>>
struct HandleBox {
    explicit HandleBox(Callback c) : callback(std::move(c)) {}
    virtual ~HandleBox() = default;  // the close callback knows only this much of a box
    HandleBox(const HandleBox&) = delete;
    HandleBox& operator=(const HandleBox&) = delete;

    Handle handle{};
    Callback callback;

    static HandleBox& of(Handle* handle) { return *static_cast<HandleBox*>(handle->data); }
    void adopt() { handle.data = this; }  // once the handle is initialised
    uv_handle_t* base() { return reinterpret_cast<uv_handle_t*>(&handle); }
    // The box frees itself, later. Nothing of it may be touched by its owner any more.
    void close() noexcept {
        uv_close(base(), [](uv_handle_t* h) { delete static_cast<HandleBox*>(h->data); });
    }
};

}  // namespace circus::loop
