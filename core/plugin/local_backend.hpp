// LocalBackend: circusd's side of a plugin in the arbiter. Declarations become entries of the bus, of the
// command registry and of the hook registry; calls wait in the Switchboard for the end of the turn.
#pragma once

#include <map>
#include <string>

#include "plugin/host_table.hpp"
#include "plugin/stream_classes.hpp"
#include "plugin/switchboard.hpp"

namespace circus::plugin {

// What a plugin, wherever it runs, has declared to the arbiter, and what takes it back.
class Declarations {
  public:
    // How the declared thing reaches the plugin.
    struct Ways {
        std::function<void(circus_id, const bus::Event&)> event;
        std::function<void(circus_id, std::string properties, HostTable::Answered)> command;
    };
    Declarations(Switchboard& board, Switchboard::Serial serial, std::string plugin, Ways ways,
                 SinkPort& sinks);
    ~Declarations();
    Declarations(const Declarations&) = delete;
    Declarations& operator=(const Declarations&) = delete;

    circus_status add(Declared kind, const std::string& name, const std::string& detail, circus_id id,
                      std::string& why);
    void remove(Declared kind, circus_id id);
    StreamClasses& stream_classes() { return stream_classes_; }

  private:
    circus_status add_command(const std::string& name, const std::string& help, circus_id id,
                              std::string& why);
    circus_status add_hook(const std::string& point, const std::string& watchers, circus_id id,
                           std::string& why);

    Switchboard& board_;
    const Switchboard::Serial serial_;
    const std::string plugin_;
    const Ways ways_;
    std::map<circus_id, bus::Bus::SubscriptionId> events_;
    std::map<circus_id, std::string> commands_;
    std::map<circus_id, supervise::HookRegistry::Id> hooks_;
    StreamClasses stream_classes_;
};

class LocalBackend final : public Backend, private HookTarget, private SinkPort {
  public:
    LocalBackend(Switchboard& board, const std::string& plugin);
    ~LocalBackend() override;

    void attach(HostTable& host) { host_ = &host; }  // before anything is declared

    void call(const std::string& command, const std::string& properties, Reply reply) override;
    void publish(const std::string& topic, const std::string& json) override;
    circus_status declare(Declared kind, const std::string& name, const std::string& detail, circus_id id,
                          std::string& why) override;
    void retract(Declared kind, circus_id id) override;
    void set_gauge(const std::string& watcher, const std::string& name, double value) override;
    std::optional<Gauge> gauge(const std::string& watcher, const std::string& name) override;
    void sink_opened(SinkId sink, circus_status status, const std::string& why) override;
    void sink_took(SinkId sink, std::size_t count, circus_status status, const std::string& why) override;
    void sink_ready(SinkId sink) override;
    void keep(const std::string& json) override;
    std::string kept() override;
    void log(log::Level level, const std::string& line) override;

  private:
    void ask(circus_id hook, const supervise::HookCall& call, supervise::HookAnswered answered) override;
    bool open_sink(circus_id offer, SinkId sink, const std::string& options) override;
    bool write_sink(SinkId sink, std::vector<stream::Chunk> batch) override;
    void close_sink(SinkId sink) override;

    Switchboard& board_;
    const std::string plugin_;
    const Switchboard::Serial serial_;
    HostTable* host_ = nullptr;
    Declarations declarations_;
};

}  // namespace circus::plugin
