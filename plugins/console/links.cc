#include "links.hpp"

#include <cerrno>
#include <chrono>
#include <deque>
#include <mutex>
#include <poll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <circus/threads.hpp>

#include "link.hpp"

namespace console {

namespace {

constexpr long kWhileWaitingMs = 200;  // how exact the end of a patience of seconds is

struct Asked {
    std::size_t link;
    std::uint64_t number;
    std::string command, properties;
};

}  // namespace

class Links::Thread {
  public:
    Thread(std::vector<EndpointSettings> settings, Heard heard)
        : settings_(std::move(settings)), heard_(std::move(heard)) {
        wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (wake_ < 0)
            throw circus::Failure(CIRCUS_E_NO_MEMORY, "eventfd: " + std::system_category().message(errno));
    }
    ~Thread() {
        stop();
        ::close(wake_);
    }
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;

    void start() {
        const circus::SignalsBlocked guard;
        thread_ = std::thread([this] {
            try {
                run();
            } catch (const std::exception& thrown) {
                // What ZeroMQ cannot do at all, as having one more descriptor.
                for (std::size_t at = 0; at < settings_.size(); ++at) heard_.state(at, thrown.what());
                refuse_all(thrown.what());
            }
        });
    }

    void stop() {
        {
            const std::lock_guard lock(mutex_);
            is_over_ = true;
        }
        wake();
        if (thread_.joinable()) thread_.join();
    }

    void ask(Asked asked) {
        {
            const std::lock_guard lock(mutex_);
            asked_.push_back(std::move(asked));
        }
        wake();
    }

  private:
    void wake() const {
        const std::uint64_t one = 1;
        // It fails only where it is awake already.
        [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
    }

    // False: it is over.
    bool take(std::deque<Asked>& taken) {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto got = ::read(wake_, &count, sizeof count);
        const std::lock_guard lock(mutex_);
        taken.swap(asked_);
        return !is_over_;
    }

    void run() {
        zmq::context_t context(1);
        std::deque<Link> links;
        for (std::size_t at = 0; at < settings_.size(); ++at)
            links.emplace_back(context, settings_[at], "inproc://connection-" + std::to_string(at),
                               told_of(at));
        while (true) {
            wait(links);
            std::deque<Asked> taken;
            if (!take(taken)) return;
            const auto now = std::chrono::steady_clock::now();
            for (const Asked& each : taken)
                links[each.link].ask(each.number, each.command, each.properties, now);
            for (Link& link : links) {
                link.receive(now);
                link.give_up(now);
            }
        }
    }

    Link::Told told_of(std::size_t at) {
        return {heard_.answer,
                [this, at](std::string topic, std::string payload) {
                    heard_.event(at, std::move(topic), std::move(payload));
                },
                [this, at](std::string problem) { heard_.state(at, std::move(problem)); }};
    }

    void wait(std::deque<Link>& links) const {
        std::vector<zmq::pollitem_t> items{{nullptr, wake_, ZMQ_POLLIN, 0}};
        bool has_waiting = false;
        for (Link& link : links) {
            for (zmq::socket_t* const socket : {&link.control(), &link.events(), &link.watch()})
                items.push_back({socket->handle(), 0, ZMQ_POLLIN, 0});
            has_waiting = has_waiting || link.has_waiting();
        }
        if (zmq_poll(items.data(), static_cast<int>(items.size()), has_waiting ? kWhileWaitingMs : -1) < 0 &&
            zmq_errno() != EINTR)
            throw zmq::error_t();
    }

    // Without the thread's links: until the end nobody waits for what never comes.
    void refuse_all(const std::string& why) {
        const std::string text = failure_text(why);
        pollfd waited{wake_, POLLIN, 0};
        while (true) {
            std::deque<Asked> taken;
            const bool goes_on = take(taken);
            for (const Asked& each : taken) heard_.answer(each.number, CIRCUS_E_AGAIN, text);
            if (!goes_on) return;
            ::poll(&waited, 1, -1);
        }
    }

    const std::vector<EndpointSettings> settings_;
    const Heard heard_;
    int wake_ = -1;
    std::mutex mutex_;
    std::deque<Asked> asked_;
    bool is_over_ = false;
    std::thread thread_;
};

Links::Links(std::vector<EndpointSettings> settings, Heard heard)
    : thread_(std::make_unique<Thread>(std::move(settings), std::move(heard))) {}
Links::~Links() = default;
void Links::start() {
    thread_->start();
}
void Links::stop() {
    thread_->stop();
}
void Links::ask(std::size_t link, std::uint64_t number, std::string command, std::string properties) {
    thread_->ask({link, number, std::move(command), std::move(properties)});
}

}  // namespace console
