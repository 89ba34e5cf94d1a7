// FakeHost: a host for unit tests of a plugin, without circusd, loop or clock. The test links the plugin's
// objects (circus_add_plugin() makes NAME_objects) and turns time by hand. One long header on purpose: a test
// includes this and nothing else of ours.
//
//     circus::testing::FakeHost host;                 // of the circus_plugin_v1 that is linked in
//     host.start({{"window", 2}});                    // options as in a file; defaults are filled in
//     host.emit("watcher.web.reap", {{"process_pid", 7}});
//     host.advance(std::chrono::seconds(2));
//     EXPECT_EQ(host.take_calls().at(0).command, "stop");
//
// It behaves as circusd does: events and replies wait in one queue and are delivered by emit(), reply() and
// advance(), never from inside a call of the plugin. What a plugin must not do fails the test: a registration
// left after stop, a token answered twice or not of this host, a [loop] function on another thread, a message
// that is no JSON object. After <gtest/gtest.h> that is ADD_FAILURE; else the program is aborted, unless the
// test looks at the problems itself (take_problems()).
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fnmatch.h>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "circus/abi.h"

namespace circus::testing {

using Json = nlohmann::json;

class FakeHost {
  public:
    struct Call {
        std::string command;
        Json properties;
    };
    struct Event {
        std::string topic;
        Json payload;
    };
    struct Answer {
        circus_status status = CIRCUS_PENDING;
        Json fields;
    };
    struct Line {
        circus_level level = 0;
        std::string text;
    };

    explicit FakeHost(const circus_plugin& plugin = circus_plugin_v1) : plugin_(plugin) {
        host_.size = sizeof host_;
        host_.abi_major = CIRCUS_ABI_MAJOR;
        host_.abi_minor = CIRCUS_ABI_MINOR;
        host_.ctx = this;
        host_.log = [](const circus_host* h, circus_level level, circus_str line) {
            FakeHost& self = of(h);
            const std::lock_guard lock(self.mutex_);
            self.lines_.push_back({level, text(line)});
        };
        host_.now_ns = [](const circus_host* h) {
            return static_cast<std::uint64_t>(of(h).now_.load().count());
        };
        host_.set_error = [](const circus_host* h, circus_str why) {
            if (of(h).on_loop("set_error")) of(h).error_ = text(why);
        };
        host_.extension = [](const circus_host* h, const char* id) -> const void* {
            return of(h).on_loop("extension") ? of(h).find_extension(id) : nullptr;
        };
        host_.call = [](const circus_host* h, circus_str command, circus_str props, circus_reply_fn fn,
                        void* user) { return of(h).take_call(text(command), props, fn, user); };
        host_.publish = [](const circus_host* h, circus_str topic, circus_str json) {
            FakeHost& self = of(h);
            if (!self.on_loop("publish")) return CIRCUS_E_THREAD;
            auto payload = self.object_of(json, "publish");
            if (!payload || topic.len == 0) return CIRCUS_E_INVALID;
            self.published_.push_back({text(topic), std::move(*payload)});
            return CIRCUS_OK;
        };
        host_.subscribe = [](const circus_host* h, circus_str glob, circus_event_fn fn, void* user,
                             circus_id* out) {
            Registration r{Kind::Event, text(glob)};
            r.event = fn;
            r.user = user;
            return of(h).enter("subscribe", std::move(r), out);
        };
        host_.timer = [](const circus_host* h, std::uint64_t delay, std::uint64_t repeat, circus_task_fn fn,
                         void* user, circus_id* out) {
            Registration r{Kind::Timer, "timer"};
            r.due = of(h).now_.load() + std::chrono::milliseconds(delay);
            r.repeat = std::chrono::milliseconds(repeat);
            r.task = fn;
            r.user = user;
            return of(h).enter("timer", std::move(r), out);
        };
        host_.cancel = [](const circus_host* h, circus_id id) {
            if (!of(h).on_loop("cancel")) return CIRCUS_E_THREAD;
            return of(h).registrations_.erase(id) > 0 ? CIRCUS_OK : CIRCUS_E_NOT_FOUND;
        };
        host_.post = [](const circus_host* h, circus_task_fn fn, void* user) {
            FakeHost& self = of(h);
            const std::lock_guard lock(self.mutex_);
            if (!self.alive_) return CIRCUS_E_INVALID;
            self.posted_.push_back([fn, user] { fn(user); });
            return CIRCUS_OK;
        };
        host_.complete = [](const circus_host* h, circus_token token, circus_status status, circus_str json) {
            return of(h).finish(token, status, json);
        };
    }
    FakeHost(const FakeHost&) = delete;
    FakeHost& operator=(const FakeHost&) = delete;
    ~FakeHost() {
        stop();
        for (const std::string& problem : std::exchange(problems_, {})) fail(problem);
    }

