#include "loop/readiness.hpp"

#include <array>
#include <cerrno>
#include <optional>
#include <set>
#include <sys/epoll.h>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "loop/poll.hpp"

namespace circus::loop {

struct Readiness::State {
    UniqueFd epoll;
    std::function<void(int fd)> ready;
    std::set<int> watched;
    std::optional<Poll> poll;  // goes before the descriptor it polls

    void take() {
        std::array<epoll_event, 64> events{};
        const int count = ::epoll_wait(epoll.get(), events.data(), static_cast<int>(events.size()), 0);
        for (int i = 0; i < count; ++i) {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            // Forgotten by the callback of one before it.
            if (!watched.contains(fd)) continue;
            forget(fd);
            ready(fd);
        }
    }
    void forget(int fd) {
        if (watched.erase(fd) != 0) ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
    }
};

Readiness::Readiness(std::unique_ptr<State> state) : state_(std::move(state)) {}
Readiness::Readiness(Readiness&&) noexcept = default;
Readiness& Readiness::operator=(Readiness&&) noexcept = default;
Readiness::~Readiness() = default;

Result<Readiness> Readiness::make(Loop& loop, std::function<void(int fd)> ready) {
    auto state = std::make_unique<State>();
    state->epoll = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    if (!state->epoll) return sys_error("cannot make an epoll descriptor", errno);
    state->ready = std::move(ready);
    auto poll = Poll::make(loop, state->epoll.get(), [at = state.get()](unsigned) { at->take(); });
    if (!poll) return poll.error();
    state->poll = std::move(*poll);
    state->poll->watch(Poll::kReadable);
    return Readiness(std::move(state));
}

Status Readiness::watch(int fd) {
    if (state_->watched.contains(fd)) return Ok{};
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    if (::epoll_ctl(state_->epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
        return sys_error(cat("cannot watch descriptor ", fd), errno);
    state_->watched.insert(fd);
    return Ok{};
}

void Readiness::forget(int fd) {
    state_->forget(fd);
}

}  // namespace circus::loop
