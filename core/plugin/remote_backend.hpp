// RemoteBackend: circus-plugin's side of the wire of frames.hpp. What the plugin asks for becomes a frame;
// what circusd says goes into the HostTable's queue, or is kept as an order for IsolatedProcess to look at.
//
// The loop's thread, but for set_gauge() and log(). declare() waits for its answer, 2 s at the most: there is
// nothing else to do in this process.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/json.hpp"
#include "base/result.hpp"
#include "loop/inbox.hpp"
#include "loop/zmq_pump.hpp"
#include "plugin/backend.hpp"
#include "plugin/host_table.hpp"

namespace circus::plugin {

class RemoteBackend final : public Backend {
  public:
    // What circusd wants of the process, each until it is taken.
    struct Orders {
        struct Start {
            std::string name, file, options;
        };
        std::optional<Start> start;
        std::optional<std::string> reconfigure;
        bool leave = false;
    };

    static Result<std::unique_ptr<RemoteBackend>> connect(loop::Loop& loop, loop::ZmqContext& context,
                                                          const std::string& endpoint);
    ~RemoteBackend() override = default;

    void attach(HostTable* host) { host_ = host; }
    Orders& orders() { return orders_; }
    // Any thread.
    void send(std::string frame);

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
    explicit RemoteBackend(loop::Loop& loop);
    void receive(const std::string& frame, const std::string& bytes);
    void on_invoke(const Json& message);

    const std::thread::id thread_ = std::this_thread::get_id();
    std::optional<loop::ZmqPump> pump_;
    loop::Inbox inbox_;
    loop::Inbox::Sender sender_;
    HostTable* host_ = nullptr;
    Orders orders_;
    std::string kept_;
    std::map<std::uint64_t, Reply> replies_;
    std::uint64_t last_reply_ = 0;
    struct Declaration {
        circus_status status;
        std::string why;
    };
    std::map<circus_id, Declaration> declared_;  // answered, and waited for

    std::mutex mutex_;
    std::map<std::pair<std::string, std::string>, std::pair<double, TimePoint>> gauges_;
};

}  // namespace circus::plugin
