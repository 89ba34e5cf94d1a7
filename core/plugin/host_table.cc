// The queue, the registrations and the tokens. host_functions.cc has the functions of the ABI.
#include "plugin/host_table.hpp"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "base/text.hpp"
#include "plugin/abi_text.hpp"
#include "plugin/frames.hpp"
#include "plugin/host_functions.hpp"

namespace circus::plugin {

HostTable::HostTable(loop::Loop& loop, Backend& backend, std::string plugin, std::uint32_t size)
    : loop_(loop),
      backend_(backend),
      plugin_(std::move(plugin)),
      table_(std::make_unique<Table>(*this, size)),
      meter_(plugin_,
             [this](const std::string& line) {
                 backend_.log(log::Level::Warning, cat("plugin ", plugin_, ": ", line));
             }),
      sinks_(*this, backend),
      deadline_(loop, [this] { on_deadline(); }),
      inbox_(loop),
      sender_(inbox_.sender()) {}

HostTable::~HostTable() {
    close();
}

const circus_host* HostTable::raw() const {
    return table_->host();
}

void HostTable::misbehaving(const std::string& what) {
    meter_.error();
    backend_.log(log::Level::Error, cat("plugin ", plugin_, " misbehaving: ", what));
}

bool HostTable::on_loop(const char* function) {
    if (std::this_thread::get_id() == thread_) return true;
    misbehaving(cat(std::string_view(function), " was called off the loop"));
    return false;
}

// For what needs a plugin that runs.
bool HostTable::is_usable(const char* function) {
    if (open_) return true;
    misbehaving(cat(std::string_view(function), " was called before start or after stop"));
    return false;
}

void HostTable::open() {
    open_ = true;
}

std::vector<std::string> HostTable::close() {
    open_ = false;
    std::vector<std::string> left;
    while (!registrations_.empty()) {
        left.push_back(registrations_.begin()->second.text());
        forget(registrations_.begin()->first);
    }
    hand_over();
    std::map<circus_token, Owed> owed;
    {
        const std::lock_guard lock(mutex_);
        owed.swap(tokens_);
    }
    deadline_.stop();
    for (auto& [token, each] : owed)
        each.answered(CIRCUS_E_NOT_FOUND, reason_json(cat("the plugin ", plugin_, " has stopped")));
    // Calls of commands and hooks that were not made yet answer for themselves: nothing is registered.
    for (Delivery& each : std::exchange(queue_, {}))
        if (each.registration == 0 && each.answers) each.run();
    events_waiting_ = 0;
    return left;
}

// ---- calls into the plugin ----

circus_status HostTable::run(std::string_view callback, const std::function<circus_status()>& function,
                             std::string& why) {
    error_.clear();
    const circus_status status = meter_.run(callback, function);
    if (status < 0 && status != CIRCUS_E_AGAIN) meter_.error();
    why = std::exchange(error_, {});
    if (why.empty() && status < 0) why = status_words(status);
    return status;
}

void HostTable::queue(circus_id registration, std::function<void()> run, bool answers) {
    queue_.push_back({registration, std::move(run), answers});
}

bool HostTable::deliver(TimePoint until) {
    const bool busy = !queue_.empty();
    while (!queue_.empty()) {
        const Delivery next = std::move(queue_.front());
        queue_.pop_front();
        if (next.registration == 0 || registrations_.contains(next.registration)) next.run();
        if (Monotonic::now() >= until) break;
    }
    return busy;
}

void HostTable::event(circus_id to, std::string topic, std::string json) {
    if (events_waiting_ >= kMostEvents) {
        if (events_dropped_++ == 0)
            misbehaving(cat("it does not keep up: ", kMostEvents, " events wait for it, more are dropped"));
        return;
    }
    ++events_waiting_;
    queue(0, [this, to, topic = std::move(topic), json = std::move(json)] {
        --events_waiting_;
        const auto at = registrations_.find(to);
        if (at == registrations_.end()) return;
        const auto function = at->second.event;
        void* const user = at->second.user;
        // The plugin may end the registration, and with it the name.
        const std::string name = at->second.text();
        meter_.run(name, [&] { function(user, to_abi(topic), to_abi(json)); });
    });
}

void HostTable::invoke_command(circus_id command, std::string properties, Answered answered) {
    queue(
        0,
        [this, command, properties = std::move(properties), answered = std::move(answered)] {
            const auto at = registrations_.find(command);
            if (at == registrations_.end())
                return answered(CIRCUS_E_NOT_FOUND,
                                reason_json(cat("the plugin ", plugin_, " has taken it back")));
            const std::string name = at->second.text();
            const auto function = at->second.command;
            void* const user = at->second.user;
            const circus_token token = owe(name, kAnswerDeadline, answered);
            std::string why;
            const circus_status status = run(
                name, [&] { return function(user, to_abi(properties), token); }, why);
            returned(token, status, why);
        },
        true);
}

void HostTable::invoke_hook(circus_id hook, std::string point, std::string watcher, std::string args,
                            Answered answered) {
    queue(
        0,
        [this, hook, text = HookText{std::move(point), std::move(watcher), std::move(args)},
         answered = std::move(answered)] {
            const auto at = registrations_.find(hook);
            if (at == registrations_.end())
                return answered(CIRCUS_E_NOT_FOUND,
                                reason_json(cat("the plugin ", plugin_, " has taken it back")));
            call_hook(at->second.hook, at->second.user, at->second.text(), text, answered);
        },
        true);
}

void HostTable::invoke(circus_hook_fn function, std::string what, std::string point, std::string watcher,
                       std::string args, Answered answered) {
    queue(
        0,
        [this, function, what = std::move(what),
         text = HookText{std::move(point), std::move(watcher), std::move(args)},
         answered = std::move(answered)] {
            if (!open_) return answered(CIRCUS_E_NOT_FOUND, reason_json("circusd is stopping"));
            call_hook(function, const_cast<circus_host*>(raw()), what, text, answered);
        },
        true);
}

void HostTable::open_sink(circus_id offer, SinkId sink, std::string options) {
    queue(offer, [this, offer, sink, options = std::move(options)] { sinks_.open(offer, sink, options); });
}

void HostTable::write_sink(SinkId sink, std::vector<stream::Chunk> batch) {
    queue(0, [this, sink, batch = std::move(batch)] { sinks_.write(sink, batch); });
}

void HostTable::close_sink(SinkId sink) {
    queue(0, [this, sink] { sinks_.close(sink); });
}

void HostTable::call_hook(circus_hook_fn function, void* user, const std::string& what, const HookText& text,
                          const Answered& answered) {
    circus_hook_call call{};
    call.size = sizeof call;
    call.hook = to_abi(text.point);
    call.watcher = to_abi(text.watcher);
    call.args_json = to_abi(text.args);
    call.answer = owe(what, kAnswerDeadline, answered);
    std::string why;
    const circus_status status = run(
        what, [&] { return function(user, &call); }, why);
    returned(call.answer, status, why);
}

// ---- registrations ----

std::string HostTable::Registration::text() const {
    switch (kind) {
        case Kind::Event:
            return cat("subscription ", name);
        case Kind::Command:
            return cat("command ", name);
        case Kind::Hook:
            return cat("hook ", name);
        case Kind::Sink:
            return cat("class of streams ", name);
        case Kind::Timer:
            return "timer";
        case Kind::Fd:
            return cat("descriptor ", fd);
    }
    return {};
}

circus_status HostTable::enter(Registration registration, const std::string& detail, circus_id* out) {
    const circus_id id = ++last_id_;
    std::string why;
    const auto declared = declared_as(registration.kind);
    if (declared) {
        const circus_status status = backend_.declare(*declared, registration.name, detail, id, why);
        if (status != CIRCUS_OK) {
            error_ = why;
            return status;
        }
    }
    registrations_.emplace(id, std::move(registration));
    *out = id;
    return CIRCUS_OK;
}

std::optional<Declared> HostTable::declared_as(Kind kind) {
    switch (kind) {
        case Kind::Event:
            return Declared::Event;
        case Kind::Command:
            return Declared::Command;
        case Kind::Hook:
            return Declared::Hook;
        case Kind::Sink:
            return Declared::Sink;
        case Kind::Timer:
        case Kind::Fd:
            break;
    }
    return std::nullopt;
}

circus_status HostTable::cancel(circus_id id) {
    if (!registrations_.contains(id)) return CIRCUS_E_NOT_FOUND;
    forget(id);
    return CIRCUS_OK;
}

void HostTable::forget(circus_id id) {
    const auto at = registrations_.find(id);
    if (at->second.kind == Kind::Sink) sinks_.withdraw(id);
    if (const auto declared = declared_as(at->second.kind)) backend_.retract(*declared, id);
    registrations_.erase(at);
}

void HostTable::fire_timer(circus_id id) {
    Registration& timer = registrations_.at(id);
    if (std::exchange(timer.waiting, true)) return;
    queue(id, [this, id] {
        Registration& due = registrations_.at(id);
        due.waiting = false;
        const auto task = due.task;
        void* const user = due.user;
        if (due.once) registrations_.erase(id);
        meter_.run("timer", [&] { task(user); });
    });
}

void HostTable::fire_fd(circus_id id, std::uint32_t events) {
    Registration& watched = registrations_.at(id);
    watched.ready |= events;
    if (std::exchange(watched.waiting, true)) return;
    queue(id, [this, id] {
        Registration& due = registrations_.at(id);
        due.waiting = false;
        const std::uint32_t ready = std::exchange(due.ready, 0);
        const auto function = due.on_fd;
        void* const user = due.user;
        const int fd = due.fd;
        meter_.run(cat("descriptor ", fd), [&] { function(user, fd, ready); });
    });
}

// ---- tokens ----

circus_token HostTable::owe(std::string what, Milliseconds deadline, Answered answered) {
    const std::lock_guard lock(mutex_);
    tokens_[++last_token_] = {std::move(what), Monotonic::now() + deadline, std::move(answered)};
    const circus_token token = last_token_;
    watch_deadlines();
    return token;
}

std::optional<HostTable::Owed> HostTable::take(circus_token token) {
    const std::lock_guard lock(mutex_);
    auto found = tokens_.extract(token);
    if (found.empty()) return std::nullopt;
    return std::move(found.mapped());
}

void HostTable::returned(circus_token token, circus_status status, const std::string& why) {
    if (status == CIRCUS_PENDING) return;
    auto owed = take(token);
    if (!owed) {
        misbehaving("a token was answered by complete(), and again by the status of its function");
        return;
    }
    owed->answered(status, status == CIRCUS_OK || why.empty() ? "{}" : reason_json(why));
}

circus_status HostTable::complete(circus_token token, circus_status status, std::string json) {
    const bool is_object = json.empty() || parse_json(json).is_object();
    auto owed = take(token);
    if (!owed) {
        misbehaving("a token was answered twice, too late, or is none");
        return CIRCUS_E_INVALID;
    }
    if (json.empty()) json = "{}";
    if (!is_object || status == CIRCUS_PENDING) {
        misbehaving(cat("the answer to ", owed->what, " is ", is_object ? "PENDING" : "no JSON object"));
        status = CIRCUS_E_INVALID;
        json = reason_json("the plugin's answer is no JSON object");
    }
    {
        const std::lock_guard lock(mutex_);
        completed_.push_back({std::move(owed->answered), status, std::move(json)});
    }
    sender_.post([this] { hand_over(); });
    return is_object ? CIRCUS_OK : CIRCUS_E_INVALID;
}

void HostTable::hand_over() {
    std::vector<Completed> completed;
    {
        const std::lock_guard lock(mutex_);
        completed.swap(completed_);
    }
    for (const Completed& each : completed) each.answered(each.status, each.json);
}

// Under the lock.
void HostTable::watch_deadlines() {
    if (tokens_.empty()) return;
    const auto next = std::min_element(tokens_.begin(), tokens_.end(), [](const auto& a, const auto& b) {
        return a.second.deadline < b.second.deadline;
    });
    deadline_.start_at(next->second.deadline);
}

void HostTable::on_deadline() {
    std::vector<Owed> late;
    {
        const std::lock_guard lock(mutex_);
        const TimePoint now = Monotonic::now();
        for (auto at = tokens_.begin(); at != tokens_.end();) {
            if (at->second.deadline > now) {
                ++at;
                continue;
            }
            late.push_back(std::move(at->second));
            at = tokens_.erase(at);
        }
        watch_deadlines();
    }
    for (const Owed& each : late) {
        misbehaving(cat(each.what, " was not answered in time"));
        each.answered(CIRCUS_E_TIMEOUT, reason_json(cat("the plugin ", plugin_, " did not answer in time")));
    }
}

}  // namespace circus::plugin
