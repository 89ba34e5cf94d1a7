// The C++ side of circus/abi.h: a base class, registrations that end with their owner, JSON as values.
// Compiled into the plugin; none of it crosses the line. One long header on purpose: a plugin includes
// this and nothing else of ours.
//
//     class Greeter final : public circus::Plugin {
//       public:
//         using Plugin::Plugin;
//         void start() override {
//             deaths_ = on("watcher.*.reap", [this](std::string_view topic, const circus::Json&) {
//                 host().info("somebody died: " + std::string(topic));
//             });
//         }
//       private:
//         circus::Registration deaths_;
//     };
//     CIRCUS_PLUGIN(Greeter, "greeter", "1.0", "says who died", "{}")
//
// Everything here belongs to the loop's thread, except Host::log(), Host::now(), Host::post() and Deferred.
// An exception that leaves a function of the plugin becomes CIRCUS_E_EXCEPTION and its text, or a line in the
// log where there is no status to return.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "circus/abi.h"

namespace circus {

using Json = nlohmann::json;

namespace detail {

inline circus_str to_abi(std::string_view text) noexcept {
    return {text.data(), text.size()};
}
inline std::string_view from_abi(circus_str text) noexcept {
    return text.len == 0 ? std::string_view() : std::string_view(text.data, text.len);
}
// Bytes that are not UTF-8 are replaced: a text never makes a message invalid.
inline std::string dump(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}
inline Json parse(circus_str text) {
    return text.len == 0 ? Json::object() : Json::parse(from_abi(text));
}

}  // namespace detail

// Thrown by the plugin to fail with a status of its choice; anything else that is thrown is
// CIRCUS_E_EXCEPTION.
class Failure : public std::runtime_error {
  public:
    Failure(circus_status status, const std::string& why) : std::runtime_error(why), status_(status) {}
    circus_status status() const noexcept { return status_; }

  private:
    circus_status status_;
};

inline const char* status_text(circus_status status) noexcept {
    switch (status) {
        case CIRCUS_OK:
            return "ok";
        case CIRCUS_PENDING:
            return "pending";
        case CIRCUS_DENY:
            return "denied";
        case CIRCUS_E_INVALID:
            return "invalid";
        case CIRCUS_E_UNSUPPORTED:
            return "not supported";
        case CIRCUS_E_NOT_FOUND:
            return "not found";
        case CIRCUS_E_CONFLICT:
            return "in use";
        case CIRCUS_E_AGAIN:
            return "not now";
        case CIRCUS_E_TIMEOUT:
            return "too late";
        case CIRCUS_E_NO_MEMORY:
            return "out of memory";
        case CIRCUS_E_EXCEPTION:
            return "an exception";
        case CIRCUS_E_THREAD:
            return "called off the loop";
        default:
            return "unknown status";
    }
}

namespace detail {

// The only catch in the SDK. `fail(status, text)` says what becomes of an exception.
template <class F, class Fail>
circus_status catching(F&& body, const Fail& fail) noexcept {
    try {
        return std::forward<F>(body)();
    } catch (const Failure& failure) {
        return fail(failure.status(), failure.what());
    } catch (const std::bad_alloc&) {
        return fail(CIRCUS_E_NO_MEMORY, "out of memory");
    } catch (const std::exception& thrown) {
        return fail(CIRCUS_E_EXCEPTION, thrown.what());
    } catch (...) {
        return fail(CIRCUS_E_EXCEPTION, "something that is no std::exception was thrown");
    }
}

}  // namespace detail

// The body of a function that the host calls for a status: the text of an exception goes to set_error.
template <class F>
circus_status guard(const circus_host* host, F&& body) noexcept {
    return detail::catching(std::forward<F>(body), [host](circus_status status, const char* why) noexcept {
        host->set_error(host, detail::to_abi(why));
        return status;
    });
}

// The same for a callback that has no status to return: the text goes to the log.
template <class F>
void guard_task(const circus_host* host, F&& body) noexcept {
    detail::catching(
        [&body] {
            std::forward<F>(body)();
            return CIRCUS_OK;
        },
        [host](circus_status status, const char* why) noexcept {
            host->log(host, CIRCUS_ERROR, detail::to_abi(why));
            return status;
        });
}

// The host, as a value to copy.
class Host {
  public:
    explicit Host(const circus_host* host) noexcept : host_(host) {}
    const circus_host* raw() const noexcept { return host_; }

