#include "bin/service_manager.hpp"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <utility>

#include "base/text.hpp"

namespace circus::bin {

namespace {

constexpr Milliseconds kLookAround{1000};
constexpr std::string_view kOwn[] = {"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID="};

// Zero: no watchdog is asked for, or it is meant for another process.
Duration watchdog_of(pid_t daemon) {
    const char* const time = std::getenv("WATCHDOG_USEC");
    const char* const whose = std::getenv("WATCHDOG_PID");
    const auto microseconds = parse_int(time ? time : "");
    if (!microseconds || *microseconds <= 0) return {};
    if (whose && parse_int(whose) != daemon) return {};
    return std::min<Duration>(std::chrono::microseconds(*microseconds), std::chrono::hours(24));
}

long long monotonic_us() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

bool ServiceManager::is_own_variable(std::string_view entry) {
    for (const std::string_view own : kOwn)
        if (entry.starts_with(own)) return true;
    return false;
}

ServiceManager::ServiceManager(loop::Loop& loop, loop::KeeperClient& keeper, pid_t daemon,
                               std::function<std::string()> status)
    : keeper_(keeper),
      status_(std::move(status)),
      is_there_(std::getenv("NOTIFY_SOCKET") != nullptr),
      watchdog_(is_there_ ? watchdog_of(daemon) : Duration{}),
      looks_(loop, [this] { look(); }),
      pings_(loop, [this] { tell("WATCHDOG=1"); }) {}

void ServiceManager::tell(std::string_view text) {
    if (is_there_) keeper_.notify(text);
}

void ServiceManager::ready() {
    if (!is_there_) return;
    is_ready_ = true;
    told_ = status_();
    tell(cat("READY=1\nSTATUS=", told_));
    looks_.start(kLookAround, kLookAround);
    if (watchdog_ == Duration{}) return;
    tell("WATCHDOG=1");
    pings_.start(watchdog_ / 2, std::max<Duration>(watchdog_ / 2, Milliseconds(1)));
}

void ServiceManager::look() {
    std::string now = status_();
    if (now == told_ || is_stopping_) return;
    told_ = std::move(now);
    tell(cat("STATUS=", told_));
}

void ServiceManager::reloading() {
    if (!is_ready_ || reloads_++ > 0) return;
    tell(cat("RELOADING=1\nMONOTONIC_USEC=", monotonic_us()));
}

void ServiceManager::reloaded() {
    if (!is_ready_ || --reloads_ > 0 || is_stopping_) return;
    tell("READY=1");
}

void ServiceManager::stopping() {
    if (std::exchange(is_stopping_, true)) return;
    tell("STOPPING=1\nSTATUS=stopping");
}

}  // namespace circus::bin
