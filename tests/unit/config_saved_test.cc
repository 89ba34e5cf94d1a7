#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "config/saved.hpp"

namespace circus::config {
namespace {

template <class T>
T again(const T& value) {
    T out;
    from_saved(Json::from_cbor(Json::to_cbor(to_saved(value))), out);
    return out;
}

TEST(Saved, OfDefaultsNothingIsWritten) {
    EXPECT_EQ(to_saved(WatcherConfig{}), Json::object());
    EXPECT_EQ(again(WatcherConfig{}), WatcherConfig{});
}

TEST(Saved, AWatcherComesBackAsItWas) {
    WatcherConfig w;
    w.name = "Web";
    w.cmd = "/bin/program \xff";  // any bytes
    w.args = {"a", ""};
    w.uid = UserRef{"www-data", 33};
    w.gid = GroupRef{"33", 33};
    w.umask = 022;
    w.nice = -3;
    w.rlimits["nofile"] = {7, 1024, std::nullopt};
    w.env = {{"A", "1"}, {"A", "2"}};
    w.max_backoff = 0.25;
    w.graceful_timeout = 1e-3;
    w.max_retry = -1;
    w.autostart = false;
    w.stdout_stream = StreamConfig{.class_name = "FileStream",
                                   .filename = "x.$(circus.wid)",
                                   .max_bytes = 1ULL << 40U,
                                   .on_slow = StreamConfig::OnSlow::Drop};
    w.hooks[model::HookPoint::BeforeReap] = {"lib.so", "f", "", 3.5, true};
    w.hidden = true;
    w.plugin_options = {{"flapping.max_retry", "7"}};
    EXPECT_EQ(again(w), w);
}

TEST(Saved, AWholeConfigurationComesBack) {
    Config config;
    config.file = "/etc/stack.toml";
    config.circus.endpoint = "ipc:///run/x";
    config.circus.stop_timeout = 3;
    config.circus.endpoint_owner = UserRef{"x", 5};
    config.circus.plugin_path = {"/a", "/b"};
    config.circus.allow_users = {{{"deploy", 33}, model::Role::Operate}, {{"7", 7}, model::Role::Admin}};
    config.circus.curve_secret = "/etc/key";
    config.circus.curve_secret_key = "secret";
    config.circus.curve_keys = "/etc/clients";
    config.circus.curve_clients = {{"nagios", "key", model::Role::Read}};
    config.watchers.emplace_back().name = "one";
    SocketConfig& socket = config.sockets.emplace_back();
    socket.name = "web";
    socket.family = Family::Inet6;
    socket.type = SocketType::Dgram;
    socket.umask = 0;
    PluginConfig& plugin = config.plugins.emplace_back();
    plugin.name = "p";
    plugin.options = "{\"a\":1}";
    plugin.active = false;
    const Config back = again(config);
    EXPECT_EQ(back.file, config.file);
    EXPECT_EQ(back.circus, config.circus);
    EXPECT_EQ(back.watchers, config.watchers);
    EXPECT_EQ(back.sockets, config.sockets);
    EXPECT_EQ(back.plugins, config.plugins);
}

TEST(Saved, WhatALaterVersionHasIsPassedOver) {
    WatcherConfig w;
    from_saved({{"name", "web"}, {"from_the_future", {1, 2}}}, w);
    EXPECT_EQ(w.name, "web");
}

}  // namespace
}  // namespace circus::config
