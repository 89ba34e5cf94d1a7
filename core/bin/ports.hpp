// What supervise asks of the world, bound to the layers that do it. Forwarding only, but for pipes: the
// keeper holds a duplicate of each, from which the next arbiter reads on.
#pragma once

#include <map>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "bus/bus.hpp"
#include "loop/readiness.hpp"
#include "loop/worker.hpp"
#include "stream/streams.hpp"
#include "supervise/ports.hpp"

namespace circus::bin {

class EventsPort final : public supervise::EventPort {
  public:
    explicit EventsPort(bus::Bus& bus) : bus_(bus) {}
    void publish(std::string_view watcher, std::string_view event, Json payload) override {
        // The process of an isolated plugin: what else becomes of the plugin is told by the plugin layer.
        if (watcher.starts_with(config::kHiddenPrefix)) {
            watcher.remove_prefix(config::kHiddenPrefix.size());
            if (event == "spawn" || event == "reap")
                bus_.publish_topic("plugin." + bus::resource(watcher) + "." + std::string(event),
                                   std::move(payload));
            return;
        }
        bus_.publish(watcher, event, std::move(payload));
    }
    void asked(std::string_view watcher, std::string_view operation) override {
        bus_.publish_topic(cat("operation.", bus::resource(watcher), ".", operation), {{"watcher", watcher}},
                           true);
    }

  private:
    bus::Bus& bus_;
};

class WorkerThread final : public supervise::WorkerPort {
  public:
    explicit WorkerThread(loop::Worker& worker) : worker_(worker) {}
    void run(std::function<void()> job, std::function<void()> then) override {
        worker_.run(std::move(job), std::move(then));
    }

  private:
    loop::Worker& worker_;
};

class StreamsPort final : public supervise::StreamPort {
  public:
    explicit StreamsPort(stream::Streams& streams) : streams_(streams) {}
    // Where pipes are held for the next arbiter. Before the first of them.
    void attach(supervise::KeeperPort& keeper) { keeper_ = &keeper; }
    // Made with the first pipe and held by the keeper, or that of the arbiter before.
    stream::Journal::Parts journal();
    void inherit_journal(std::uint64_t part, UniqueFd fd);
    // One that the keeper held, by the name that open() gave it.
    void inherit(stream::PipeId id, std::string_view name, UniqueFd read_end);

    Result<Pipe> open(const config::StreamConfig& config, std::string_view watcher, int wid,
                      supervise::StreamKind kind) override;
    std::vector<supervise::InheritedPipe> inherited() const override;
    std::optional<supervise::StreamKind> inherited_kind(supervise::PipeId id) const override;
    Status adopt(supervise::PipeId id, const config::StreamConfig& config) override;
    void watch(supervise::PipeId id, Pattern pattern, std::function<void()> found) override {
        streams_.watch(id, std::move(pattern), std::move(found));
    }
    void start(supervise::PipeId id, pid_t pid) override { streams_.start(id, pid); }
    void finish(supervise::PipeId id, Drained drained) override;
    void discard(supervise::PipeId id) override;
    void reopen_files() override { streams_.reopen_files(); }
    std::optional<stream::Tail> tail(std::string_view watcher, supervise::StreamKind kind,
                                     const stream::TailQuery& query) const override {
        return streams_.tail(std::string(watcher), channel(kind), query);
    }
    void forget(std::string_view watcher) override { streams_.forget(std::string(watcher)); }

  private:
    static stream::Channel channel(supervise::StreamKind kind) {
        return kind == supervise::StreamKind::Stdout ? stream::Channel::Stdout : stream::Channel::Stderr;
    }
    struct Inherited {
        supervise::InheritedPipe about;
        UniqueFd read_end;
    };
    stream::Streams& streams_;
    supervise::KeeperPort* keeper_ = nullptr;
    std::map<supervise::PipeId, Inherited> inherited_;
    stream::Journal::Parts journal_;
};

class SocketReadinessPort final : public supervise::ReadinessPort {
  public:
    explicit SocketReadinessPort(loop::Readiness readiness) : readiness_(std::move(readiness)) {}
    Status watch(int fd) override { return readiness_.watch(fd); }
    void forget(int fd) override { readiness_.forget(fd); }

  private:
    loop::Readiness readiness_;
};

}  // namespace circus::bin
