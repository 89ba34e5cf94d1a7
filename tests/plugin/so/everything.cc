// Uses every part of the host once, so that a test sees each from outside, in either mode.
#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>

#include <circus/plugin.hpp>

namespace {

using circus::Json;

// What its sinks have in common; the plugin says whether they take anything.
class MemorySink;
struct Memory {
    std::set<MemorySink*> sinks;
    bool is_shut = false, fails = false;
    std::string text;
    int opened = 0, closed = 0;
    Json options;
    std::vector<std::string> origins;  // "WATCHER PID STREAM" of each chunk, neighbours once
};

class MemorySink final : public circus::Sink {
  public:
    MemorySink(Memory& memory, const Json& options) : memory_(memory) {
        if (memory.fails) throw std::runtime_error("there is no memory");
        ++memory.opened;
        memory.sinks.insert(this);
        memory.options = options;
    }
    ~MemorySink() override {
        ++memory_.closed;
        memory_.sinks.erase(this);
    }
    std::size_t write(const std::vector<Chunk>& chunks) override {
        if (memory_.fails) throw std::runtime_error("it is lost");
        if (memory_.is_shut) return 0;
        for (const Chunk& each : chunks) {
            memory_.text += each.bytes;
            auto origin = std::string(each.watcher) + " " + std::to_string(each.pid) +
                          (each.is_stderr ? " stderr" : " stdout");
            if (memory_.origins.empty() || memory_.origins.back() != origin)
                memory_.origins.push_back(std::move(origin));
        }
        return chunks.size();
    }
    using Sink::ready;

  private:
    Memory& memory_;
};

class Everything final : public circus::Plugin {
  public:
    static constexpr const char* kNeeds[] = {CIRCUS_EXT_SINKS, nullptr};
    using Plugin::Plugin;

    ~Everything() override {
        for (const int fd : pipe_)
            if (fd >= 0) ::close(fd);
    }