    void log(circus_level level, std::string_view line) const noexcept {
        host_->log(host_, level, detail::to_abi(line));
    }
    void debug(std::string_view line) const noexcept { log(CIRCUS_DEBUG, line); }
    void info(std::string_view line) const noexcept { log(CIRCUS_INFO, line); }
    void warning(std::string_view line) const noexcept { log(CIRCUS_WARNING, line); }
    void error(std::string_view line) const noexcept { log(CIRCUS_ERROR, line); }
    std::chrono::nanoseconds now() const noexcept { return std::chrono::nanoseconds(host_->now_ns(host_)); }
    void publish(std::string_view topic, const Json& payload) const {
        const std::string text = detail::dump(payload);
        check(host_->publish(host_, detail::to_abi(topic), detail::to_abi(text)), "publish");
    }
    // The table of an extension; null: this host does not offer it, or an older one of less size.
    template <class Table>
    const Table* extension(const char* id) const {
        const auto* table = static_cast<const Table*>(host_->extension(host_, id));
        return table && table->size >= sizeof(Table) ? table : nullptr;
    }
    template <class Table>
    const Table& need(const char* id) const {
        if (const Table* table = extension<Table>(id)) return *table;
        throw Failure(CIRCUS_E_UNSUPPORTED, std::string("this host does not offer ") + id);
    }
    struct Gauge {
        double value;
        std::chrono::milliseconds age;
    };
    // Of circus.gauges/1. Nothing: nobody has set it.
    std::optional<Gauge> gauge(std::string_view watcher, std::string_view name) const {
        double value = 0;
        std::uint64_t age = 0;
        const circus_status status =
            need<circus_ext_gauges>(CIRCUS_EXT_GAUGES)
                .get(host_, detail::to_abi(watcher), detail::to_abi(name), &value, &age);
        if (status == CIRCUS_E_NOT_FOUND) return std::nullopt;
        check(status, "gauge");
        return Gauge{value, std::chrono::milliseconds(age)};
    }
    void set_gauge(std::string_view watcher, std::string_view name, double value) const {
        check(need<circus_ext_gauges>(CIRCUS_EXT_GAUGES)
                  .set(host_, detail::to_abi(watcher), detail::to_abi(name), value),
              "gauge");
    }
#ifdef CIRCUS_EXT_STATE  // not in the header of ABI 1.0
    // Of circus.state/1: an object for the instance after this one, should this one be lost. See
    // circus_ext_state.
    void keep(const Json& state) const {
        const std::string text = detail::dump(state);
        if (text.size() > CIRCUS_STATE_MAX)
            throw Failure(CIRCUS_E_INVALID, "keep: " + std::to_string(text.size()) + " bytes, of " +
                                                std::to_string(CIRCUS_STATE_MAX) + " at most");
        check(need<circus_ext_state>(CIRCUS_EXT_STATE).keep(host_, detail::to_abi(text)), "keep");
    }
    // What was kept last, by this instance or else by the one before. Nothing: a start from nothing.
    std::optional<Json> kept() const {
        circus_str json{};
        const circus_status status = need<circus_ext_state>(CIRCUS_EXT_STATE).kept(host_, &json);
        if (status == CIRCUS_E_NOT_FOUND) return std::nullopt;
        check(status, "kept");
        return detail::parse(json);
    }
#endif
    static void check(circus_status status, const char* what) {
        if (status < 0) throw Failure(status, std::string(what) + ": " + status_text(status));
    }

