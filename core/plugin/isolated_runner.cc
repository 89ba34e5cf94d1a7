#include "plugin/isolated_runner.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "plugin/abi_text.hpp"
#include "plugin/frames.hpp"
#include "plugin/instance.hpp"

namespace circus::plugin {

IsolatedRunner::IsolatedRunner(loop::Loop& loop, Switchboard& board, PrivateRouter& router,
                               supervise::Arbiter& arbiter, const std::string& program,
                               const config::PluginConfig& config)
    : board_(board),
      router_(router),
      arbiter_(arbiter),
      config_(config),
      watcher_name_(cat(config::kHiddenPrefix, config.name)),
      serial_(board.enter(*this, config.name)),
      token_(router.enter(*this)),
      deadline_(loop, [this] { on_deadline(); }) {
    events_ = board_.services().bus.subscribe("plugin.*",
                                              [this](const bus::Event& event) { on_process_event(event); });
    if (const Status spawned = spawn(program); !spawned) end(spawned.error().text);
}

IsolatedRunner::~IsolatedRunner() {
    fail_owed(CIRCUS_E_NOT_FOUND, "the plugin has stopped");
    declarations_.reset();
    board_.services().bus.unsubscribe(events_);
    router_.leave(token_);
    board_.leave(serial_);
}

Status IsolatedRunner::spawn(const std::string& program) {
    if (const Status open = router_.open(); !open) return open.error();
    config::WatcherConfig watcher;
    watcher.name = watcher_name_;
    watcher.hidden = true;
    watcher.cmd = "circus-plugin";
    watcher.executable = program;
    watcher.args = {"--isolated", config_.name};
    watcher.copy_env = true;
    watcher.env = {{kEndpointVariable, router_.endpoint()}, {kTokenVariable, token_}};
    watcher.max_retry = -1;
    // It stops its plugin within the deadline, and has a moment to say so.
    watcher.graceful_timeout = to_seconds(kStopDeadline) + 3;
    auto added = arbiter_.add(std::move(watcher));
    if (!added) return added.error();
    arbiter_.start(**added, {});
    return Ok{};
}

void IsolatedRunner::end(std::string error) {
    phase_ = Phase::Ended;
    error_ = std::move(error);
}

void IsolatedRunner::stop(Milliseconds deadline) {
    if (phase_ == Phase::Stopping || phase_ == Phase::Ended) return;
    phase_ = Phase::Stopping;
    supervise::Watcher* const watcher = arbiter_.find_hidden(watcher_name_);
    if (!watcher) return end(failure_);
    if (deadline < kStopDeadline) watcher->kill_all_now();
    arbiter_.remove(*watcher, false, [this](const Result<supervise::OpResult>&) { end(failure_); });
}

bool IsolatedRunner::say(std::string text, std::string bytes) {
    if (!connected_) return false;
    if (router_.send(token_, std::move(text), std::move(bytes))) return true;
    if (lost_++ == 0)
        log::error(
            cat("plugin ", config_.name, " misbehaving: it does not keep up: messages to it are dropped"));
    return false;
}

// ---- its process ----

void IsolatedRunner::on_hello() {
    if (phase_ != Phase::Starting) return;
    connected_ = true;
    make_declarations();
    Json start{{"m", "start"}, {"name", config_.name}, {"file", config_.file}};
    const std::string& kept = board_.keepsakes().of(config_.name);
    if (!kept.empty()) start["kept"] = Json::parse(kept);
    say(frame(start, "options", config_.options));
    gauges_seen_ = 0;
}

void IsolatedRunner::make_declarations() {
    declarations_.emplace(
        board_, serial_, config_.name,
        Declarations::Ways{
            [this](circus_id id, const bus::Event& event) {
                say(frame({{"m", "event"}, {"id", id}, {"topic", event.topic}}, "payload", event.payload));
            },
            [this](circus_id id, const std::string& properties, HostTable::Answered answered) {
                const std::uint64_t token = owe(cat("command ", id), std::move(answered));
                say(frame({{"m", "invoke"}, {"token", token}, {"id", id}, {"kind", Declared::Command}},
                          "properties", properties));
            }},
        static_cast<SinkPort&>(*this));
}

void IsolatedRunner::on_process_event(const bus::Event& event) {
    const std::string mine = cat("plugin.", bus::resource(config_.name));
    const bool is_spawn = event.topic == cat(mine, ".spawn");
    if (phase_ == Phase::Ended || !(is_spawn || event.topic == cat(mine, ".reap"))) return;
    const Json facts = Json::parse(event.payload, nullptr, false);
    const auto pid = facts.value("process_pid", pid_t{0});
    if (is_spawn) {
        pid_ = pid;
        return;
    }
    // That of the arbiter before, which ends while ours is there already.
    if (pid != pid_) return;
    connected_ = false;
    declarations_.reset();
    fail_owed(CIRCUS_E_NOT_FOUND, cat("the process of the plugin ", config_.name, " has ended"));
    earlier_ = figures_;
    if (phase_ == Phase::Stopping) return;
    const int code = facts.value("exit_code", 0);
    log::error(cat("plugin ", config_.name, ": its process ended by itself, ",
                   code < 0 ? cat("killed by signal ", -code) : cat("exit code ", code),
                   "; it is started anew"));
    phase_ = Phase::Starting;
}

// ---- what it says ----

void IsolatedRunner::on_message(const Json& message) {
    const auto& what = message["m"].get_ref<const std::string&>();
    // These three may arrive after the news of its end.
    if (what == "log")
        return log::write(message.at("level").get<log::Level>(), message.at("line").get<std::string>());
    if (what == "keep") return board_.keepsakes().keep(config_.name, dump(message.at("state")));
    if (what == "failed") {
        failure_ = message.at("why").get<std::string>();
        say(frame({{"m", "leave"}}));
        return stop(kStopDeadline);
    }
    if (!connected_ || !declarations_) return;
    if (what == "call") {
        call(message);
    } else if (what == "publish") {
        board_.services().bus.publish_topic(message.at("topic").get<std::string>(), message.at("payload"));
    } else if (what == "answer") {
        on_answer(message);
    } else if (what == "declare") {
        declare(message);
    } else if (what == "retract") {
        declarations_->remove(message.at("kind").get<Declared>(), message.at("id").get<circus_id>());
    } else if (what == "gauge") {
        board_.services().gauges.set(message.at("watcher").get<std::string>(),
                                     message.at("name").get<std::string>(), message.at("value").get<double>(),
                                     config_.name);
    } else if (what == "figures") {
        figures_ = {earlier_.calls + message.at("calls").get<std::uint64_t>(),
                    earlier_.slow + message.at("slow").get<std::uint64_t>(),
                    earlier_.errors + message.at("errors").get<std::uint64_t>(),
                    earlier_.time + std::chrono::nanoseconds(message.at("ns").get<long long>())};
    } else if (what == "started") {
        if (phase_ == Phase::Starting) phase_ = Phase::Running;
    } else if (what == "opened") {
        declarations_->stream_classes().opened(message.at("sink").get<SinkId>(),
                                               message.at("status").get<circus_status>(),
                                               message.at("why").get<std::string>());
    } else if (what == "took") {
        declarations_->stream_classes().took(
            message.at("sink").get<SinkId>(), message.at("count").get<std::size_t>(),
            message.at("status").get<circus_status>(), message.at("why").get<std::string>());
    } else if (what == "ready") {
        declarations_->stream_classes().ready(message.at("sink").get<SinkId>());
    } else if (what == "refused") {
        refusal_ = message.at("why").get<std::string>();
    } else if (what == "bye") {
        declarations_.reset();
        say(frame({{"m", "leave"}}));
    }
}

void IsolatedRunner::declare(const Json& message) {
    std::string why;
    const auto id = message.at("id").get<circus_id>();
    const circus_status status =
        declarations_->add(message.at("kind").get<Declared>(), message.at("name").get<std::string>(),
                           message.at("detail").get<std::string>(), id, why);
    say(frame({{"m", "declared"}, {"id", id}, {"status", status}, {"why", why}}));
}

void IsolatedRunner::call(const Json& message) {
    const auto id = message.at("id").get<std::uint64_t>();
    Backend::Reply reply;
    if (id != 0)
        reply = [this, id](circus_status status, const std::string& json) {
            say(frame({{"m", "reply"}, {"id", id}, {"status", status}}, "answer", json));
        };
    board_.call(serial_, message.at("command").get<std::string>(), dump(message.at("properties")),
                std::move(reply));
}

void IsolatedRunner::reconfigure(const config::PluginConfig& config) {
    config_ = config;
    say(frame({{"m", "reconfigure"}}, "options", config.options));
}

// ---- tokens ----

std::uint64_t IsolatedRunner::owe(std::string what, HostTable::Answered answered) {
    owed_[++last_owed_] = {std::move(what), Monotonic::now() + kFarAnswerDeadline, std::move(answered)};
    watch_deadlines();
    return last_owed_;
}

void IsolatedRunner::on_answer(const Json& message) {
    auto owed = owed_.extract(message.at("token").get<std::uint64_t>());
    if (!owed.empty())
        owed.mapped().answered(message.at("status").get<circus_status>(), dump(message.at("answer")));
}

void IsolatedRunner::fail_owed(circus_status status, const std::string& why) {
    for (auto& [token, each] : std::exchange(owed_, {})) each.answered(status, reason_json(why));
}

void IsolatedRunner::watch_deadlines() {
    if (!owed_.empty()) deadline_.start_at(owed_.begin()->second.deadline);
}

// All have the same deadline, so the oldest is the first.
void IsolatedRunner::on_deadline() {
    const TimePoint now = Monotonic::now();
    while (!owed_.empty() && owed_.begin()->second.deadline <= now) {
        auto late = owed_.extract(owed_.begin());
        log::error(
            cat("plugin ", config_.name, " misbehaving: ", late.mapped().what, " was not answered in time"));
        late.mapped().answered(CIRCUS_E_TIMEOUT,
                               reason_json(cat("the plugin ", config_.name, " did not answer in time")));
    }
    watch_deadlines();
}

void IsolatedRunner::ask(circus_id hook, const supervise::HookCall& call, supervise::HookAnswered answered) {
    const std::uint64_t token =
        owe(cat("hook ", call.hook),
            [answered = std::move(answered)](circus_status status, const std::string& json) {
                answered(hook_answer(status, json));
            });
    say(frame({{"m", "invoke"},
               {"token", token},
               {"id", hook},
               {"kind", Declared::Hook},
               {"hook", call.hook},
               {"watcher", call.watcher}},
              "args", call.args));
}

// ---- sinks ----

bool IsolatedRunner::open_sink(circus_id offer, SinkId sink, const std::string& options) {
    return say(frame({{"m", "open"}, {"id", offer}, {"sink", sink}}, "options", options));
}

bool IsolatedRunner::write_sink(SinkId sink, std::vector<stream::Chunk> batch) {
    auto [text, bytes] = chunks_frame(sink, batch);
    return say(std::move(text), std::move(bytes));
}

void IsolatedRunner::close_sink(SinkId sink) {
    say(frame({{"m", "close"}, {"sink", sink}}));
}

// Nothing waits here; what others have set of gauges is told.
bool IsolatedRunner::deliver(TimePoint) {
    if (!connected_) return false;
    for (const auto& each : board_.services().gauges.changed_since(gauges_seen_))
        if (each.value.by != config_.name)
            say(frame(
                {{"m", "gauge"},
                 {"watcher", each.watcher},
                 {"name", each.name},
                 {"value", each.value.value},
                 {"age",
                  std::chrono::duration_cast<Milliseconds>(Monotonic::now() - each.value.set).count()}}));
    return false;
}

}  // namespace circus::plugin