    // ---- the plugin's life ----

    // create() and start(). The first error is the result, error() has its text, and nothing is left of it.
    circus_status start(const Json& options = Json::object()) {
        const std::string config = complete_config(options).dump();
        circus_status status = run([&] { return plugin_.create(&host_, abi(config), &self_); });
        if (status != CIRCUS_OK) return status;
        created_ = true;
        {
            const std::lock_guard lock(mutex_);
            alive_ = true;
        }
        status = run([&] { return plugin_.start(self_); });
        if (status != CIRCUS_OK) {
            registrations_.clear();
            end();
        }
        return status;
    }
    circus_status reconfigure(const Json& options) {
        if (!plugin_.reconfigure) {
            stop();
            return start(options);
        }
        const std::string config = complete_config(options).dump();
        return run([&] { return plugin_.reconfigure(self_, abi(config)); });
    }
    // stop() and destroy(); what was kept is forgotten. Does nothing when nothing runs.
    circus_status stop() {
        if (!created_) return CIRCUS_OK;
        created_ = false;
        kept_.reset();
        const circus_token token = owe("stop");
        circus_status status = run([&] { return plugin_.stop(self_, token); });
        if (status == CIRCUS_PENDING) {
            deliver();
            if (const auto answer = answer_to(token))
                status = answer->status;
            else
                problem("stop: its token was never completed");
        }
        settle(token);
        end();
        return status;
    }

    // ---- what happens ----

    void emit(const std::string& topic, const Json& payload = Json::object()) {
        for (const auto& [id, r] : registrations_)
            if (r.kind == Kind::Event && fnmatch(r.text.c_str(), topic.c_str(), 0) == 0)
                queue_.push_back({id, [this, id = id, topic, json = payload.dump()] {
                                      const Registration& to = registrations_.at(id);
                                      to.event(to.user, abi(topic), abi(json));
                                  }});
        deliver();
    }
    // Time goes on, timer by timer.
    void advance(std::chrono::nanoseconds by) {
        const auto until = now_.load() + by;
        deliver();
        while (true) {
            auto next = registrations_.end();
            for (auto at = registrations_.begin(); at != registrations_.end(); ++at)
                if (at->second.kind == Kind::Timer && at->second.due <= until &&
                    (next == registrations_.end() || at->second.due < next->second.due))
                    next = at;
            if (next == registrations_.end()) break;
            now_ = std::max(now_.load(), next->second.due);
            const Registration fired = next->second;
            if (fired.repeat.count() > 0)
                next->second.due = now_.load() + fired.repeat;
            else
                registrations_.erase(next);
            fired.task(fired.user);
            deliver();
        }
        now_ = until;
    }
    // Tasks posted by threads, and whatever else waits.
    void deliver() {
        while (true) {
            std::vector<std::function<void()>> posted;
            {
                const std::lock_guard lock(mutex_);
                posted.swap(posted_);
            }
            for (const auto& task : posted) task();
            if (queue_.empty()) {
                if (posted.empty()) return;
                continue;
            }
            const Delivery next = std::move(queue_.front());
            queue_.pop_front();
            if (next.registration == 0 || registrations_.contains(next.registration)) next.run();
        }
    }
    std::chrono::nanoseconds now() const { return now_.load(); }