  private:
    const circus_host* host_;
};

namespace detail {

// Tasks on their way from other threads. Those that the host drops when the plugin stops end with it.
struct Posts {
    std::mutex mutex;
    std::deque<std::function<void()>> waiting;
    const circus_host* host = nullptr;
};

// What a registration's `user` points to. Lives until the last of: its Registration, its Plugin's list, and a
// call of it that is under way (so that a callback may end its own registration).
struct Box : std::enable_shared_from_this<Box> {
    explicit Box(Host h) : host(h) {}
    virtual ~Box() = default;
    Box(const Box&) = delete;
    Box& operator=(const Box&) = delete;

    void cancel() noexcept {
        if (const circus_id mine = std::exchange(id, 0)) host.raw()->cancel(host.raw(), mine);
    }
    // The plugin has stopped, and nothing of it runs.
    virtual void let_go() noexcept {}
    Host host;
    circus_id id = 0;  // 0: cancelled, or a one-shot that has run
};

template <class Function>
struct Callback final : Box {
    Callback(Host h, Function f) : Box(h), function(std::move(f)) {}
    Function function;
    static std::shared_ptr<Callback> of(void* user) {
        return std::static_pointer_cast<Callback>(static_cast<Box*>(user)->shared_from_this());
    }
    void* user() noexcept { return static_cast<Box*>(this); }
};

}  // namespace detail

// One registration; destroying it ends it, also from inside its own callback.
class [[nodiscard]] Registration {
  public:
    Registration() = default;
    explicit Registration(std::shared_ptr<detail::Box> box) noexcept : box_(std::move(box)) {}
    Registration(Registration&& other) noexcept = default;
    Registration& operator=(Registration&& other) noexcept {
        if (this != &other) {
            cancel();
            box_ = std::move(other.box_);
        }
        return *this;
    }
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;
    ~Registration() { cancel(); }

    void cancel() noexcept {
        if (const auto box = std::exchange(box_, nullptr)) box->cancel();
    }
    // False: none, cancelled, or a one-shot timer that has run.
    explicit operator bool() const noexcept { return box_ && box_->id != 0; }

  private:
    std::shared_ptr<detail::Box> box_;
};

// An answer that comes later, once, from any thread. Copies are the same answer.
class Deferred {
  public:
    Deferred(Host host, circus_token token) noexcept : host_(host), token_(token) {}
    void ok(const Json& fields = Json::object()) const { complete(CIRCUS_OK, fields); }
    void deny(std::string_view reason) const { complete(CIRCUS_DENY, {{"reason", reason}}); }
    void fail(std::string_view reason, circus_status status = CIRCUS_E_INVALID) const {
        complete(status, {{"reason", reason}});
    }

  private:
    void complete(circus_status status, const Json& fields) const {
        const std::string text = detail::dump(fields);
        host_.raw()->complete(host_.raw(), token_, status, detail::to_abi(text));
    }
    Host host_;
    circus_token token_;
};

// What a command or a hook answers: fields now, or a Deferred that has been or will be completed.
using Answer = std::variant<Json, Deferred>;
// Pending: by the Deferred that the hook was given. Again: ask me again after a while (before_start and
// before_spawn).
enum class Verdict { Ok, Deny, Pending, Again };

struct HookCall {
    std::string_view hook, watcher;
    Json args;
};

// Where the output of one watcher's stdout or stderr goes: what a class of streams is made of. Made when the
// first worker of the watcher starts, destroyed when nobody writes there any more, with its Registration, or
// right after the plugin's stop().
class Sink {
  public:
    struct Chunk {
        std::string_view watcher, bytes;  // whole lines of one process, or a piece of a very long one
        std::int64_t pid = 0;
        std::chrono::system_clock::time_point time{};
        bool is_stderr = false;
    };
    virtual ~Sink() = default;
    Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;