    void start() override {
        if (::pipe(pipe_.data()) != 0) throw std::runtime_error("no pipe");
        add("echo", [](const Json& props, circus::Deferred) { return props; });
        add("ask", [this](const Json& props, circus::Deferred later) {
            call(props.at("of").get<std::string>(), props.value("properties", Json::object()),
                 [later](circus_status status, const Json& answer) {
                     later.ok({{"code", status}, {"answer", answer}});
                 });
            return later;
        });
        add("later", [this](const Json&, circus::Deferred later) {
            if (thread_.joinable()) thread_.join();
            thread_ = std::thread([this, later] {
                post([this] { ++posted_; });
                later.ok({{"by", "a thread"}});
            });
            return later;
        });
        add("refuse", [](const Json&, circus::Deferred later) {
            later.fail("not today", CIRCUS_E_CONFLICT);
            return later;
        });
        add("count", [this](const Json&, circus::Deferred) {
            return Json{{"events", events_}, {"ticks", ticks_},    {"posted", posted_},
                        {"bytes", bytes_},   {"order", in_order_}, {"setting", config().at("setting")},
                        {"pid", ::getpid()}};
        });
        add("write", [this](const Json& props, circus::Deferred) {
            const auto text = props.at("text").get<std::string>();
            if (::write(pipe_[1], text.data(), text.size()) < 0) throw std::runtime_error("cannot write");
            return Json::object();
        });
        add("publish", [this](const Json& props, circus::Deferred) {
            host().publish(props.at("topic").get<std::string>(), props.value("payload", Json::object()));
            return Json::object();
        });
        add("flood", [this](const Json& props, circus::Deferred) {
            events_ = sent_ = 0;
            in_order_ = true;
            const int count = props.at("count").get<int>();
            // In portions: what takes long on a busy machine must not keep an answer waiting.
            pour_ = every(std::chrono::milliseconds(1), [this, count] {
                for (int n = 0; n < 5000 && sent_ < count; ++n)
                    host().publish("flood.drop", {{"n", sent_++}});
                if (sent_ >= count) pour_.cancel();
            });
            return Json::object();
        });
        add("gauge.set", [this](const Json& props, circus::Deferred) {
            const auto& gauges = host().need<circus_ext_gauges>(CIRCUS_EXT_GAUGES);
            circus::Host::check(
                gauges.set(host().raw(), abi(watcher_), abi(name_), props.at("value").get<double>()), "set");
            return Json::object();
        });
        add("gauge.get", [this](const Json&, circus::Deferred) {
            const auto& gauges = host().need<circus_ext_gauges>(CIRCUS_EXT_GAUGES);
            double value = 0;
            std::uint64_t age = 0;
            circus::Host::check(gauges.get(host().raw(), abi(watcher_), abi(name_), &value, &age), "get");
            return Json{{"value", value}, {"fresh", age < 60'000}};
        });
        add("state.keep", [this](const Json& props, circus::Deferred) {
            host().keep(props.at("state"));
            return Json::object();
        });
        add("state.kept", [this](const Json&, circus::Deferred) {
            const auto kept = host().kept();
            return Json{{"state", kept ? *kept : Json()}};
        });
        add("take", [this](const Json& props, circus::Deferred) {
            try {
                const auto taken = command(props.at("name").get<std::string>(),
                                           [](const Json&, circus::Deferred) { return Json::object(); });
                return Json{{"taken", true}};
            } catch (const circus::Failure& failure) {
                return Json{{"taken", false}, {"code", failure.status()}, {"why", failure.what()}};
            }
        });
        add("measure", [this](const Json& props, circus::Deferred later) {
            left_ = props.at("count").get<int>();
            samples_.clear();
            measured_ = later;
            send_probe();
            return later;
        });
        probe_ = on("probe.sent", [this](std::string_view, const Json& event) {
            samples_.push_back(host().now().count() - event.at("t").get<std::int64_t>());
            if (--left_ > 0) return send_probe();
            std::sort(samples_.begin(), samples_.end());
            measured_->ok({{"median_ns", samples_[samples_.size() / 2]},
                           {"p99_ns", samples_[samples_.size() * 99 / 100]}});
        });
        guard_ =
            hook("before_start", "guarded*", [this](const circus::HookCall& call, circus::Deferred later) {
                asked_.push_back(std::string(call.hook) + " " + std::string(call.watcher));
                if (again_) return circus::Verdict::Again;
                if (open_) return circus::Verdict::Ok;
                later.deny("the gate is shut");
                return circus::Verdict::Pending;
            });
        add("gate", [this](const Json& props, circus::Deferred) {
            open_ = props.value("open", open_);
            again_ = props.value("again", again_);
            return Json{{"asked", asked_}};
        });
        memory_class_ = stream_class("MemoryStream", [this](const Json& options) {
            return std::make_unique<MemorySink>(memory_, options);
        });
        add("memory", [this](const Json& props, circus::Deferred) {
            const bool was_shut = std::exchange(memory_.is_shut, props.value("shut", memory_.is_shut));
            memory_.fails = props.value("fails", memory_.fails);
            if (was_shut && !memory_.is_shut)
                for (MemorySink* sink : memory_.sinks) sink->ready();
            return Json{{"text", memory_.text},
                        {"opened", memory_.opened},
                        {"closed", memory_.closed},
                        {"options", memory_.options},
                        {"origins", memory_.origins}};
        });
        add("take_class", [this](const Json& props, circus::Deferred) {
            try {
                const auto taken = stream_class(props.at("name").get<std::string>(),
                                                [](const Json&) { return std::unique_ptr<circus::Sink>(); });
                return Json{{"taken", true}};
            } catch (const circus::Failure& failure) {
                return Json{{"taken", false}, {"code", failure.status()}, {"why", failure.what()}};
            }
        });
        flood_ = on("flood.drop", [this](std::string_view, const Json& event) {
            in_order_ = in_order_ && event.at("n") == events_;
            ++events_;
        });
        tick_ = every(std::chrono::milliseconds(20), [this] { ++ticks_; });
        readable_ = watch(pipe_[0], CIRCUS_FD_IN, [this](std::uint32_t) {
            std::array<char, 256> buffer{};
            const auto got = ::read(pipe_[0], buffer.data(), buffer.size());
            if (got > 0) bytes_ += static_cast<int>(got);
        });
    }
    void reconfigure(const Json& fresh) override {
        if (fresh.at("setting") == "bad") throw std::runtime_error("this setting is bad");
    }
    void stop() override {
        if (thread_.joinable()) thread_.join();
        host().info("everything stops");
    }

  private:
    template <class Function>
    void add(const char* name, Function function) {
        commands_.push_back(command(name, std::move(function)));
    }
    void send_probe() { host().publish("probe.sent", {{"t", host().now().count()}}); }
    static circus_str abi(const std::string& text) { return {text.data(), text.size()}; }

    const std::string watcher_ = "web", name_ = "load";
    int sent_ = 0;
    int events_ = 0, ticks_ = 0, posted_ = 0, bytes_ = 0;
    bool in_order_ = true;
    std::array<int, 2> pipe_{-1, -1};
    std::thread thread_;
    std::vector<circus::Registration> commands_;
    bool open_ = false, again_ = false;
    std::vector<std::string> asked_;
    int left_ = 0;
    std::vector<std::int64_t> samples_;
    std::optional<circus::Deferred> measured_;
    Memory memory_;
    circus::Registration memory_class_;
    circus::Registration flood_, tick_, readable_, probe_, guard_, pour_;
};

}  // namespace

CIRCUS_PLUGIN(Everything, "everything", "2.1", "uses all of the host",
              R"({"setting": {"type": "string", "default": "one", "doc": "shown by count"}})")