    // The oldest call that waits for a reply gets one: an answer as a client sees it.
    void reply(circus_status status, Json answer = Json::object()) {
        if (waiting_.empty()) return problem("reply(): no call waits for one");
        reply_to(waiting_.front().command, status, std::move(answer));
    }
    // The same for the oldest call of that command: answers may come in another order than calls.
    void reply_to(const std::string& command, circus_status status, Json answer = Json::object()) {
        const auto at = std::find_if(waiting_.begin(), waiting_.end(),
                                     [&](const Waiting& each) { return each.command == command; });
        if (at == waiting_.end()) return problem("reply_to(): no " + command + " waits for one");
        const Waiting to = *at;
        waiting_.erase(at);
        if (!answer.contains("status")) answer["status"] = status == CIRCUS_OK ? "ok" : "error";
        queue_.push_back({0, [to, status, json = answer.dump()] { to.reply(to.user, status, abi(json)); }});
        deliver();
    }
    // Invokes a command that the plugin added. PENDING: not answered yet; see answer().
    Answer command(const std::string& name, const Json& properties = Json::object()) {
        for (const auto& [id, r] : registrations_)
            if (r.kind == Kind::Command && r.text == name) {
                const circus_token token = owe("command " + name);
                const std::string json = properties.dump();
                return settle_call(token, run([&, r = r] { return r.command(r.user, abi(json), token); }));
            }
        problem("command(): the plugin has not added " + name);
        return {CIRCUS_E_NOT_FOUND, nullptr};
    }
    Answer hook(const std::string& point, const std::string& watcher, const Json& args = Json::object()) {
        for (const auto& [id, r] : registrations_)
            if (r.kind == Kind::Hook && r.text == point && fnmatch(r.glob.c_str(), watcher.c_str(), 0) == 0) {
                const circus_token token = owe("hook " + point);
                const std::string json = args.dump();
                circus_hook_call call{};
                call.size = sizeof call;
                call.hook = abi(point);
                call.watcher = abi(watcher);
                call.args_json = abi(json);
                call.answer = token;
                return settle_call(token, run([&, r = r] { return r.hook(r.user, &call); }));
            }
        return {CIRCUS_OK, nullptr};
    }
    // Opens a sink of a class that the plugin offers, as for the first worker of a watcher. A negative
    // status: error() has the text, and there is no sink.
    struct Sink {
        circus_status status = CIRCUS_E_NOT_FOUND;
        void* handle = nullptr;
        circus_id of = 0;
    };
    Sink open_sink(const std::string& class_name, const Json& options = Json::object()) {
        for (const auto& [id, r] : registrations_)
            if (r.kind == Kind::Sink && r.text == class_name) {
                Sink sink{CIRCUS_OK, nullptr, id};
                const std::string json = options.dump();
                sink.status = run([&, r = r] { return r.sink.open(r.user, abi(json), &sink.handle); });
                deliver();
                return sink;
            }
        problem("open_sink(): the plugin does not offer " + class_name);
        return {};
    }
    // What workers have written, a chunk each. How many were taken: all by CIRCUS_OK, fewer by
    // CIRCUS_E_AGAIN.
    struct Written {
        circus_status status;
        std::size_t taken;
    };
    Written write_sink(const Sink& sink, const std::vector<std::string>& texts,
                       const std::string& watcher = "web", std::int64_t pid = 1, bool is_stderr = false) {
        const auto at = registrations_.find(sink.of);
        if (at == registrations_.end() || sink.status != CIRCUS_OK) {
            problem("write_sink(): there is no such sink");
            return {CIRCUS_E_NOT_FOUND, 0};
        }
        const Registration to = at->second;
        const auto now = static_cast<std::uint64_t>(now_.load().count());
        std::vector<circus_chunk> chunks;
        for (const auto& each : texts)
            chunks.push_back({abi(watcher), abi(each), pid, now, is_stderr ? 2 : 1, 0});
        std::size_t taken = 0;
        const circus_status status =
            run([&] { return to.sink.write(sink.handle, chunks.data(), chunks.size(), &taken); });
        if (taken > chunks.size() || status > CIRCUS_OK) problem("write: an answer that makes no sense");
        deliver();
        return {status, status == CIRCUS_OK ? chunks.size() : taken};
    }
    void close_sink(const Sink& sink) {
        const auto at = registrations_.find(sink.of);
        if (at == registrations_.end() || sink.status != CIRCUS_OK) return;
        const Registration to = at->second;
        to.sink.close(sink.handle);
        deliver();
    }
    // How often the plugin has said since that the sink takes more.
    std::size_t take_ready(const Sink& sink) {
        const std::lock_guard lock(mutex_);
        return std::erase(ready_, sink.handle);
    }
    // The answer to the command or hook that was PENDING last.
    Answer answer() {
        deliver();
        return answer_to(last_pending_).value_or(Answer{});
    }
    // The descriptor is ready: as the loop would say.
    void ready(int fd, std::uint32_t events) {
        for (const auto& [id, r] : registrations_)
            if (r.kind == Kind::Fd && r.fd == fd && (r.events & events) != 0) {
                const Registration to = r;
                to.on_fd(to.user, fd, to.events & events);
                return deliver();
            }
    }

