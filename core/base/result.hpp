// Result<T>: a value, or the reason there is none. Returned wherever failure is expected (spawn, bind,
// parse); exceptions come only from libraries and are caught in the layer that called the library. A function
// either logs an error or returns it, never both.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace circus {

// Names the thing, the act, the reason and the values; `code` is an errno where one was the cause, else 0.
struct Error {
    std::string text;
    int code = 0;
};

// Error with errno's text behind it: sys_error("cannot open \"/x\"", ENOENT).
Error sys_error(std::string text, int errno_value);

template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit on purpose
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit on purpose

    explicit operator bool() const { return state_.index() == 0; }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(value()); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    const Error& error() const {
        assert(state_.index() == 1);
        return *std::get_if<1>(&state_);
    }

  private:
    T& value() {
        assert(state_.index() == 0);
        return *std::get_if<0>(&state_);
    }
    const T& value() const {
        assert(state_.index() == 0);
        return *std::get_if<0>(&state_);
    }
    std::variant<T, Error> state_;
};

struct Ok {};
using Status = Result<Ok>;

}  // namespace circus
