#include "plugin/host_functions.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>

#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "base/text.hpp"
#include "plugin/abi_text.hpp"

namespace circus::plugin {

namespace {

constexpr std::uint64_t kLongestMs = 30ULL * 365 * 24 * 3600 * 1000;

HostTable& of(const circus_host* host) {
    return *static_cast<HostTable*>(host->ctx);
}
std::string text(circus_str s) {
    return std::string(from_abi(s));
}
log::Level level_of(circus_level level) {
    if (level < CIRCUS_INFO) return log::Level::Debug;
    if (level < CIRCUS_WARNING) return log::Level::Info;
    return level < CIRCUS_ERROR ? log::Level::Warning : log::Level::Error;
}
bool is_object(const std::string& json) {
    return json.empty() || parse_json(json).is_object();
}
Milliseconds milliseconds(std::uint64_t ms) {
    return Milliseconds(static_cast<Milliseconds::rep>(std::min(ms, kLongestMs)));
}

}  // namespace

const std::vector<std::string>& offered_extensions() {
    static const std::vector<std::string> ids{CIRCUS_EXT_COMMANDS, CIRCUS_EXT_HOOKS, CIRCUS_EXT_SINKS,
                                              CIRCUS_EXT_GAUGES,   CIRCUS_EXT_FDS,   CIRCUS_EXT_STATE};
    return ids;
}

HostTable::Table::Table(HostTable& host, std::uint32_t size) {
    const circus_host whole = HostFunctions::table(host);
    const std::size_t shown = std::min<std::size_t>(size, sizeof whole);
    bytes = std::make_unique<std::byte[]>(shown);
    std::memcpy(bytes.get(), &whole, shown);
    const auto told = static_cast<std::uint32_t>(shown);
    std::memcpy(bytes.get() + offsetof(circus_host, size), &told, sizeof told);
}

circus_host HostFunctions::table(HostTable& host) {
    circus_host h{};
    h.size = sizeof h;
    h.abi_major = CIRCUS_ABI_MAJOR;
    h.abi_minor = CIRCUS_ABI_MINOR;
    h.ctx = &host;
    h.log = [](const circus_host* self, circus_level level, circus_str line) {
        HostTable& t = of(self);
        t.backend_.log(level_of(level), cat("plugin ", t.plugin_, ": ", from_abi(line)));
    };
    h.now_ns = [](const circus_host*) {
        return static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::nanoseconds>(Monotonic::now().time_since_epoch())
                .count());
    };
    h.set_error = [](const circus_host* self, circus_str why) {
        if (of(self).on_loop("set_error()")) of(self).error_ = text(why);
    };
    h.extension = extension;
    h.call = [](const circus_host* self, circus_str command, circus_str props, circus_reply_fn reply,
                void* user) {
        HostTable& t = of(self);
        if (!t.on_loop("call()")) return CIRCUS_E_THREAD;
        const std::string name = text(command);
        const std::string properties = props.len == 0 ? "{}" : text(props);
        if (name.empty() || !is_object(properties) || !t.is_usable("call()")) return CIRCUS_E_INVALID;
        Backend::Reply answered;
        if (reply)
            answered = [&t, name, reply, user](circus_status status, std::string json) {
                t.queue(0, [&t, name, reply, user, status, json = std::move(json)] {
                    t.meter_.run(cat("reply to ", name), [&] { reply(user, status, to_abi(json)); });
                });
            };
        t.backend_.call(name, properties, std::move(answered));
        return CIRCUS_OK;
    };
    h.publish = [](const circus_host* self, circus_str topic, circus_str json) {
        HostTable& t = of(self);
        if (!t.on_loop("publish()")) return CIRCUS_E_THREAD;
        const std::string payload = json.len == 0 ? "{}" : text(json);
        if (topic.len == 0 || !is_object(payload) || !t.is_usable("publish()")) return CIRCUS_E_INVALID;
        t.backend_.publish(text(topic), payload);
        return CIRCUS_OK;
    };
    h.subscribe = [](const circus_host* self, circus_str glob, circus_event_fn function, void* user,
                     circus_id* out) {
        HostTable& t = of(self);
        if (!t.on_loop("subscribe()")) return CIRCUS_E_THREAD;
        if (glob.len == 0 || !function || !out || !t.is_usable("subscribe()")) return CIRCUS_E_INVALID;
        HostTable::Registration r;
        r.kind = HostTable::Kind::Event;
        r.name = text(glob);
        r.event = function;
        r.user = user;
        return t.enter(std::move(r), {}, out);
    };
    h.timer = [](const circus_host* self, std::uint64_t delay, std::uint64_t repeat, circus_task_fn task,
                 void* user, circus_id* out) {
        HostTable& t = of(self);
        if (!t.on_loop("timer()")) return CIRCUS_E_THREAD;
        if (!task || !out || !t.is_usable("timer()")) return CIRCUS_E_INVALID;
        HostTable::Registration r;
        r.kind = HostTable::Kind::Timer;
        r.task = task;
        r.user = user;
        r.once = repeat == 0;
        const circus_id id = t.last_id_ + 1;
        r.timer = std::make_unique<loop::Timer>(t.loop_, [&t, id] { t.fire_timer(id); });
        r.timer->start(milliseconds(delay), milliseconds(repeat));
        return t.enter(std::move(r), {}, out);
    };
    h.cancel = [](const circus_host* self, circus_id id) {
        return of(self).on_loop("cancel()") ? of(self).cancel(id) : CIRCUS_E_THREAD;
    };
    h.post = [](const circus_host* self, circus_task_fn task, void* user) {
        HostTable& t = of(self);
        if (!task || !t.open_) return CIRCUS_E_INVALID;
        const bool posted = t.sender_.post([&t, task, user] {
            if (t.open_) t.queue(0, [&t, task, user] { t.meter_.run("posted task", [&] { task(user); }); });
        });
        return posted ? CIRCUS_OK : CIRCUS_E_INVALID;
    };
    h.complete = [](const circus_host* self, circus_token token, circus_status status, circus_str json) {
        return of(self).complete(token, status, text(json));
    };
    return h;
}