    // Waits for a watched descriptor, for real, and delivers what is ready, as the loop would. False: nothing
    // came within `patience`. Tasks that threads have posted are delivered in any case.
    bool poll(std::chrono::milliseconds patience) {
        std::vector<pollfd> all;
        for (const auto& each : registrations_)
            if (each.second.kind == Kind::Fd)
                all.push_back({each.second.fd,
                               static_cast<short>(((each.second.events & CIRCUS_FD_IN) != 0 ? POLLIN : 0) |
                                                  ((each.second.events & CIRCUS_FD_OUT) != 0 ? POLLOUT : 0)),
                               0});
        const int count = ::poll(all.data(), all.size(), static_cast<int>(patience.count()));
        deliver();
        for (const pollfd& each : all) {
            if (each.revents == 0) continue;
            // As libuv does it: an error is told to whoever waits for anything.
            const bool broken = (each.revents & (POLLERR | POLLHUP)) != 0;
            const auto got = static_cast<short>(broken ? each.events | each.revents : each.revents);
            ready(each.fd, ((got & POLLIN) != 0 ? CIRCUS_FD_IN : 0u) |
                               ((got & POLLOUT) != 0 ? CIRCUS_FD_OUT : 0u) | (broken ? CIRCUS_FD_HUP : 0u));
        }
        return count > 0;
    }

    // ---- what the plugin did ----

    std::vector<Call> take_calls() { return std::exchange(calls_, {}); }
    std::vector<Event> take_published() { return std::exchange(published_, {}); }
    std::vector<Line> take_lines() {
        const std::lock_guard lock(mutex_);
        return std::exchange(lines_, {});
    }
    // As somebody else sets one: another plugin, or `circusctl gauge`.
    void set_gauge(const std::string& watcher, const std::string& name, double value) {
        const std::lock_guard lock(mutex_);
        gauges_[{watcher, name}] = {value, now_.load()};
    }
    std::optional<double> gauge(const std::string& watcher, const std::string& name) {
        const std::lock_guard lock(mutex_);
        const auto at = gauges_.find({watcher, name});
        return at == gauges_.end() ? std::nullopt : std::optional(at->second.first);
    }
    // What the plugin has kept; given before start(), it is what an instance before has left.
    const std::optional<Json>& kept() const { return kept_; }
    void leave(Json state) { kept_ = std::move(state); }
    const std::string& error() const { return error_; }  // of the last set_error
    std::size_t registrations() const { return registrations_.size(); }
    // What would fail the test. Taken here, it does not.
    std::vector<std::string> take_problems() { return std::exchange(problems_, {}); }
    // Extensions not offered: for a plugin that can do without.
    void withhold(const std::string& extension) { withheld_.push_back(extension); }
    const circus_host* raw() const { return &host_; }