    // Takes chunks from the first on and returns how many. When it took fewer than there are, the host comes
    // again with the others after ready(), and the workers wait. It may throw: then it is closed, and another
    // one is made after a second.
    virtual std::size_t write(const std::vector<Chunk>& chunks) = 0;

  protected:
    // From any thread, until the sink is destroyed: its destructor joins its thread.
    void ready() {
        if (table_) table_->ready(host_, static_cast<void*>(this));
    }

  private:
    friend class Plugin;
    const circus_host* host_ = nullptr;
    const circus_ext_sinks* table_ = nullptr;
    detail::Box* class_ = nullptr;  // which owns it
};

class Plugin {
  public:
    using EventFn = std::function<void(std::string_view topic, const Json& payload)>;
    using TaskFn = std::function<void()>;
    using ReplyFn = std::function<void(circus_status status, const Json& answer)>;
    using TextReplyFn = std::function<void(circus_status status, std::string_view answer)>;
    using CommandFn = std::function<Answer(const Json& properties, Deferred later)>;
    using HookFn = std::function<Verdict(const HookCall& call, Deferred later)>;
    using FdFn = std::function<void(std::uint32_t events)>;
    // `options` are those of the stream's table that are the class's own.
    using SinkFn = std::function<std::unique_ptr<Sink>(const Json& options)>;

    Plugin(Host host, Json config) : host_(host), config_(std::move(config)) { posts_.host = host.raw(); }
    virtual ~Plugin() = default;
    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;

    virtual void start() {}
    // The new configuration, checked and complete; config() is the old one until it returns.
    virtual void reconfigure(const Json& /*config*/) {}
    // Join your threads here. What is still registered ends by itself, right after.
    virtual void stop() {}

    const Host& host() const noexcept { return host_; }
    const Json& config() const noexcept { return config_; }

    // From any thread, until stop() has returned: run `task` on the loop.
    void post(TaskFn task) {
        {
            const std::lock_guard lock(posts_.mutex);
            posts_.waiting.push_back(std::move(task));
        }
        const auto run = [](void* user) {
            auto& posts = *static_cast<detail::Posts*>(user);
            TaskFn next;
            {
                const std::lock_guard lock(posts.mutex);
                if (posts.waiting.empty()) return;
                next = std::move(posts.waiting.front());
                posts.waiting.pop_front();
            }
            guard_task(posts.host, next);
        };
        Host::check(raw()->post(raw(), run, &posts_), "post");
    }

    // ---- for CIRCUS_PLUGIN, not for plugins ----
    void set_config(Json config) { config_ = std::move(config); }
    void end_registrations() noexcept {
        for (const auto& each : std::exchange(boxes_, {}))
            if (const auto box = each.lock()) {
                box->cancel();
                box->let_go();
            }
    }

  protected:
    Registration on(std::string_view glob, EventFn function) {
        auto box = make(std::move(function));
        const auto call = [](void* user, circus_str topic, circus_str json) {
            const auto self = detail::Callback<EventFn>::of(user);
            guard_task(self->host.raw(),
                       [&] { self->function(detail::from_abi(topic), detail::parse(json)); });
        };
        return enter(box, raw()->subscribe(raw(), detail::to_abi(glob), call, box->user(), &box->id),
                     "subscribe");
    }

    Registration every(std::chrono::milliseconds period, TaskFn function) {
        return timer(period, period, std::move(function));
    }
    Registration after(std::chrono::milliseconds delay, TaskFn function) {
        return timer(delay, std::chrono::milliseconds::zero(), std::move(function));
    }

