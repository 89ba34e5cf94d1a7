// Long because it is the wiring: every part of the arbiter is made, armed and taken down here, in one order.
#include "bin/arbiter_main.hpp"

#include <csignal>
#include <fcntl.h>
#include <limits.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <random>
#include <unistd.h>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "bin/daemon_log.hpp"
#include "bin/daemonize.hpp"
#include "bin/death_memory.hpp"
#include "bin/holds.hpp"
#include "bin/instance_guard.hpp"
#include "bin/keeper_link.hpp"
#include "bin/pidfile.hpp"
#include "bin/plugin_record.hpp"
#include "bin/ports.hpp"
#include "bin/ready_ports.hpp"
#include "bin/service_manager.hpp"
#include "bin/settings.hpp"
#include "bin/shared_page.hpp"
#include "bin/upgrade.hpp"
#include "bus/bus.hpp"
#include "config/log_output.hpp"
#include "control/endpoint.hpp"
#include "control/figures.hpp"
#include "control/server.hpp"
#include "loop/keeper_client.hpp"
#include "loop/loop.hpp"
#include "loop/timer.hpp"
#include "loop/turn_clock.hpp"
#include "loop/turn_hooks.hpp"
#include "loop/worker.hpp"
#include "loop/zmq_pump.hpp"
#include "plugin/catalog.hpp"
#include "plugin/gauges.hpp"
#include "plugin/hook_library.hpp"
#include "plugin/isolated_runner.hpp"
#include "plugin/local_runner.hpp"
#include "plugin/plugins.hpp"
#include "plugin/private_router.hpp"
#include "plugin/switchboard.hpp"
#include "stream/streams.hpp"
#include "supervise/arbiter.hpp"
#include "supervise/drain.hpp"
#include "sys/instance.hpp"
#include "sys/oom_counts.hpp"
#include "sys/own_code.hpp"
#include "sys/signals.hpp"