  private:
    enum class Kind { Event, Timer, Command, Hook, Fd, Sink };
    struct Registration {
        Kind kind;
        std::string text;  // glob, command, hook
        std::string glob = {};
        void* user = nullptr;
        circus_event_fn event = nullptr;
        circus_task_fn task = nullptr;
        circus_command_fn command = nullptr;
        circus_hook_fn hook = nullptr;
        circus_fd_fn on_fd = nullptr;
        circus_sink sink = {};
        std::chrono::nanoseconds due{}, repeat{};
        int fd = -1;
        std::uint32_t events = 0;

        std::string name() const {
            static constexpr const char* kNames[] = {
                "subscription ", "", "command ", "hook ", "descriptor ", "class of streams "};
            return kNames[static_cast<int>(kind)] + (kind == Kind::Fd ? std::to_string(fd) : text);
        }
    };
    struct Delivery {
        circus_id registration;  // 0: a reply
        std::function<void()> run;
    };
    struct Waiting {
        std::string command;
        circus_reply_fn reply;
        void* user;
    };

    static FakeHost& of(const circus_host* host) { return *static_cast<FakeHost*>(host->ctx); }
    static std::string text(circus_str s) { return s.len == 0 ? std::string() : std::string(s.data, s.len); }
    static circus_str abi(const std::string& s) { return {s.data(), s.size()}; }

    static void fail(const std::string& problem) {
#ifdef ADD_FAILURE
        ADD_FAILURE() << "circus::testing::FakeHost: " << problem;
#else
        std::fprintf(stderr, "circus::testing::FakeHost: %s\n", problem.c_str());
        std::abort();
#endif
    }
    void problem(std::string what) {
        const std::lock_guard lock(mutex_);
        problems_.push_back(std::move(what));
    }

    bool on_loop(const char* function) {
        if (std::this_thread::get_id() == thread_) return true;
        problem(std::string(function) + " was called off the loop");
        return false;
    }
    template <class F>
    circus_status run(F&& function) {
        error_.clear();
        return function();
    }

    void end() {
        created_ = false;
        {
            const std::lock_guard lock(mutex_);
            alive_ = false;
            posted_.clear();
        }
        queue_.clear();
        for (const auto& left : std::exchange(registrations_, {}))
            problem("leaked registration: " + left.second.name());
        plugin_.destroy(self_);
        self_ = nullptr;
    }

    Json complete_config(const Json& options) {
        Json config = options;
        if (!plugin_.options) return config;
        const Json known = Json::parse(plugin_.options, nullptr, false);
        if (!known.is_object()) {
            problem("the plugin's options are not a JSON object");
            return config;
        }
        for (const auto& [name, row] : known.items())
            if (!config.contains(name) && row.contains("default")) config[name] = row["default"];
        for (const auto& [name, value] : options.items())
            if (!known.contains(name)) problem("the plugin has no option " + name);
        return config;
    }

    std::optional<Json> object_of(circus_str json, const char* function) {
        Json value = json.len == 0 ? Json::object() : Json::parse(text(json), nullptr, false);
        if (value.is_object()) return value;
        problem(std::string(function) + ": not a JSON object: " + text(json));
        return std::nullopt;
    }

    circus_status take_call(const std::string& command, circus_str props, circus_reply_fn fn, void* user) {
        if (!on_loop("call")) return CIRCUS_E_THREAD;
        auto properties = object_of(props, "call");
        if (!properties || command.empty()) return CIRCUS_E_INVALID;
        calls_.push_back({command, std::move(*properties)});
        if (fn) waiting_.push_back({command, fn, user});
        return CIRCUS_OK;
    }