    // `help`: {"summary", "help", "arguments"}.
    Registration command(std::string_view name, CommandFn function, const Json& help = Json::object()) {
        const auto& commands = host_.need<circus_ext_commands>(CIRCUS_EXT_COMMANDS);
        auto box = make(std::move(function));
        const auto call = [](void* user, circus_str props, circus_token token) {
            const auto self = detail::Callback<CommandFn>::of(user);
            return guard(self->host.raw(), [&]() -> circus_status {
                const Deferred later(self->host, token);
                const Answer answer = self->function(detail::parse(props), later);
                if (const Json* fields = std::get_if<Json>(&answer)) later.ok(*fields);
                return CIRCUS_PENDING;
            });
        };
        const std::string text = detail::dump(help);
        return enter(
            box, commands.add(raw(), detail::to_abi(name), detail::to_abi(text), call, box->user(), &box->id),
            "command");
    }

    Registration hook(std::string_view point, std::string_view glob, HookFn function) {
        const auto& hooks = host_.need<circus_ext_hooks>(CIRCUS_EXT_HOOKS);
        auto box = make(std::move(function));
        const auto call = [](void* user, const circus_hook_call* asked) {
            const auto self = detail::Callback<HookFn>::of(user);
            return guard(self->host.raw(), [&]() -> circus_status {
                const HookCall given{detail::from_abi(asked->hook), detail::from_abi(asked->watcher),
                                     detail::parse(asked->args_json)};
                const Verdict verdict = self->function(given, Deferred(self->host, asked->answer));
                switch (verdict) {
                    case Verdict::Ok:
                        return CIRCUS_OK;
                    case Verdict::Deny:
                        return CIRCUS_DENY;
                    case Verdict::Again:
                        return CIRCUS_E_AGAIN;
                    case Verdict::Pending:
                        break;
                }
                return CIRCUS_PENDING;
            });
        };
        return enter(
            box, hooks.add(raw(), detail::to_abi(point), detail::to_abi(glob), call, box->user(), &box->id),
            "hook");
    }

    // Readiness of a descriptor, level-triggered: CIRCUS_FD_IN, CIRCUS_FD_OUT, CIRCUS_FD_HUP.
    Registration watch(std::int32_t fd, std::uint32_t events, FdFn function) {
        const auto& fds = host_.need<circus_ext_fds>(CIRCUS_EXT_FDS);
        auto box = make(std::move(function));
        const auto call = [](void* user, std::int32_t, std::uint32_t ready) {
            const auto self = detail::Callback<FdFn>::of(user);
            guard_task(self->host.raw(), [&] { self->function(ready); });
        };
        return enter(box, fds.watch(raw(), fd, events, call, box->user(), &box->id), "watch");
    }

    // A class of streams: `stdout_stream.class = "NAME"`. A plugin that offers some says CIRCUS_EXT_SINKS in
    // its kNeeds: by that a configuration that names the class is known to be good before the plugin runs.
    Registration stream_class(std::string_view name, SinkFn function) {
        const auto& sinks = host_.need<circus_ext_sinks>(CIRCUS_EXT_SINKS);
        auto box = std::make_shared<SinkClass>(host_, std::move(function), sinks);
        static const circus_sink functions = {sizeof(circus_sink), 0, open_sink, write_sink, close_sink};
        return enter(box, sinks.add(raw(), detail::to_abi(name), &functions, box->user(), &box->id),
                     "stream_class");
    }

    // A command as a client sends it. `function` gets CIRCUS_OK or an error, and the client's answer; it may
    // be empty. A reply that is still on its way when the plugin stops is dropped.
    void call(std::string_view name, const Json& properties = Json::object(), ReplyFn function = {}) {
        if (!function) return call_text(name, properties, {});
        call_text(name, properties,
                  [function = std::move(function)](circus_status result, std::string_view json) {
                      function(result, detail::parse(detail::to_abi(json)));
                  });
    }
    // The same with the answer's text, good for the time of the call of `function`: for who hands it on, or
    // parses it on a thread of its own and not on circusd's loop.
    void call_text(std::string_view name, const Json& properties, TextReplyFn function) {
        const std::string text = properties.is_null() ? "{}" : detail::dump(properties);
        if (!function) {
            Host::check(raw()->call(raw(), detail::to_abi(name), detail::to_abi(text), nullptr, nullptr),
                        "call");
            return;
        }
        auto reply = std::make_unique<Reply>(Reply{this, std::move(function)});
        const auto answered = [](void* user, circus_status result, circus_str json) {
            auto* const it = static_cast<Reply*>(user);
            Plugin& self = *it->plugin;
            const auto mine = self.replies_.extract(it);
            guard_task(self.raw(), [&] { mine.mapped()->function(result, detail::from_abi(json)); });
        };
        Host::check(raw()->call(raw(), detail::to_abi(name), detail::to_abi(text), answered, reply.get()),
                    "call");
        replies_.emplace(reply.get(), std::move(reply));
    }

