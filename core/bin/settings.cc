#include "bin/settings.hpp"

#include <algorithm>
#include <chrono>
#include <sys/stat.h>
#include <tuple>
#include <utility>

#include "base/log.hpp"
#include "base/text.hpp"
#include "bin/daemon_log.hpp"
#include "config/endpoints.hpp"
#include "config/load.hpp"
#include "config/log_output.hpp"
#include "config/multicast.hpp"
#include "control/endpoint.hpp"
#include "sys/own_code.hpp"

namespace circus::bin {

namespace {

Result<std::unique_ptr<control::Discovery>> make_discovery(loop::Loop& loop,
                                                           const config::CircusConfig& circus) {
    const auto group = config::parse_multicast(circus.multicast_endpoint);
    if (!group) return Error{"multicast_endpoint " + group.error().text};
    return control::Discovery::make(loop, *group, circus.endpoint);
}

std::optional<uid_t> uid_of(const std::optional<config::UserRef>& user) {
    return user ? std::optional(user->uid) : std::nullopt;
}

// Whether others than its owner are to reach the socket of an ipc endpoint.
bool is_shared(const config::CircusConfig& circus) {
    return !circus.allow_users.empty();
}

// The sockets of the endpoints have the key that circusd was started with, and `next` does too.
Status check_curve(const config::CircusConfig& next) {
    if (!next.curve_secret_key.empty()) return Ok{};
    for (const auto& [name, endpoint] :
         {std::pair("endpoint", next.endpoint), std::pair("pubsub_endpoint", next.pubsub_endpoint)})
        if (!config::is_local(endpoint))
            return Error{cat(std::string_view(name), " = ", endpoint,
                             " can be reached from other machines, and the curve_secret for it is in force "
                             "when circusd is started again")};
    return Ok{};
}

mode_t own_umask() {
    const mode_t mask = ::umask(077);
    ::umask(mask);
    return mask;
}

}  // namespace

Settings::Settings(const ArbiterOptions& options, const std::vector<std::string>& environment, bool as_pid1,
                   const config::PluginCatalog& catalog)
    : options_(options),
      environment_(environment),
      as_pid1_(as_pid1),
      catalog_(catalog),
      own_umask_(own_umask()) {}

void Settings::attach(const Parts& parts, const config::CircusConfig& circus) {
    parts_.emplace(parts);
    pubsub_ = {circus.pubsub_endpoint};
    parts.streams.copy_to_stdout(circus.debug);
    if (circus.multicast_endpoint.empty()) return;
    // As in Circus no reason not to start: the network may not be there yet.
    auto discovery = make_discovery(parts.loop, circus);
    if (discovery)
        discovery_ = std::move(*discovery);
    else
        log::warning("no discovery: " + discovery.error().text);
}

void Settings::close() {
    discovery_.reset();
    for (const auto& endpoint : std::exchange(pubsub_, {})) control::remove_endpoint(endpoint);
}

void Settings::use_umask(std::optional<mode_t> mask) {
    ::umask(mask.value_or(own_umask_));
}

config::Loaded Settings::read() const {
    config::Loaded loaded = config::load(options_.file, environment_, as_pid1_, &catalog_);
    config::CircusConfig& circus = loaded.config.circus;
    if (!options_.pidfile.empty()) circus.pidfile = options_.pidfile;
    if (!options_.loglevel.empty()) circus.loglevel = options_.loglevel;
    if (!options_.logoutput.empty()) circus.logoutput = options_.logoutput;
    return loaded;
}

Status Settings::stage(const config::CircusConfig& now, const config::CircusConfig& next) {
    if (!std::exchange(is_reloading_, true)) parts_->service.reloading();
    staged_.emplace(Staged{now, next, false, false, false, std::nullopt, nullptr, nullptr});
    Status ready = stage_endpoints();
    if (ready) ready = stage_others();
    if (!ready) drop();
    return ready;
}

Status Settings::stage_endpoints() {
    const auto& [now, next] = std::tie(staged_->now, staged_->next);
    if (const Status safe = check_curve(next); !safe) return safe;
    const auto owner = uid_of(next.endpoint_owner);
    if (now.endpoint != next.endpoint) {
        if (const Status ours = parts_->guard.add(next.endpoint, owner || is_shared(next)); !ours)
            return ours.error();
        if (const Status bound = parts_->server.bind(next.endpoint, owner, is_shared(next)); !bound) {
            parts_->guard.drop(next.endpoint);
            return bound.error();
        }
        parts_->holds.hold(parts_->link, kControl, next.endpoint, parts_->server.take_listener());
        staged_->endpoint = true;
    } else if (now.endpoint_owner != next.endpoint_owner || is_shared(now) != is_shared(next)) {
        if (const Status owned = control::own_endpoint(next.endpoint, owner, is_shared(next)); !owned)
            return owned.error();
        staged_->owned = true;
    }
    if (now.pubsub_endpoint != next.pubsub_endpoint) {
        if (const Status bound = control::bind_endpoint(parts_->publisher, next.pubsub_endpoint); !bound)
            return bound.error();
        parts_->holds.hold(parts_->link, kEvents, next.pubsub_endpoint, parts_->publisher.take_listener());
        pubsub_.push_back(next.pubsub_endpoint);
        staged_->pubsub = true;
    }
    return Ok{};
}

Status Settings::stage_others() {
    const auto& [now, next] = std::tie(staged_->now, staged_->next);
    if (now.multicast_endpoint != next.multicast_endpoint && !next.multicast_endpoint.empty()) {
        auto discovery = make_discovery(parts_->loop, next);
        if (!discovery) return discovery.error();
        staged_->discovery = std::move(*discovery);
    }
    if (now.logoutput != next.logoutput) {
        const auto output = config::parse_log_output(next.logoutput);
        if (!output) return Error{"logoutput " + output.error().text};
        auto target = open_log_target(*output);
        if (!target) return target.error();
        staged_->log = std::move(*target);
    }
    if (now.pidfile != next.pidfile && !next.pidfile.empty()) {
        auto pidfile = Pidfile::write(next.pidfile, parts_->daemon_pid);
        if (!pidfile) return pidfile.error();
        staged_->pidfile = std::move(*pidfile);
    }
    return Ok{};
}

void Settings::drop() {
    if (!staged_) return;
    if (staged_->endpoint) old_endpoints_.push_back(staged_->next.endpoint);
    if (staged_->pubsub) old_pubsub_.push_back(staged_->next.pubsub_endpoint);
    if (staged_->owned)
        if (const Status back = control::own_endpoint(
                staged_->now.endpoint, uid_of(staged_->now.endpoint_owner), is_shared(staged_->now));
            !back)
            log::warning(back.error().text);
    staged_.reset();
    retire();
}

void Settings::plugins(const std::vector<config::PluginConfig>& wanted) {
    parts_->plugins.configure(wanted);
}

void Settings::commit() {
    Staged staged = std::move(*std::exchange(staged_, std::nullopt));
    if (staged.endpoint) {
        old_endpoints_.push_back(staged.now.endpoint);
        log::info("control at " + staged.next.endpoint);
    }
    if (staged.pubsub) old_pubsub_.push_back(staged.now.pubsub_endpoint);
    // The old file goes with the object that takes the new one's place.
    if (staged.pidfile)
        parts_->pidfile = std::move(*staged.pidfile);
    else if (staged.next.pidfile.empty())
        parts_->pidfile.remove();
    if (staged.discovery)
        discovery_ = std::move(staged.discovery);
    else if (staged.next.multicast_endpoint.empty())
        discovery_.reset();
    else if (discovery_)
        discovery_->set_endpoint(staged.next.endpoint);
    parts_->streams.copy_to_stdout(staged.next.debug);
    if (staged.log) set_log_target(std::move(staged.log));
    if (staged.now.log_format != staged.next.log_format) set_log_format(staged.next.log_format);
    if (staged.now.loglevel != staged.next.loglevel) set_log_level(staged.next.loglevel);
    if (staged.now.umask != staged.next.umask) use_umask(staged.next.umask);
    tell_limits(parts_->keeper, staged.next);
}

void tell_limits(loop::KeeperClient& keeper, const config::CircusConfig& circus) {
    const auto milliseconds = [](double seconds) {
        return std::chrono::duration_cast<Milliseconds>(from_seconds(seconds));
    };
    keeper.limits(milliseconds(circus.stop_timeout), milliseconds(circus.arbiter_timeout));
}

void Settings::retire() {
    for (const auto& endpoint : std::exchange(old_endpoints_, {})) {
        parts_->holds.drop(parts_->link, kControl, endpoint);
        parts_->server.unbind(endpoint);
        parts_->guard.drop(endpoint);
    }
    for (const auto& endpoint : std::exchange(old_pubsub_, {})) {
        std::erase(pubsub_, endpoint);
        parts_->holds.drop(parts_->link, kEvents, endpoint);
        if (const Status unbound = parts_->publisher.unbind(endpoint); !unbound)
            log::warning(unbound.error().text);
        control::remove_endpoint(endpoint);
    }
    if (std::exchange(is_reloading_, false)) parts_->service.reloaded();
    sys::let_go_of_own_code();  // what reads a configuration
}

}  // namespace circus::bin