    circus_status enter(const char* function, Registration registration, circus_id* out) {
        if (!on_loop(function)) return CIRCUS_E_THREAD;
        registrations_.emplace(++last_id_, std::move(registration));
        *out = last_id_;
        return CIRCUS_OK;
    }

    circus_token owe(std::string what) {
        const std::lock_guard lock(mutex_);
        owed_[++last_token_] = std::move(what);
        return last_token_;
    }
    void settle(circus_token token) {
        const std::lock_guard lock(mutex_);
        owed_.erase(token);
    }
    circus_status finish(circus_token token, circus_status status, circus_str json) {
        Answer answer{status, Json::parse(json.len == 0 ? "{}" : text(json), nullptr, false)};
        const std::lock_guard lock(mutex_);
        if (owed_.erase(token) == 0) {
            problems_.push_back(answers_.contains(token) ? "a token was answered twice"
                                                         : "a token that nobody waits for was answered");
            return CIRCUS_E_INVALID;
        }
        if (!answer.fields.is_object()) problems_.push_back("complete: not a JSON object: " + text(json));
        answers_[token] = std::move(answer);
        return CIRCUS_OK;
    }
    std::optional<Answer> answer_to(circus_token token) {
        const std::lock_guard lock(mutex_);
        const auto at = answers_.find(token);
        return at == answers_.end() ? std::nullopt : std::optional(at->second);
    }
    Answer settle_call(circus_token token, circus_status status) {
        deliver();
        if (status == CIRCUS_PENDING) {
            last_pending_ = token;
            return answer_to(token).value_or(Answer{});
        }
        if (answer_to(token)) problem("a token was answered by complete() and by the function's status");
        settle(token);
        return {status, Json::object()};
    }

