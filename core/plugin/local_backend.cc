#include "plugin/local_backend.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "base/text.hpp"
#include "model/hook.hpp"
#include "plugin/abi_text.hpp"

namespace circus::plugin {

namespace {

std::vector<std::string> points() {
    std::vector<std::string> names;
    for (std::size_t point = 0; point < model::kHookPoints; ++point)
        names.emplace_back(model::to_string(static_cast<model::HookPoint>(point)));
    return names;
}

std::string text_in(const Json& object, const char* name) {
    const auto at = object.find(name);
    if (at == object.end()) return {};
    return at->is_string() ? at->get<std::string>() : at->dump();
}

}  // namespace

Declarations::Declarations(Switchboard& board, Switchboard::Serial serial, std::string plugin, Ways ways,
                           SinkPort& sinks)
    : board_(board),
      serial_(serial),
      plugin_(std::move(plugin)),
      ways_(std::move(ways)),
      stream_classes_(board.services().loop, board.services().streams, sinks) {}

Declarations::~Declarations() {
    while (!events_.empty()) remove(Declared::Event, events_.begin()->first);
    while (!commands_.empty()) remove(Declared::Command, commands_.begin()->first);
    while (!hooks_.empty()) remove(Declared::Hook, hooks_.begin()->first);
}

circus_status Declarations::add(Declared kind, const std::string& name, const std::string& detail,
                                circus_id id, std::string& why) {
    switch (kind) {
        case Declared::Event:
            events_[id] = board_.services().bus.subscribe(
                name, [this, id](const bus::Event& event) { ways_.event(id, event); });
            return CIRCUS_OK;
        case Declared::Command:
            return add_command(name, detail, id, why);
        case Declared::Hook:
            return add_hook(name, detail, id, why);
        case Declared::Sink:
            return stream_classes_.offer(id, name, why);
    }
    return CIRCUS_E_UNSUPPORTED;
}

circus_status Declarations::add_command(const std::string& name, const std::string& help, circus_id id,
                                        std::string& why) {
    const Json texts = parse_json(help);
    control::CommandRegistry::Entry entry{
        name,
        plugin_,
        text_in(texts, "summary"),
        text_in(texts, "help"),
        text_in(texts, "arguments"),
        [this, id](const Json& properties, control::CommandRegistry::Answered answered) {
            ways_.command(id, properties.dump(-1, ' ', false, Json::error_handler_t::replace),
                          [answered = std::move(answered)](circus_status status, const std::string& json) {
                              answered(command_answer(status, json));
                          });
        }};
    const Status added = board_.registry().add(std::move(entry));
    if (!added) {
        why = added.error().text;
        return status_of_errno(added.error().code);
    }
    commands_[id] = name;
    return CIRCUS_OK;
}

circus_status Declarations::add_hook(const std::string& point, const std::string& watchers, circus_id id,
                                     std::string& why) {
    if (!model::find_hook_point(point)) {
        const auto near = did_you_mean(point, points());
        why = cat("there is no hook ", py_repr(point), near ? cat("; did you mean ", *near, "?") : "");
        return CIRCUS_E_INVALID;
    }
    hooks_[id] = board_.services().hooks.add(point, watchers, board_.hook_of(serial_, id));
    return CIRCUS_OK;
}

void Declarations::remove(Declared kind, circus_id id) {
    switch (kind) {
        case Declared::Event:
            if (const auto at = events_.find(id); at != events_.end()) {
                board_.services().bus.unsubscribe(at->second);
                events_.erase(at);
            }
            return;
        case Declared::Command:
            if (const auto at = commands_.find(id); at != commands_.end()) {
                board_.registry().remove(at->second);
                commands_.erase(at);
            }
            return;
        case Declared::Hook:
            if (const auto at = hooks_.find(id); at != hooks_.end()) {
                board_.services().hooks.remove(at->second);
                hooks_.erase(at);
            }
            return;
        case Declared::Sink:
            stream_classes_.withdraw(id);
            return;
    }
}

// ---- LocalBackend ----

LocalBackend::LocalBackend(Switchboard& board, const std::string& plugin)
    : board_(board),
      plugin_(plugin),
      serial_(board.enter(*this, plugin)),
      declarations_(
          board, serial_, plugin,
          {[this](circus_id id, const bus::Event& event) { host_->event(id, event.topic, event.payload); },
           [this](circus_id id, std::string properties, HostTable::Answered answered) {
               host_->invoke_command(id, std::move(properties), std::move(answered));
           }},
          *this) {}

LocalBackend::~LocalBackend() {
    board_.leave(serial_);
}

void LocalBackend::call(const std::string& command, const std::string& properties, Reply reply) {
    board_.call(serial_, command, properties, std::move(reply));
}

void LocalBackend::publish(const std::string& topic, const std::string& json) {
    board_.services().bus.publish_topic(topic, Json::parse(json));
}

circus_status LocalBackend::declare(Declared kind, const std::string& name, const std::string& detail,
                                    circus_id id, std::string& why) {
    return declarations_.add(kind, name, detail, id, why);
}

void LocalBackend::retract(Declared kind, circus_id id) {
    declarations_.remove(kind, id);
}

void LocalBackend::set_gauge(const std::string& watcher, const std::string& name, double value) {
    board_.services().gauges.set(watcher, name, value, plugin_);
}

std::optional<Backend::Gauge> LocalBackend::gauge(const std::string& watcher, const std::string& name) {
    const auto found = board_.services().gauges.get(watcher, name);
    if (!found) return std::nullopt;
    return Gauge{found->value, Monotonic::now() - found->set};
}

void LocalBackend::sink_opened(SinkId sink, circus_status status, const std::string& why) {
    declarations_.stream_classes().opened(sink, status, why);
}

void LocalBackend::sink_took(SinkId sink, std::size_t count, circus_status status, const std::string& why) {
    declarations_.stream_classes().took(sink, count, status, why);
}

void LocalBackend::sink_ready(SinkId sink) {
    declarations_.stream_classes().ready(sink);
}

bool LocalBackend::open_sink(circus_id offer, SinkId sink, const std::string& options) {
    host_->open_sink(offer, sink, options);
    return true;
}

bool LocalBackend::write_sink(SinkId sink, std::vector<stream::Chunk> batch) {
    host_->write_sink(sink, std::move(batch));
    return true;
}

void LocalBackend::close_sink(SinkId sink) {
    host_->close_sink(sink);
}

void LocalBackend::keep(const std::string& json) {
    board_.keepsakes().keep(plugin_, json);
}

std::string LocalBackend::kept() {
    return board_.keepsakes().of(plugin_);
}

void LocalBackend::log(log::Level level, const std::string& line) {
    log::write(level, line);
}

void LocalBackend::ask(circus_id hook, const supervise::HookCall& call, supervise::HookAnswered answered) {
    host_->invoke_hook(hook, call.hook, call.watcher, call.args,
                       [answered = std::move(answered)](circus_status status, const std::string& json) {
                           answered(hook_answer(status, json));
                       });
}

}  // namespace circus::plugin
