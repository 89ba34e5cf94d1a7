// Settings: where circusd's configuration is read, and what [circus] sets of the process itself: endpoints,
// pidfile, the log, discovery, what is copied to
// stdout, umask, the deadline that the keeper knows. A change is staged, then committed
// or dropped (supervise::DaemonPort). What an option of [circus] sets and is changed by a reload goes here;
// what cannot be changed is marked so in the option table (Effect::Restart) and never arrives here.
//
// Loop's thread, but for read().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "bin/arbiter_main.hpp"
#include "bin/holds.hpp"
#include "bin/instance_guard.hpp"
#include "bin/keeper_link.hpp"
#include "bin/log_target.hpp"
#include "bin/pidfile.hpp"
#include "bin/service_manager.hpp"
#include "control/discovery.hpp"
#include "control/server.hpp"
#include "loop/keeper_client.hpp"
#include "loop/zmq_pump.hpp"
#include "plugin/plugins.hpp"
#include "stream/streams.hpp"
#include "supervise/ports.hpp"

namespace circus::bin {

// What the endpoints' descriptors are held as.
inline constexpr const char* kControl = "control";
inline constexpr const char* kEvents = "events";
inline constexpr const char* kNotify = "notify";

class Settings final : public supervise::DaemonPort {
  public:
    // What a change acts on. All outlive the settings, or the last call to them.
    struct Parts {
        loop::Loop& loop;
        loop::KeeperClient& keeper;
        stream::Streams& streams;
        control::Server& server;
        loop::ZmqPump& publisher;
        Pidfile& pidfile;
        pid_t daemon_pid;
        plugin::Plugins& plugins;
        InstanceGuard& guard;
        ServiceManager& service;
        KeeperLink& link;
        EndpointHolds& holds;
    };
    Settings(const ArbiterOptions& options, const std::vector<std::string>& environment, bool as_pid1,
             const config::PluginCatalog& catalog);

    // Once everything is up and bound as the configuration says; what is not of `parts` is begun here.
    void attach(const Parts& parts, const config::CircusConfig& circus);
    // At the end: discovery, and the files of the event socket, once the socket is gone.
    void close();
    // [circus] umask, or the one that circusd was started with.
    void use_umask(std::optional<mode_t> mask);

    config::Loaded read() const override;
    Status stage(const config::CircusConfig& now, const config::CircusConfig& next) override;
    void drop() override;
    void plugins(const std::vector<config::PluginConfig>& wanted) override;
    void commit() override;
    void retire() override;

  private:
    const ArbiterOptions& options_;
    const std::vector<std::string>& environment_;
    const bool as_pid1_;
    const config::PluginCatalog& catalog_;
    const mode_t own_umask_;
    std::optional<Parts> parts_;
    std::vector<std::string> pubsub_;  // the endpoints bound
    std::unique_ptr<control::Discovery> discovery_;

    struct Staged {
        config::CircusConfig now, next;
        bool endpoint = false, pubsub = false;
        bool owned = false;  // the endpoint there is has been given to the next owner
        std::optional<Pidfile> pidfile;
        std::unique_ptr<LogTarget> log;
        std::unique_ptr<control::Discovery> discovery;
    };
    Status stage_endpoints();
    Status stage_others();
    std::optional<Staged> staged_;
    bool is_reloading_ = false;                            // the service manager was told so
    std::vector<std::string> old_endpoints_, old_pubsub_;  // to be retired
};

// What of [circus] the keeper must know.
void tell_limits(loop::KeeperClient& keeper, const config::CircusConfig& circus);

}  // namespace circus::bin