  private:
    struct Reply {
        Plugin* plugin;
        TextReplyFn function;
    };

    // Owns the sinks of its class.
    struct SinkClass final : detail::Box {
        SinkClass(Host h, SinkFn f, const circus_ext_sinks& t) : Box(h), function(std::move(f)), table(t) {}
        void* user() noexcept { return static_cast<detail::Box*>(this); }
        void let_go() noexcept override { open.clear(); }
        SinkFn function;
        const circus_ext_sinks& table;
        std::map<const Sink*, std::unique_ptr<Sink>> open;
    };
    static circus_status open_sink(void* user, circus_str options, void** out) {
        const auto self =
            std::static_pointer_cast<SinkClass>(static_cast<detail::Box*>(user)->shared_from_this());
        return guard(self->host.raw(), [&] {
            auto sink = self->function(detail::parse(options));
            if (!sink) throw Failure(CIRCUS_E_INVALID, "there is no sink");
            sink->host_ = self->host.raw();
            sink->table_ = &self->table;
            sink->class_ = self.get();
            *out = static_cast<void*>(sink.get());
            self->open.emplace(sink.get(), std::move(sink));
            return CIRCUS_OK;
        });
    }
    static circus_status write_sink(void* sink, const circus_chunk* chunks, std::size_t n,
                                    std::size_t* taken) {
        auto& to = *static_cast<Sink*>(sink);
        const auto keep = to.class_->shared_from_this();  // write() may end the registration
        return guard(to.host_, [&] {
            std::vector<Sink::Chunk> all;
            all.reserve(n);
            for (std::size_t i = 0; i < n; ++i)
                all.push_back(
                    {detail::from_abi(chunks[i].watcher), detail::from_abi(chunks[i].bytes), chunks[i].pid,
                     std::chrono::system_clock::time_point(
                         std::chrono::duration_cast<std::chrono::system_clock::duration>(
                             std::chrono::nanoseconds(static_cast<std::int64_t>(chunks[i].time_ns)))),
                     chunks[i].stream == 2});
            *taken = to.write(all);
            return *taken < n ? CIRCUS_E_AGAIN : CIRCUS_OK;
        });
    }
    static void close_sink(void* sink) {
        auto& to = *static_cast<Sink*>(sink);
        const auto keep = std::static_pointer_cast<SinkClass>(to.class_->shared_from_this());
        guard_task(to.host_, [&] { keep->open.erase(&to); });
    }

    const circus_host* raw() const noexcept { return host_.raw(); }

    template <class Function>
    std::shared_ptr<detail::Callback<Function>> make(Function function) {
        return std::make_shared<detail::Callback<Function>>(host_, std::move(function));
    }

    Registration enter(std::shared_ptr<detail::Box> box, circus_status status, const char* what) {
        Host::check(status, what);
        std::erase_if(boxes_, [](const auto& each) { return each.expired(); });
        boxes_.push_back(box);
        return Registration(std::move(box));
    }

