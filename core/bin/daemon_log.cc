#include "bin/daemon_log.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>

#include <spdlog/async.h>
#include <spdlog/sinks/sink.h>
#include <spdlog/spdlog.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "stream/signals.hpp"

namespace circus::bin {

namespace {

constexpr std::size_t kQueue = 1024;  // lines; each takes 400 bytes from the start
constexpr Milliseconds kLastWait{500};

log::Level level_of(spdlog::level::level_enum level) {
    switch (level) {
        case spdlog::level::debug:
        case spdlog::level::trace:
            return log::Level::Debug;
        case spdlog::level::warn:
            return log::Level::Warning;
        case spdlog::level::err:
            return log::Level::Error;
        case spdlog::level::critical:
            return log::Level::Critical;
        default:
            return log::Level::Info;
    }
}

// log() and flush() are called by spdlog's one thread; the rest by the loop's, which never waits for it: what
// is to be changed lies ready until the thread comes by, also from within a line that nobody takes.
class TargetSink final : public spdlog::sinks::sink {
  public:
    // The pool's queue outlives its thread, which alone uses it here.
    TargetSink(std::unique_ptr<LogTarget> target, spdlog::details::thread_pool& pool)
        : pool_(pool), target_(std::move(target)) {}

    void log(const spdlog::details::log_msg& message) override {
        change();
        const std::string_view text(message.payload.data(), message.payload.size());
        const LogRecord record{message.time, level_of(message.level), text};
        const std::size_t overrun = pool_.overrun_counter();
        lost_ += overrun - std::exchange(overrun_, overrun);
        if (lost_ > 0) {
            const std::string notice = cat(lost_, " lines of the log were lost here");
            if (!put({record.at, log::Level::Warning, notice})) {
                ++lost_;
                return;
            }
            lost_ = 0;
        }
        if (!put(record)) ++lost_;
    }
    void flush() override {
        change();
        const std::lock_guard lock(mutex_);
        ++flushed_;
        changed_.notify_all();
    }
    void set_pattern(const std::string&) override {}
    void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

    void set_format(bool json) { json_ = json; }
    void set_target(std::unique_ptr<LogTarget> target) {
        const std::lock_guard lock(mutex_);
        next_ = std::move(target);
        has_change_ = true;
    }
    void reopen() {
        const std::lock_guard lock(mutex_);
        reopen_ = true;
        has_change_ = true;
    }
    void leave() { leaving_ = true; }
    std::uint64_t flushed() {
        const std::lock_guard lock(mutex_);
        return flushed_;
    }
    bool wait_flushed(std::uint64_t count, Milliseconds limit) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, limit, [&] { return flushed_ >= count; });
    }

  private:
    bool put(const LogRecord& record) {
        // Another target does not wait for this one; what was to be changed may not have been that.
        while (!target_->write(record, json_, [this] { return leaving_ || has_change_; })) {
            if (!has_change_ || leaving_) return false;
            change();
        }
        return true;
    }

    void change() {
        if (!has_change_) return;
        std::unique_lock lock(mutex_);
        has_change_ = false;
        if (auto next = std::exchange(next_, nullptr)) target_ = std::move(next);
        const bool reopen = std::exchange(reopen_, false);
        lock.unlock();
        if (!reopen) return;
        if (const Status reopened = target_->reopen(); !reopened)
            put({std::chrono::system_clock::now(), log::Level::Error,
                 cat("the log is not opened anew: ", reopened.error().text)});
    }

    spdlog::details::thread_pool& pool_;
    std::unique_ptr<LogTarget> target_;  // the thread's
    std::size_t lost_ = 0, overrun_ = 0;
    std::atomic<bool> json_{false}, leaving_{false}, has_change_{false};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::unique_ptr<LogTarget> next_;
    bool reopen_ = false;
    std::uint64_t flushed_ = 0;
};

std::shared_ptr<TargetSink> g_sink;
std::shared_ptr<spdlog::logger> g_logger;

spdlog::level::level_enum to_spdlog(log::Level level) {
    switch (level) {
        case log::Level::Debug:
            return spdlog::level::debug;
        case log::Level::Info:
            return spdlog::level::info;
        case log::Level::Warning:
            return spdlog::level::warn;
        case log::Level::Error:
            return spdlog::level::err;
        case log::Level::Critical:
            return spdlog::level::critical;
    }
    return spdlog::level::info;
}

void write_line(log::Level level, std::string_view line) {
    g_logger->log(to_spdlog(level), "{}", line);
}

}  // namespace

Status open_log(const std::string& level, const std::string& format, std::unique_ptr<LogTarget> target) {
    try {
        const stream::AllSignalsBlocked guard;  // the thread inherits the mask
        spdlog::init_thread_pool(kQueue, 1);
        g_sink = std::make_shared<TargetSink>(std::move(target), *spdlog::thread_pool());
        g_logger = std::make_shared<spdlog::async_logger>("circusd", g_sink, spdlog::thread_pool(),
                                                          spdlog::async_overflow_policy::overrun_oldest);
    } catch (const std::exception& problem) {
        return Error{cat("cannot start the log: ", std::string_view(problem.what()))};
    }
    set_log_level(level);
    set_log_format(format);
    log::set_sink(&write_line);
    return Ok{};
}

void set_log_level(const std::string& level) {
    g_logger->set_level(level == "warning" ? spdlog::level::warn
                        : level == "error" ? spdlog::level::err
                                           : spdlog::level::from_str(level));
}

void set_log_format(const std::string& format) {
    g_sink->set_format(format == "json");
}

void set_log_target(std::unique_ptr<LogTarget> target) {
    g_sink->set_target(std::move(target));
    g_logger->flush();  // the thread comes by now, not with the next line
}

void reopen_log() {
    if (!g_sink) return;
    g_sink->reopen();
    g_logger->flush();
}

bool flush_log(Milliseconds limit) {
    if (!g_sink) return true;
    const std::uint64_t before = g_sink->flushed();
    g_logger->flush();
    return g_sink->wait_flushed(before + 1, limit);
}

bool close_log() {
    if (!g_sink) return true;
    if (flush_log(kLastWait)) return true;
    g_sink->leave();
    return flush_log(kLastWait);
}

}  // namespace circus::bin