const void* HostFunctions::extension(const circus_host* host, const char* id) {
    if (!of(host).on_loop("extension()") || !id) return nullptr;
    static const circus_ext_commands commands{
        sizeof commands, 0,
        [](const circus_host* self, circus_str name, circus_str help, circus_command_fn function, void* user,
           circus_id* out) {
            HostTable& t = of(self);
            if (!t.on_loop("commands.add()")) return CIRCUS_E_THREAD;
            const std::string detail = help.len == 0 ? "{}" : text(help);
            if (name.len == 0 || !function || !out || !is_object(detail) || !t.is_usable("commands.add()"))
                return CIRCUS_E_INVALID;
            HostTable::Registration r;
            r.kind = HostTable::Kind::Command;
            r.name = text(name);
            r.command = function;
            r.user = user;
            return t.enter(std::move(r), detail, out);
        }};
    static const circus_ext_hooks hooks{
        sizeof hooks, 0,
        [](const circus_host* self, circus_str point, circus_str watchers, circus_hook_fn function,
           void* user, circus_id* out) {
            HostTable& t = of(self);
            if (!t.on_loop("hooks.add()")) return CIRCUS_E_THREAD;
            if (point.len == 0 || watchers.len == 0 || !function || !out || !t.is_usable("hooks.add()"))
                return CIRCUS_E_INVALID;
            HostTable::Registration r;
            r.kind = HostTable::Kind::Hook;
            r.name = text(point);
            r.hook = function;
            r.user = user;
            return t.enter(std::move(r), text(watchers), out);
        }};
    static const circus_ext_sinks sinks{sizeof sinks, 0,
                                        [](const circus_host* self, circus_str class_name,
                                           const circus_sink* functions, void* user, circus_id* out) {
                                            HostTable& t = of(self);
                                            if (!t.on_loop("sinks.add()")) return CIRCUS_E_THREAD;
                                            if (class_name.len == 0 || !HostSinks::is_usable(functions) ||
                                                !out || !t.is_usable("sinks.add()"))
                                                return CIRCUS_E_INVALID;
                                            HostTable::Registration r;
                                            r.kind = HostTable::Kind::Sink;
                                            r.name = text(class_name);
                                            const circus_status added = t.enter(std::move(r), {}, out);
                                            if (added == CIRCUS_OK)
                                                t.sinks_.offer(*out, text(class_name), *functions, user);
                                            return added;
                                        },
                                        [](const circus_host* self, void* sink) {
                                            HostTable& t = of(self);
                                            if (!t.open_) return CIRCUS_E_INVALID;
                                            const bool posted =
                                                t.sender_.post([&t, sink] { t.sinks_.ready(sink); });
                                            return posted ? CIRCUS_OK : CIRCUS_E_INVALID;
                                        }};
    static const circus_ext_gauges gauges{
        sizeof gauges, 0,
        [](const circus_host* self, circus_str watcher, circus_str name, double value) {
            if (name.len == 0 || watcher.len == 0 || !std::isfinite(value)) return CIRCUS_E_INVALID;
            of(self).backend_.set_gauge(text(watcher), text(name), value);
            return CIRCUS_OK;
        },
        [](const circus_host* self, circus_str watcher, circus_str name, double* value,
           std::uint64_t* age_ms) {
            HostTable& t = of(self);
            if (!t.on_loop("gauges.get()")) return CIRCUS_E_THREAD;
            const auto gauge = t.backend_.gauge(text(watcher), text(name));
            if (!gauge) return CIRCUS_E_NOT_FOUND;
            if (value) *value = gauge->value;
            if (age_ms)
                *age_ms =
                    static_cast<std::uint64_t>(std::chrono::duration_cast<Milliseconds>(gauge->age).count());
            return CIRCUS_OK;
        }};
    static const circus_ext_fds fds{
        sizeof fds, 0,
        [](const circus_host* self, std::int32_t fd, std::uint32_t events, circus_fd_fn function, void* user,
           circus_id* out) {
            HostTable& t = of(self);
            if (!t.on_loop("fds.watch()")) return CIRCUS_E_THREAD;
            constexpr std::uint32_t kAll = CIRCUS_FD_IN | CIRCUS_FD_OUT | CIRCUS_FD_HUP;
            if (fd < 0 || (events & ~kAll) != 0 || !function || !out || !t.is_usable("fds.watch()"))
                return CIRCUS_E_INVALID;
            const circus_id next = t.last_id_ + 1;
            auto poll = loop::Poll::make(t.loop_, fd, [&t, next](unsigned ready) { t.fire_fd(next, ready); });
            if (!poll) {
                t.error_ = poll.error().text;
                return poll.error().code == EEXIST ? CIRCUS_E_CONFLICT : CIRCUS_E_INVALID;
            }
            HostTable::Registration r;
            r.kind = HostTable::Kind::Fd;
            r.fd = fd;
            r.on_fd = function;
            r.user = user;
            r.poll.emplace(std::move(*poll));
            r.poll->watch(events);
            return t.enter(std::move(r), {}, out);
        }};
    static const circus_ext_state state{
        sizeof state, 0,
        [](const circus_host* self, circus_str json) {
            HostTable& t = of(self);
            if (!t.on_loop("state.keep()")) return CIRCUS_E_THREAD;
            if (json.len == 0 || !is_object(text(json)) || !t.is_usable("state.keep()"))
                return CIRCUS_E_INVALID;
            if (json.len > CIRCUS_STATE_MAX) {
                t.error_ = cat("a state of ", json.len, " bytes, of ", CIRCUS_STATE_MAX, " at most");
                return CIRCUS_E_INVALID;
            }
            t.backend_.keep(text(json));
            return CIRCUS_OK;
        },
        [](const circus_host* self, circus_str* json) {
            HostTable& t = of(self);
            if (!t.on_loop("state.kept()")) return CIRCUS_E_THREAD;
            if (!json || !t.is_usable("state.kept()")) return CIRCUS_E_INVALID;
            t.kept_ = t.backend_.kept();
            if (t.kept_.empty()) return CIRCUS_E_NOT_FOUND;
            *json = to_abi(t.kept_);
            return CIRCUS_OK;
        }};
    const std::string_view asked(id);
    if (asked == CIRCUS_EXT_COMMANDS) return &commands;
    if (asked == CIRCUS_EXT_HOOKS) return &hooks;
    if (asked == CIRCUS_EXT_SINKS) return &sinks;
    if (asked == CIRCUS_EXT_GAUGES) return &gauges;
    if (asked == CIRCUS_EXT_FDS) return &fds;
    if (asked == CIRCUS_EXT_STATE) return &state;
    return nullptr;
}

}  // namespace circus::plugin