    const void* find_extension(const std::string& id) {
        if (std::find(withheld_.begin(), withheld_.end(), id) != withheld_.end()) return nullptr;
        static const circus_ext_commands commands{
            sizeof commands, 0,
            [](const circus_host* h, circus_str name, circus_str help, circus_command_fn fn, void* user,
               circus_id* out) {
                FakeHost& self = of(h);
                if (!self.object_of(help, "commands.add") || name.len == 0) return CIRCUS_E_INVALID;
                for (const auto& each : self.registrations_)
                    if (each.second.kind == Kind::Command && each.second.text == text(name))
                        return CIRCUS_E_CONFLICT;
                Registration r{Kind::Command, text(name)};
                r.command = fn;
                r.user = user;
                return self.enter("commands.add", std::move(r), out);
            }};
        static const circus_ext_hooks hooks{sizeof hooks, 0,
                                            [](const circus_host* h, circus_str hook, circus_str glob,
                                               circus_hook_fn fn, void* user, circus_id* out) {
                                                Registration r{Kind::Hook, text(hook), text(glob)};
                                                r.hook = fn;
                                                r.user = user;
                                                return of(h).enter("hooks.add", std::move(r), out);
                                            }};
        static const circus_ext_fds fds{sizeof fds, 0,
                                        [](const circus_host* h, std::int32_t fd, std::uint32_t events,
                                           circus_fd_fn fn, void* user, circus_id* out) {
                                            Registration r{Kind::Fd, {}};
                                            r.fd = fd;
                                            r.events = events;
                                            r.on_fd = fn;
                                            r.user = user;
                                            return of(h).enter("fds.watch", std::move(r), out);
                                        }};
        static const circus_ext_sinks sinks{
            sizeof sinks, 0,
            [](const circus_host* h, circus_str name, const circus_sink* functions, void* user,
               circus_id* out) {
                FakeHost& self = of(h);
                if (!functions || !functions->open || !functions->write || !functions->close || name.len == 0)
                    return CIRCUS_E_INVALID;
                for (const auto& each : self.registrations_)
                    if (each.second.kind == Kind::Sink && each.second.text == text(name))
                        return CIRCUS_E_CONFLICT;
                Registration r{Kind::Sink, text(name)};
                r.sink = *functions;
                r.user = user;
                return self.enter("sinks.add", std::move(r), out);
            },
            [](const circus_host* h, void* sink) {
                FakeHost& self = of(h);
                const std::lock_guard lock(self.mutex_);
                if (!self.alive_) return CIRCUS_E_INVALID;
                self.ready_.push_back(sink);
                return CIRCUS_OK;
            }};
        static const circus_ext_gauges gauges{
            sizeof gauges, 0,
            [](const circus_host* h, circus_str watcher, circus_str name, double value) {
                of(h).set_gauge(text(watcher), text(name), value);
                return CIRCUS_OK;
            },
            [](const circus_host* h, circus_str watcher, circus_str name, double* value, std::uint64_t* age) {
                FakeHost& self = of(h);
                const std::lock_guard lock(self.mutex_);
                const auto at = self.gauges_.find({text(watcher), text(name)});
                if (at == self.gauges_.end()) return CIRCUS_E_NOT_FOUND;
                *value = at->second.first;
                *age = static_cast<std::uint64_t>((self.now_.load() - at->second.second).count() / 1'000'000);
                return CIRCUS_OK;
            }};
        static const circus_ext_state state{sizeof state, 0,
                                            [](const circus_host* h, circus_str json) {
                                                FakeHost& self = of(h);
                                                if (!self.on_loop("state.keep")) return CIRCUS_E_THREAD;
                                                auto object = self.object_of(json, "state.keep");
                                                if (!object || json.len > CIRCUS_STATE_MAX)
                                                    return CIRCUS_E_INVALID;
                                                self.kept_ = std::move(object);
                                                return CIRCUS_OK;
                                            },
                                            [](const circus_host* h, circus_str* json) {
                                                FakeHost& self = of(h);
                                                if (!self.on_loop("state.kept")) return CIRCUS_E_THREAD;
                                                if (!self.kept_) return CIRCUS_E_NOT_FOUND;
                                                self.kept_text_ = self.kept_->dump();
                                                *json = abi(self.kept_text_);
                                                return CIRCUS_OK;
                                            }};
        if (id == CIRCUS_EXT_COMMANDS) return &commands;
        if (id == CIRCUS_EXT_HOOKS) return &hooks;
        if (id == CIRCUS_EXT_FDS) return &fds;
        if (id == CIRCUS_EXT_SINKS) return &sinks;
        if (id == CIRCUS_EXT_GAUGES) return &gauges;
        if (id == CIRCUS_EXT_STATE) return &state;
        return nullptr;
    }

    const circus_plugin& plugin_;
    const std::thread::id thread_ = std::this_thread::get_id();
    circus_host host_{};
    void* self_ = nullptr;
    bool created_ = false;
    std::string error_;
    std::vector<std::string> withheld_;
    std::atomic<std::chrono::nanoseconds> now_{std::chrono::hours(1)};
    std::map<circus_id, Registration> registrations_;
    circus_id last_id_ = 0;
    std::deque<Delivery> queue_;
    std::vector<Call> calls_;
    std::deque<Waiting> waiting_;
    std::vector<Event> published_;
    circus_token last_pending_ = 0;
    std::optional<Json> kept_;
    std::string kept_text_;  // as kept() gave it out

    std::mutex mutex_;  // what other threads may touch
    bool alive_ = false;
    std::vector<Line> lines_;
    std::vector<std::function<void()>> posted_;
    std::vector<void*> ready_;  // sinks that said so
    circus_token last_token_ = 0;
    std::map<circus_token, std::string> owed_;
    std::map<circus_token, Answer> answers_;
    std::map<std::pair<std::string, std::string>, std::pair<double, std::chrono::nanoseconds>> gauges_;
    std::vector<std::string> problems_;
};

}  // namespace circus::testing
