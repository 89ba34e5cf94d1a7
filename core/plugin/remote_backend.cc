#include "plugin/remote_backend.hpp"

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "plugin/frames.hpp"

namespace circus::plugin {

namespace {

constexpr Milliseconds kDeclareDeadline{2000};
constexpr Milliseconds kLinger{2000};  // what was said last still leaves

loop::ZmqPump::Options pump_options() {
    loop::ZmqPump::Options options;
    options.send_queue = options.receive_queue = static_cast<int>(kMostEvents);
    options.linger = kLinger;
    return options;
}

}  // namespace

RemoteBackend::RemoteBackend(loop::Loop& loop) : inbox_(loop), sender_(inbox_.sender()) {}

Result<std::unique_ptr<RemoteBackend>> RemoteBackend::connect(loop::Loop& loop, loop::ZmqContext& context,
                                                              const std::string& endpoint) {
    std::unique_ptr<RemoteBackend> backend(new RemoteBackend(loop));
    auto pump = loop::ZmqPump::make(loop, context, loop::ZmqPump::Kind::Dealer, pump_options(),
                                    [self = backend.get()](loop::Frames&& frames) {
                                        if (frames.size() == 1 || frames.size() == 2)
                                            self->receive(frames[0], frames.size() == 2 ? frames[1] : "");
                                    });
    if (!pump) return pump.error();
    if (const Status connected = pump->connect(endpoint); !connected) return connected.error();
    backend->pump_.emplace(std::move(*pump));
    return backend;
}

void RemoteBackend::send(std::string frame) {
    if (std::this_thread::get_id() == thread_) {
        pump_->send({std::move(frame)});
        return;
    }
    sender_.post([this, frame = std::move(frame)] { pump_->send({frame}); });
}

void RemoteBackend::call(const std::string& command, const std::string& properties, Reply reply) {
    std::uint64_t id = 0;
    if (reply) {
        id = ++last_reply_;
        replies_[id] = std::move(reply);
    }
    send(frame({{"m", "call"}, {"id", id}, {"command", command}}, "properties", properties));
}

void RemoteBackend::publish(const std::string& topic, const std::string& json) {
    send(frame({{"m", "publish"}, {"topic", topic}}, "payload", json));
}

circus_status RemoteBackend::declare(Declared kind, const std::string& name, const std::string& detail,
                                     circus_id id, std::string& why) {
    send(frame({{"m", "declare"}, {"id", id}, {"kind", kind}, {"name", name}, {"detail", detail}}));
    if (!pump_->wait([this, id] { return declared_.contains(id); }, kDeclareDeadline)) {
        why = "circusd does not answer";
        return CIRCUS_E_TIMEOUT;
    }
    auto answer = declared_.extract(id);
    why = std::move(answer.mapped().why);
    return answer.mapped().status;
}

void RemoteBackend::retract(Declared kind, circus_id id) {
    send(frame({{"m", "retract"}, {"id", id}, {"kind", kind}}));
}

void RemoteBackend::set_gauge(const std::string& watcher, const std::string& name, double value) {
    {
        const std::lock_guard lock(mutex_);
        gauges_[{to_lower(watcher), name}] = {value, Monotonic::now()};
    }
    send(frame({{"m", "gauge"}, {"watcher", watcher}, {"name", name}, {"value", value}}));
}

std::optional<Backend::Gauge> RemoteBackend::gauge(const std::string& watcher, const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto at = gauges_.find({to_lower(watcher), name});
    if (at == gauges_.end()) return std::nullopt;
    return Gauge{at->second.first, Monotonic::now() - at->second.second};
}

void RemoteBackend::keep(const std::string& json) {
    kept_ = json;
    send(frame({{"m", "keep"}}, "state", json));
}

std::string RemoteBackend::kept() {
    return kept_;
}

void RemoteBackend::log(log::Level level, const std::string& line) {
    send(frame({{"m", "log"}, {"level", level}, {"line", line}}));
}

void RemoteBackend::sink_opened(SinkId sink, circus_status status, const std::string& why) {
    send(frame({{"m", "opened"}, {"sink", sink}, {"status", status}, {"why", why}}));
}

void RemoteBackend::sink_took(SinkId sink, std::size_t count, circus_status status, const std::string& why) {
    send(frame({{"m", "took"}, {"sink", sink}, {"count", count}, {"status", status}, {"why", why}}));
}

void RemoteBackend::sink_ready(SinkId sink) {
    send(frame({{"m", "ready"}, {"sink", sink}}));
}

void RemoteBackend::receive(const std::string& text, const std::string& bytes) {
    const Json message = parse_frame(text);
    if (!message.is_object()) return;
    const auto& what = message["m"].get_ref<const std::string&>();
    if (what == "event") {
        if (host_) host_->event(message["id"], message["topic"], dump(message["payload"]));
    } else if (what == "invoke") {
        if (host_) on_invoke(message);
    } else if (what == "open") {
        if (host_)
            host_->open_sink(message["id"].get<circus_id>(), message["sink"].get<SinkId>(),
                             dump(message["options"]));
    } else if (what == "chunks") {
        if (host_) host_->write_sink(message["sink"].get<SinkId>(), chunks_of(message, bytes));
    } else if (what == "close") {
        if (host_) host_->close_sink(message["sink"].get<SinkId>());
    } else if (what == "reply") {
        auto waiting = replies_.extract(message["id"].get<std::uint64_t>());
        if (!waiting.empty())
            waiting.mapped()(message["status"].get<circus_status>(), dump(message["answer"]));
    } else if (what == "declared") {
        declared_[message["id"].get<circus_id>()] =
            Declaration{message["status"].get<circus_status>(), message["why"].get<std::string>()};
    } else if (what == "gauge") {
        const auto set = Monotonic::now() - Milliseconds(message["age"].get<long long>());
        const std::lock_guard lock(mutex_);
        gauges_[{to_lower(message["watcher"].get<std::string>()), message["name"].get<std::string>()}] = {
            message["value"].get<double>(), set};
    } else if (what == "start") {
        orders_.start = Orders::Start{message["name"].get<std::string>(), message["file"].get<std::string>(),
                                      dump(message["options"])};
        if (const auto kept = message.find("kept"); kept != message.end()) kept_ = dump(*kept);
    } else if (what == "reconfigure") {
        orders_.reconfigure = dump(message["options"]);
    } else if (what == "leave") {
        orders_.leave = true;
    }
}

void RemoteBackend::on_invoke(const Json& message) {
    const auto token = message["token"].get<std::uint64_t>();
    const auto answered = [this, token](circus_status status, const std::string& json) {
        send(frame({{"m", "answer"}, {"token", token}, {"status", status}}, "answer", json));
    };
    const auto id = message["id"].get<circus_id>();
    if (message["kind"].get<Declared>() == Declared::Hook)
        host_->invoke_hook(id, message["hook"].get<std::string>(), message["watcher"].get<std::string>(),
                           dump(message["args"]), answered);
    else
        host_->invoke_command(id, dump(message["properties"]), answered);
}

}  // namespace circus::plugin
