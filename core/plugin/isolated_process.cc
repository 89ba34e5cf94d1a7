#include "plugin/isolated_process.hpp"

#include <array>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <sys/signalfd.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "loop/poll.hpp"
#include "loop/timer.hpp"
#include "loop/turn_hooks.hpp"
#include "plugin/description.hpp"
#include "plugin/frames.hpp"
#include "plugin/instance.hpp"
#include "plugin/loader.hpp"
#include "plugin/remote_backend.hpp"

namespace circus::plugin {

namespace {

constexpr Milliseconds kStartDeadline{10'000};  // from the hello to the start
constexpr Milliseconds kLeaveDeadline{2000};    // from "failed" or "bye" to "leave"
constexpr Milliseconds kFiguresPeriod{200};
constexpr Milliseconds kBudgetOfTurn{10};

class IsolatedProcess {
  public:
    explicit IsolatedProcess(std::unique_ptr<RemoteBackend> backend, loop::Loop& loop, UniqueFd signals)
        : loop_(loop), backend_(std::move(backend)), signals_(std::move(signals)) {}

    int run(const std::string& token) {
        auto poll = loop::Poll::make(loop_, signals_.get(), [this](unsigned) { on_signal(); });
        if (!poll) return 1;
        poll->watch(loop::Poll::kReadable);
        backend_->send(frame({{"m", "hello"}, {"token", token}}));
        give_up_.start(kStartDeadline);
        loop_.run();
        return code_;
    }

  private:
    void on_signal() {
        signalfd_siginfo info{};
        while (::read(signals_.get(), &info, sizeof info) == sizeof info) told_to_stop_ = true;
    }

    void end_of_turn() {
        auto& orders = backend_->orders();
        if (orders.leave) return loop_.stop();
        if (orders.start) start(*std::exchange(orders.start, std::nullopt));
        if (orders.reconfigure) reconfigure(*std::exchange(orders.reconfigure, std::nullopt));
        if (told_to_stop_) stop();
        if (host_ && host_->deliver(Monotonic::now() + kBudgetOfTurn))
            again_.start();
        else
            again_.stop();
        if (stopping_ && instance_ && instance_->state() == Instance::State::Gone) say_bye();
    }

    // All that was said before it has arrived when it is answered.
    void say_bye() {
        if (std::exchange(said_bye_, true)) return;
        figures_.stop();
        send_figures();
        backend_->send(frame({{"m", "bye"}}));
        give_up_.start(kLeaveDeadline);
    }

    void start(const RemoteBackend::Orders::Start& order) {
        if (host_) return;
        give_up_.stop();
        host_ = std::make_unique<HostTable>(loop_, *backend_, order.name);
        backend_->attach(host_.get());
        if (const Status started = load_and_start(order); !started) {
            code_ = 1;
            backend_->send(frame({{"m", "failed"}, {"why", cat(order.file, ": ", started.error().text)}}));
            give_up_.start(kLeaveDeadline);
            return;
        }
        backend_->send(frame({{"m", "started"}}));
        send_figures();
        figures_.start(kFiguresPeriod, kFiguresPeriod);
    }

    Status load_and_start(const RemoteBackend::Orders::Start& order) {
        const auto library = Library::open(order.file);
        if (!library) return library.error();
        const auto table = plugin_table(*library);
        if (!table) return table.error();
        if (const auto checked = read_description(**table, offered_extensions()); !checked)
            return checked.error();
        instance_.emplace(*host_, **table);
        return instance_->start(order.options);
    }

    bool is_running() const { return instance_ && instance_->state() == Instance::State::Running; }

    void reconfigure(const std::string& options) {
        if (!is_running()) return;
        const auto changed = instance_->reconfigure(options);
        if (changed && *changed) return;
        backend_->send(frame({{"m", "refused"}, {"why", changed ? std::string() : changed.error().text}}));
    }

    void stop() {
        if (std::exchange(stopping_, true)) return;
        if (is_running())
            instance_->stop();
        else
            loop_.stop();
    }

    void send_figures() {
        const Figures now = host_->meter().figures();
        if (now.calls == told_.calls && now.errors == told_.errors) return;
        told_ = now;
        backend_->send(
            frame({{"m", "figures"},
                   {"calls", now.calls},
                   {"slow", now.slow},
                   {"errors", now.errors},
                   {"ns", std::chrono::duration_cast<std::chrono::nanoseconds>(now.time).count()}}));
    }

    loop::Loop& loop_;
    std::unique_ptr<RemoteBackend> backend_;
    UniqueFd signals_;
    std::unique_ptr<HostTable> host_;
    std::optional<Instance> instance_;
    bool told_to_stop_ = false;
    bool stopping_ = false;
    bool said_bye_ = false;
    int code_ = 0;
    Figures told_;
    loop::Timer give_up_{loop_, [this] {
                             code_ = 1;
                             loop_.stop();
                         }};
    loop::Timer figures_{loop_, [this] { send_figures(); }};
    loop::Idle again_{loop_, [] {}};
    loop::Prepare turn_{loop_, [this] { end_of_turn(); }};
};

// The signals that end a process, as a descriptor. Before there is any thread: all inherit the mask.
UniqueFd catch_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signo : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) sigaddset(&set, signo);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

}  // namespace

int run_isolated(const std::string& endpoint, const std::string& token) {
    UniqueFd signals = catch_signals();
    loop::Loop loop;
    loop::ZmqContext context;
    auto backend = RemoteBackend::connect(loop, context, endpoint);
    if (!signals || !backend) {
        std::fprintf(stderr, "circus-plugin: %s\n", backend ? "no signalfd" : backend.error().text.c_str());
        return 1;
    }
    IsolatedProcess process(std::move(*backend), loop, std::move(signals));
    return process.run(token);
}

}  // namespace circus::plugin