    Registration timer(std::chrono::milliseconds delay, std::chrono::milliseconds repeat, TaskFn function) {
        auto box = make(std::move(function));
        const auto ms = [](std::chrono::milliseconds time) {
            return static_cast<std::uint64_t>(time.count() > 0 ? time.count() : 0);
        };
        const auto again = [](void* user) {
            const auto self = detail::Callback<TaskFn>::of(user);
            guard_task(self->host.raw(), self->function);
        };
        const auto once = [](void* user) {
            const auto self = detail::Callback<TaskFn>::of(user);
            self->id = 0;
            guard_task(self->host.raw(), self->function);
        };
        const circus_status status =
            ms(repeat) > 0 ? raw()->timer(raw(), ms(delay), ms(repeat), again, box->user(), &box->id)
                           : raw()->timer(raw(), ms(delay), 0, once, box->user(), &box->id);
        return enter(box, status, "timer");
    }

    Host host_;
    Json config_;
    std::vector<std::weak_ptr<detail::Box>> boxes_;
    std::map<const Reply*, std::unique_ptr<Reply>> replies_;  // those that have not come
    detail::Posts posts_;
};

namespace detail {

// The functions of circus_plugin for a class derived from Plugin. What create() gives out is a Plugin*.
template <class Class>
circus_status create(const circus_host* host, circus_str config, void** self) {
    return guard(host, [&] {
        *self = static_cast<Plugin*>(new Class(Host(host), parse(config)));
        return CIRCUS_OK;
    });
}

inline circus_status start(void* self) {
    auto& plugin = *static_cast<Plugin*>(self);
    return guard(plugin.host().raw(), [&] {
        plugin.start();
        return CIRCUS_OK;
    });
}

inline circus_status reconfigure(void* self, circus_str config) {
    auto& plugin = *static_cast<Plugin*>(self);
    return guard(plugin.host().raw(), [&] {
        Json fresh = parse(config);
        plugin.reconfigure(fresh);
        plugin.set_config(std::move(fresh));
        return CIRCUS_OK;
    });
}

inline circus_status stop(void* self, circus_token /*done*/) {
    auto& plugin = *static_cast<Plugin*>(self);
    return guard(plugin.host().raw(), [&] {
        const struct End {
            Plugin& plugin;
            ~End() { plugin.end_registrations(); }
        } end{plugin};
        plugin.stop();
        return CIRCUS_OK;
    });
}

inline void destroy(void* self) {
    delete static_cast<Plugin*>(self);
}

// A class that needs extensions says `static constexpr const char* kNeeds[] = {CIRCUS_EXT_FDS, nullptr};`
template <class Class>
constexpr const char* const* needs_of() {
    if constexpr (requires { Class::kNeeds; })
        return Class::kNeeds;
    else
        return nullptr;
}

// A class that does not override reconfigure() is restarted with the new configuration.
template <class Class>
constexpr auto reconfigure_of() {
    using Function = circus_status (*)(void*, circus_str);
    if constexpr (std::is_same_v<decltype(&Class::reconfigure), decltype(&Plugin::reconfigure)>)
        return static_cast<Function>(nullptr);
    else
        return static_cast<Function>(&reconfigure);
}

}  // namespace detail

}  // namespace circus

// Once in a plugin, outside of every namespace. `options`: JSON text, see circus/abi.h. All of it is constant
// data: constinit makes anything else an error of the compiler.
#define CIRCUS_PLUGIN(Class, name, version, summary, options)                                    \
    extern "C" {                                                                                 \
    constinit const circus_plugin circus_plugin_v1 = {sizeof(circus_plugin),                     \
                                                      CIRCUS_ABI_MAJOR,                          \
                                                      CIRCUS_ABI_MINOR,                          \
                                                      name,                                      \
                                                      version,                                   \
                                                      summary,                                   \
                                                      ::circus::detail::needs_of<Class>(),       \
                                                      options,                                   \
                                                      &::circus::detail::create<Class>,          \
                                                      &::circus::detail::start,                  \
                                                      ::circus::detail::reconfigure_of<Class>(), \
                                                      &::circus::detail::stop,                   \
                                                      &::circus::detail::destroy};               \
    }