namespace circus::bin {

namespace {

constexpr Milliseconds kHelloDeadline{5000};
constexpr Milliseconds kAloneDeadline{5000};
constexpr Milliseconds kFlushDeadline{1000};
constexpr Milliseconds kOutputDeadline{2000};
constexpr Milliseconds kLeaveDelay{50};    // for the last answer to leave
constexpr Milliseconds kReturn{1000};      // of subscribers: libzmq tries each ZMQ_RECONNECT_IVL, 100 ms
constexpr Milliseconds kPluginBudget{10};  // of one turn, for all plugins

std::vector<std::string> own_environment() {
    std::vector<std::string> out;
    for (char** entry = environ; *entry; ++entry)
        if (!ServiceManager::is_own_variable(*entry)) out.emplace_back(*entry);
    return out;
}

// A line on stderr before there is a log. Waits a second for a reader at the most: a full pipe behind stderr
// must not keep a daemon with a bad configuration from ending.
void tell(const std::string& text) {
    const std::string line = text.substr(0, PIPE_BUF - 1) + "\n";
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    // poll(2) says "writable" of a pipe when PIPE_BUF bytes fit: then this write does not block.
    if (::poll(&ready, 1, 1000) > 0) [[maybe_unused]]
        const ssize_t wrote = ::write(STDERR_FILENO, line.data(), line.size());
}

std::string read_all(const UniqueFd& fd) {
    std::string text;
    char buffer[65536];
    // A memfd: its offset is everybody's.
    for (ssize_t got;
         fd && (got = ::pread(fd.get(), buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    return text;
}

// Built in the order of its members, taken down in reverse.
class ArbiterProcess {
  public:
    explicit ArbiterProcess(const ArbiterOptions& options)
        : options_(options), environment_(own_environment()) {}

    int run() {
        if (Status connected = connect(); !connected) {
            tell(cat("circusd: ", connected.error().text));
            return 1;
        }
        if (Status ready = set_up(); !ready) {
            if (!ready.error().text.empty()) tell(cat("circusd: ", ready.error().text));
            // The keeper tries again: whatever it is, it is no reason to stop the stack.
            if (takes_over()) return give_up();
            return leave(is_unwanted_ ? 0 : 1);
        }
        if (!takes_over()) {
            // Whoever was ready is followed by another one, which must find what is wanted.
            arbiter_->start();
            arbiter_->save_wanted();
        }
        if (options_.daemon) {
            // What was logged so far belongs to the caller where it goes to stderr.
            flush_log(kFlushDeadline);
            detach_standard_descriptors();
        }
        keeper_->ready();
        service_->ready();
        log::info(cat("circusd ", CIRCUSD_VERSION, takes_over() ? " goes on as " : " runs as ",
                      hello_->keeper_pid, ", control at ", arbiter_->config().endpoint));
        if (hello_->setback[0] != '\0') log::error(std::string_view(hello_->setback));
        // Before any of them runs: one that ends this process before its first turn leaves the next arbiter
        // all that it must know, and how often that was.
        link_->save_beside(record_.saved(*plugins_));
        arbiter_->save_wanted();
        plugins_->configure(arbiter_->plugins());
        plugins_->settle();
        if (takes_over()) news_.start(kReturn);
        arm();
        let_go_.start(sys::kStartLasts);
        loop_.run();
        return leave(exit_code_ != 0 ? exit_code_ : arbiter_->exit_code());
    }

    // A thread hangs in a look-up and lives on: nothing that it may reach can be taken down.
    bool is_stuck() const { return stuck_; }

  private:
    // The keeper speaks first: nothing may be spawned before its Hello is known.
    Status connect() {
        loop::KeeperClient::Handler handler;
        handler.hello = [this](const keeper::HelloMessage& hello, UniqueFd page, UniqueFd state) {
            hello_ = hello;
            page_ = SharedPage(page);
            router_.name(hello.instance);
            inheritance_.last_child = hello.last_child;
            inheritance_.state = read_all(state);
            greeted_ = hello.generation == 0;
            if (greeted_) loop_.stop();
        };
        handler.child = [this](const keeper::ChildMessage& facts, UniqueFd pidfd) {
            inheritance_.children.push_back({facts, std::move(pidfd)});
        };
        handler.held = [this](const keeper::HeldMessage& held, UniqueFd fd) { inherit(held, std::move(fd)); };
        handler.greeted = [this] {
            greeted_ = true;
            loop_.stop();
        };
        handler.spawned = [this](const keeper::SpawnedMessage& m, UniqueFd pidfd) {
            if (!arbiter_) return;
            guard_->on_spawned(m, pidfd.get());
            arbiter_->on_spawned(m.id, m.pid, std::move(pidfd));
        };
        handler.spawn_failed = [this](const keeper::SpawnFailedMessage& m) {
            if (!arbiter_) return;
            guard_->on_gone(m.id);
            arbiter_->on_spawn_failed(m.id, m.stage, m.error, m.detail);
        };
        handler.exited = [this](const keeper::ExitedMessage& m) { on_exited(m); };
        handler.upgraded = [this](int error) {
            if (upgrade_) upgrade_->on_upgraded(error);
        };
        handler.caught = [this](const keeper::CaughtMessage& m) { on_signal(m.signo); };
        handler.unsaved = [this] {
            if (link_) link_->unsaved();
        };
        handler.gone = [this] { on_keeper_gone(); };
        auto client = loop::KeeperClient::make(loop_, UniqueFd(keeper::kArbiterFd), std::move(handler));
        if (!client) return Error{"the arbiter is started by circusd itself, not by hand"};
        keeper_.emplace(std::move(*client));

        loop::Timer deadline(loop_, [this] { loop_.stop(); });
        deadline.start(kHelloDeadline);
        loop_.run();
        if (!greeted_) return Error{"the keeper does not answer"};
        return Ok{};
    }

    bool takes_over() const { return hello_ && hello_->generation > 0; }

    void on_exited(const keeper::ExitedMessage& exited) {
        // Of those that the arbiter is still to take over.
        if (!arbiter_) return early_exits_.push_back(exited);
        guard_->on_gone(exited.id);
        arbiter_->on_exited(exited.id, exited.status, exited.usage);
    }

    void inherit(const keeper::HeldMessage& held, UniqueFd fd) {
        switch (space_of(held.id)) {
            case HoldSpace::Socket:
                inheritance_.listeners[held.id] = std::move(fd);
                return;
            case HoldSpace::Pipe:
                streams_port_.inherit(number_of(held.id), held.name, std::move(fd));
                return;
            case HoldSpace::Endpoint:
                holds_.inherit(held.id, held.name, std::move(fd));
                return;
            case HoldSpace::Journal:
                streams_port_.inherit_journal(number_of(held.id), std::move(fd));
                return;
            case HoldSpace::Deaths:
                death_memory_.inherit(std::move(fd));
                return;
        }
    }

    // What the file says, or whoever takes over: what the arbiter before ran by. The file may have changed
    // since, and be wrong.
    Result<config::Config> configuration() {
        if (takes_over()) return supervise::saved_config(inheritance_.state);
        config::Loaded loaded = settings_->read();
        for (const auto& warning : loaded.warnings) tell(cat(warning.to_string(), " (warning)"));
        for (const auto& error : loaded.errors) tell(error.to_string());
        if (!loaded.errors.empty()) return Error{};
        return std::move(loaded.config);
    }

    // Everything that can go wrong before the first worker is started. An empty error text: told already.
    Status set_up() {
        settings_.emplace(options_, environment_, hello_->is_pid1 != 0, catalog_);
        service_.emplace(loop_, *keeper_, hello_->keeper_pid, [this] { return status(); });
        auto config = configuration();
        if (!config) return config.error();
        config::CircusConfig& circus = config->circus;

        tell_limits(*keeper_, circus);
        settings_->use_umask(circus.umask);
        if (Status opened = start_log(circus); !opened) return opened;
        if (const std::string_view end = page_.end_before(); !end.empty())
            log::error(cat("the arbiter before this one ", end));
        // Before anything of the stack: a second circusd on this endpoint must not touch anything.
        if (Status alone = be_the_only_one(circus); !alone) return alone;
        if (!circus.pidfile.empty()) {
            auto pidfile = Pidfile::write(circus.pidfile, hello_->keeper_pid);
            if (!pidfile) return pidfile.error();
            pidfile_ = std::move(*pidfile);
        }

        link_.emplace(loop_, *keeper_, *guard_);
        streams_port_.attach(*link_);
        // Before any socket of the stack: a second circusd on this endpoint must not touch anything.
        if (Status open = open_endpoints(circus); !open) return open;

        auto readiness = loop::Readiness::make(loop_, [this](int fd) { arbiter_->on_readable(fd); });
        if (!readiness) return readiness.error();
        readiness_port_.emplace(std::move(*readiness));
        notify_port_.emplace(
            loop_, hello_->instance, std::move(notify_),
            [this](const std::vector<pid_t>& lineage) { arbiter_->on_notified(lineage); },
            [this](int fd) { holds_.hold(*link_, kNotify, {}, UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0))); });
        if (Status resumed = notify_port_->resume(); !resumed) log::error(resumed.error().text);
        supervise::Arbiter::Ports ports{*link_,
                                        streams_port_,
                                        events_port_,
                                        clock_,
                                        environment_,
                                        [this] { return std::uniform_real_distribution<>(0, 1)(random_); },
                                        {hello_->nofile_soft, hello_->nofile_hard},
                                        hello_->instance,
                                        *readiness_port_,
                                        &worker_port_,
                                        &*settings_,
                                        &hooks_,
                                        &hook_libraries_,
                                        &drain_,
                                        &*notify_port_,
                                        &probes_port_,
                                        death_memory_.open(*link_),
                                        [kernel = std::make_shared<const sys::OomCounts>()] {
                                            const auto kills = kernel->read();
                                            return model::OomCounts{kills.here, kills.machine};
                                        }};
        const config::CircusConfig settings = circus;
        if (Status begun = begin(std::move(*config), std::move(ports)); !begun) return begun;
        note_sockets();
        server_->serve(*arbiter_, clock_, hello_->keeper_pid);
        board_.attach(*server_->controller());
        figures_.emplace(server_->controller()->registry(),
                         control::Figures::Sources{*arbiter_, streams_, bus_, turns_, hello_->keeper_pid});
        upgrade_.emplace(server_->controller()->registry(), *keeper_, worker_port_, options_.file,
                         [this] { leaving_.start(kLeaveDelay); });
        plugins_.emplace(board_, hook_libraries_,
                         [this](const config::PluginConfig& plugin) { return make_runner(plugin); });
        board_.keepsakes().when_kept([this] { link_->save_beside(record_.saved(*plugins_)); });
        settings_->attach({loop_, *keeper_, streams_, *server_, *publisher_, pidfile_, hello_->keeper_pid,
                           *plugins_, *guard_, *service_, *link_, holds_},
                          settings);
        if (takes_over()) load_hooks_again();
        return Ok{};
    }

    Status open_endpoints(const config::CircusConfig& circus) {
        loop::ZmqPump::Options events;
        events.curve_secret = circus.curve_secret_key;
        if (!events.curve_secret.empty()) events.zap_domain = "events";
        auto pub = loop::ZmqPump::make(loop_, zmq_, loop::ZmqPump::Kind::Pub, events, {});
        if (!pub) return pub.error();
        publisher_.emplace(std::move(*pub));
        auto server = control::Server::make(
            loop_, zmq_, circus.endpoint,
            circus.endpoint_owner ? std::optional(circus.endpoint_owner->uid) : std::nullopt,
            !circus.allow_users.empty(), circus.curve_secret_key, holds_.take(kControl, circus.endpoint));
        if (!server) return server.error();
        server_ = std::move(*server);
        holds_.hold(*link_, kControl, circus.endpoint, server_->take_listener());
        UniqueFd listener = holds_.take(kEvents, circus.pubsub_endpoint);
        const Status bound = listener ? publisher_->bind_on(circus.pubsub_endpoint, std::move(listener))
                                      : control::bind_endpoint(*publisher_, circus.pubsub_endpoint);
        if (!bound) return bound;
        holds_.hold(*link_, kEvents, circus.pubsub_endpoint, publisher_->take_listener());
        notify_ = holds_.take(kNotify, {});
        holds_.drop_rest(*link_);
        return Ok{};
    }

    // From nothing, or where the arbiter before has ended.
    Status begin(config::Config config, supervise::Arbiter::Ports ports) {
        if (takes_over()) {
            config.watchers.clear();
            left_state_ = inheritance_.state;
        } else {
            for (const config::SocketConfig& socket : config.sockets)
                if (supervise::has_file(socket) && !socket.replace)
                    guard_->clear_away(socket.path, supervise::SocketTable::listen_spec(socket).type);
        }
        arbiter_ = std::make_unique<supervise::Arbiter>(std::move(config), std::move(ports));
        if (!takes_over()) {
            if (Status loaded_hooks = arbiter_->load_hooks(); !loaded_hooks) return loaded_hooks;
            return arbiter_->bind_sockets();
        }
        if (Status restored = arbiter_->restore(std::move(inheritance_)); !restored) return restored;
        for (const auto& exited : std::exchange(early_exits_, {})) on_exited(exited);
        return Ok{};
    }

    // Libraries of hooks, when it is known which of them cost arbiters their lives and how often: whoever
    // hangs while it is loaded does so in the next arbiter too.
    void load_hooks_again() {
        record_.inherit(left_state_, *hello_, clock_.now(), from_seconds(arbiter_->config().arbiter_timeout),
                        *plugins_);
        link_->save_beside(record_.saved(*plugins_));
        arbiter_->save_wanted();
        // A hook that cannot be loaded any more has failed when it is asked: no reason not to go on.
        if (Status loaded_hooks = arbiter_->load_hooks(); !loaded_hooks)
            log::error(loaded_hooks.error().text);
    }

    // For a circusd that is started when this one could not remove them.
    void note_sockets() {
        const supervise::SocketTable& sockets = arbiter_->sockets();
        if (noted_sockets_ == sockets.version()) return;
        noted_sockets_ = sockets.version();
        std::vector<std::string> paths;
        for (const auto& socket : sockets.all())
            if (supervise::has_file(socket->config)) paths.push_back(socket->config.path);
        guard_->note_sockets(paths);
    }

    Status be_the_only_one(const config::CircusConfig& circus) {
        guard_.emplace(loop_, *keeper_, hello_->instance);
        const auto outcome =
            guard_->take(circus.endpoint, circus.endpoint_owner || !circus.allow_users.empty(),
                         [this] { return early_stop_ || keeper_->is_gone(); });
        if (!outcome) return outcome.error();
        if (*outcome == InstanceGuard::Outcome::Ours) return Ok{};
        is_unwanted_ = early_stop_;
        return Error{};
    }

    // For the service manager.
    std::string status() const {
        const std::size_t watchers = arbiter_->watchers().size(),
                          processes = arbiter_->all_processes().size();
        return cat(watchers, watchers == 1 ? " watcher, " : " watchers, ", processes,
                   processes == 1 ? " process" : " processes");
    }

    Status start_log(const config::CircusConfig& circus) {
        const auto output = config::parse_log_output(circus.logoutput);
        if (!output) return output.error();
        if (options_.daemon && output->kind == config::LogOutput::Kind::Stderr)
            tell(
                "circusd: the log of a daemon has no stderr to go to and is lost: give it a logoutput, in "
                "[circus] or as --log-output FILE (warning)");
        auto target = open_log_target(*output);
        if (!target) return target.error();
        return open_log(circus.loglevel, circus.log_format, std::move(*target));
    }

    std::unique_ptr<plugin::Runner> make_runner(const config::PluginConfig& plugin) {
        if (!plugin.isolate) return std::make_unique<plugin::LocalRunner>(loop_, board_, plugin);
        return std::make_unique<plugin::IsolatedRunner>(loop_, board_, router_, *arbiter_,
                                                        catalog_.describer(), plugin);
    }

    void on_signal(int signo) {
        if (!arbiter_) {
            // Files and configuration are as fresh as they can be, and so is the binary.
            if (signo == SIGTERM || signo == SIGINT || signo == SIGQUIT) early_stop_ = true;
            return;
        }
        switch (signo) {
            case SIGTERM:
            case SIGINT:
            case SIGQUIT:
                log::info(cat("got ", sys::signal_name(signo)));
                if (arbiter_->is_stopping())
                    arbiter_->quit_now();
                else
                    arbiter_->quit({});
                return;
            case SIGHUP:
                log::info("got SIGHUP: reloading every watcher");
                reopen();
                service_->reloading();
                arbiter_->reload_all(arbiter_->watchers(), supervise::ReloadKind::AsConfigured,
                                     [this](const Result<supervise::OpResult>&) { service_->reloaded(); });
                return;
            case SIGUSR1:
                reopen();
                return;
            case SIGUSR2:
                log::info("got SIGUSR2: upgrading");
                upgrade_->begin({}, [](const Result<Json>&) {});
                return;
            default:
                return;
        }
    }

    void reopen() {
        reopen_log();
        arbiter_->reopen_logs();
    }

    // A sink's trouble: a line in the log, and an event for each watcher that writes there.
    void tell_trouble(const stream::Trouble& trouble) {
        if (trouble.begins)
            log::error(cat("log ", trouble.target, ": ", trouble.text, "; trying again each second"));
        else
            log::warning(
                cat("log ", trouble.target, ": in order again, ", trouble.lost_bytes, " bytes were lost"));
        for (const std::string& watcher : trouble.watchers)
            bus_.publish(watcher, "log_trouble",
                         {{"target", trouble.target},
                          {"begins", trouble.begins},
                          {"reason", trouble.begins ? Json(trouble.text) : Json()},
                          {"lost_bytes", trouble.lost_bytes}});
    }

    void on_keeper_gone() {
        exit_code_ = 1;
        if (!arbiter_ || !link_) {
            loop_.stop();
            return;
        }
        log::error("the keeper is gone: stopping everything");
        link_->go_alone(*arbiter_);
        arbiter_->quit({}, kAloneDeadline);
    }

    // The end of each turn of the loop.
    void end_of_turn() {
        page_.beat();
        if (!arbiter_) return;
        if (plugins_) beat_.start(heartbeat());
        if (early_stop_) {
            early_stop_ = false;
            arbiter_->quit({});
        }
        if (link_->is_alone()) link_->deliver();
        board_.flush();
        server_->go_on();
        arbiter_->settle();
        if (arbiter_->is_stopping()) {
            guard_->on_stopping();
            service_->stopping();
        }
        link_->settled();
        note_sockets();
        plugins_->settle();
        server_->controller()->rest();
        link_->save_beside(record_.saved(*plugins_));
        bus_.drain();
        page_.took(keeper_->received());
        // What this sets going (calls, events, answers to hooks) is for the next turn, and that is at once.
        const bool asked = hook_libraries_.deliver(Monotonic::now() + kPluginBudget);
        const bool more = plugins_->deliver(kPluginBudget) || asked;
        if (more || !board_.is_idle())
            again_.start();
        else
            again_.stop();
        arm();
        if (arbiter_->is_stopped()) {
            if (!is_output_delivered()) return;
            plugins_->stop(arbiter_->is_hurried() ? Milliseconds(0) : plugin::kStopDeadline);
            plugins_->settle();
            if (!plugins_->is_stopped()) return;
            hook_libraries_.close();
            loop_.stop();
        }
    }

    // What the last workers wrote reaches the plugins that take it, before these are stopped.
    bool is_output_delivered() {
        if (arbiter_->is_hurried() || streams_.is_delivered()) return true;
        if (!deliver_until_) {
            deliver_until_ = Monotonic::now() + kOutputDeadline;
            output_deadline_.start(kOutputDeadline);
        }
        return Monotonic::now() >= *deliver_until_;
    }

    void arm() {
        const auto next = arbiter_->next_alarm();
        if (next == armed_) return;
        armed_ = next;
        if (next)
            alarm_.start_at(*next);
        else
            alarm_.stop();
    }

    // Often enough that a loop that has nothing to do is never taken for one that hangs.
    Duration heartbeat() const {
        const Duration limit = from_seconds(arbiter_->config().arbiter_timeout);
        if (limit == Duration::zero()) return std::chrono::hours(1);  // nobody looks
        return std::max<Duration>(limit / 4, Milliseconds(20));
    }

    // Without a word to the keeper, and without a trace on what the next one needs.
    int give_up() {
        keeper_.reset();
        close_log();
        ::_exit(1);
    }

    int leave(int code) {
        if (server_) server_->finish();
        publisher_.reset();
        if (settings_) settings_->close();
        if (arbiter_) arbiter_->close_sockets();
        pidfile_.remove();
        if (link_ && link_->is_alone()) sys::kill_instance(hello_->instance);
        keeper_->exit(code);
        keeper_->flush(kFlushDeadline);
        stuck_ = !probes_port_.close();
        stuck_ = !worker_.close() || stuck_;
        return code;
    }

    const ArbiterOptions& options_;
    const std::vector<std::string> environment_;
    const SystemClock clock_;
    std::mt19937 random_{std::random_device{}()};
    int exit_code_ = 0;
    bool stuck_ = false;
    bool early_stop_ = false;
    bool is_unwanted_ = false;  // asked to stop before there was anything
    Pidfile pidfile_;

    loop::Loop loop_;
    loop::TurnClock turns_{loop_};
    std::optional<keeper::HelloMessage> hello_;
    std::optional<loop::KeeperClient> keeper_;
    std::optional<InstanceGuard> guard_;
    std::optional<std::uint64_t> noted_sockets_;  // their version
    std::optional<ServiceManager> service_;
    SharedPage page_;
    PageWitness witness_{page_};
    supervise::Inheritance inheritance_;
    std::vector<keeper::ExitedMessage> early_exits_;
    std::string left_state_;
    PluginRecord record_;
    bool greeted_ = false;
    EndpointHolds holds_;
    loop::ZmqContext zmq_;
    std::optional<loop::ZmqPump> publisher_;
    bus::Bus bus_{clock_, [this](const bus::Event& event) {
                      if (publisher_) publisher_->send({event.topic, event.wire});
                  }};
    EventsPort events_port_{bus_};
    stream::Streams streams_{loop_,
                             {.trouble = [this](const stream::Trouble& trouble) { tell_trouble(trouble); },
                              .journal = [this] { return streams_port_.journal(); }}};
    StreamsPort streams_port_{streams_};
    DeathMemory death_memory_;
    std::optional<KeeperLink> link_;
    std::optional<SocketReadinessPort> readiness_port_;
    UniqueFd notify_;  // of the arbiter before
    std::optional<NotifyPort> notify_port_;
    ProbesPort probes_port_{
        loop_, [this](loop::Prober::Id id, const Status& answered) { arbiter_->on_looked(id, answered); }};
    loop::Worker worker_{loop_};
    WorkerThread worker_port_{worker_};
    std::optional<Settings> settings_;
    std::unique_ptr<control::Server> server_;
    std::unique_ptr<supervise::Arbiter> arbiter_;
    // Taken down before what they act on.
    supervise::HookRegistry hooks_;
    plugin::Gauges gauges_;
    const plugin::Catalog catalog_ = plugin::Catalog::of_this_program();
    plugin::PrivateRouter router_{loop_, zmq_};
    plugin::Switchboard board_{{bus_, hooks_, gauges_, clock_, loop_, streams_}};
    plugin::HookLibraries hook_libraries_{loop_, board_};
    supervise::SocketDrain drain_;
    std::optional<plugin::Plugins> plugins_;
    std::optional<Upgrade> upgrade_;
    std::optional<control::Figures> figures_;
    // Another arbiter follows: nothing is taken down.
    loop::Timer leaving_{loop_, [] {
                             close_log();
                             ::_exit(0);
                         }};
    loop::Idle again_{loop_, [] {}};  // keeps the loop awake
    loop::Timer alarm_{loop_, [this] {
                           armed_.reset();
                           arbiter_->on_time();
                       }};
    std::optional<TimePoint> armed_, deliver_until_;
    loop::Timer output_deadline_{loop_, [] {}};  // wakes the loop
    loop::Timer beat_{loop_, [] {}};             // wakes a loop that has nothing to do
    loop::Timer let_go_{loop_, [] { sys::let_go_of_own_code(); }};
    loop::Timer news_{loop_, [this] { plugins_->tell_quarantines(); }};
    loop::Prepare turn_{loop_, [this] {
                            end_of_turn();
                            turns_.end_turn();
                        }};
};

}  // namespace

int run_arbiter(const ArbiterOptions& options) {
    // Whoever reads stderr may go away. Nothing is started from here: workers get their dispositions from the
    // keeper.
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ,
             SIG_IGN);  // a limit on the size of files is EFBIG, for what is saved as for what is logged
    int code = 0;
    {
        ArbiterProcess process(options);
        code = process.run();
        if (process.is_stuck()) {
            close_log();
            ::_exit(code);
        }
    }
    if (!close_log()) ::_exit(code);
    return code;
}

}  // namespace circus::bin
