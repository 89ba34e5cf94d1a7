#include "links.hpp"

#include <cerrno>
#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <circus/threads.hpp>

#include "link.hpp"

namespace console {

namespace {

constexpr long kWhileWaitingMs = 200;             // how exact the end of a patience of seconds is
constexpr auto kPause = std::chrono::seconds(1);  // before one that has failed is made anew

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
                // What ZeroMQ cannot do at all, as waiting for anybody.
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

    // One of the circusds. Without a link it has failed, because of `why`.
    struct Place {
        std::optional<Link> link;
        std::string why;
        Link::Time again{};
    };

    void run() {
        zmq::context_t context(1);
        std::deque<Place> places(settings_.size());
        while (true) {
            const auto now = std::chrono::steady_clock::now();
            for (std::size_t at = 0; at < places.size(); ++at) {
                if (places[at].link || now < places[at].again) continue;
                // A name is free again only some time after its link has gone.
                const std::string watch = "inproc://connection-" + std::to_string(++made_);
                attempt(places[at], at,
                        [&] { places[at].link.emplace(context, settings_[at], watch, told_of(at)); });
            }
            wait(places);
            std::deque<Asked> taken;
            if (!take(taken)) return;
            for (const Asked& each : taken) ask(places[each.link], each);
            for (std::size_t at = 0; at < places.size(); ++at) look(places[at], at);
        }
    }

    // False: what it does was thrown out of, and the link is gone.
    template <class Function>
    bool attempt(Place& place, std::size_t at, const Function& function) {
        try {
            function();
            return true;
        } catch (const std::exception& thrown) {
            place.why = settings_[at].control + ": " + thrown.what();
            place.again = std::chrono::steady_clock::now() + kPause;
        }
        if (place.link)
            place.link->end(place.why);
        else
            heard_.state(at, place.why);
        place.link.reset();
        return false;
    }

    void ask(Place& place, const Asked& asked) {
        const auto now = std::chrono::steady_clock::now();
        const auto forward = [&] { place.link->ask(asked.number, asked.command, asked.properties, now); };
        if (place.link && attempt(place, asked.link, forward)) return;
        heard_.answer(asked.number, CIRCUS_E_AGAIN,
                      failure_text(settings_[asked.link].name + ": " + place.why));
    }

    void look(Place& place, std::size_t at) {
        if (!place.link) return;
        const auto now = std::chrono::steady_clock::now();
        attempt(place, at, [&] {
            place.link->receive(now);
            place.link->give_up(now);
        });
    }

    Link::Told told_of(std::size_t at) {
        return {heard_.answer,
                [this, at](std::string topic, std::string payload) {
                    heard_.event(at, std::move(topic), std::move(payload));
                },
                [this, at](std::string problem) { heard_.state(at, std::move(problem)); }};
    }

    void wait(std::deque<Place>& places) const {
        std::vector<zmq::pollitem_t> items{{nullptr, wake_, ZMQ_POLLIN, 0}};
        bool has_waiting = false;
        for (Place& place : places) {
            has_waiting = has_waiting || !place.link || place.link->has_waiting();
            if (!place.link) continue;
            for (zmq::socket_t* const socket :
                 {&place.link->control(), &place.link->events(), &place.link->watch()})
                items.push_back({socket->handle(), 0, ZMQ_POLLIN, 0});
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
    std::uint64_t made_ = 0;  // links so far
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
