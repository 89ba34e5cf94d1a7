// LocalRunner: a plugin in the arbiter itself.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "loop/loop.hpp"
#include "plugin/host_table.hpp"
#include "plugin/instance.hpp"
#include "plugin/local_backend.hpp"
#include "plugin/runner.hpp"

namespace circus::plugin {

class LocalRunner final : public Runner {
  public:
    // Loads and starts: the phase is Running or Ended. `shown`: how much of circus_host the plugin gets.
    LocalRunner(loop::Loop& loop, Switchboard& board, const config::PluginConfig& config,
                std::uint32_t shown = sizeof(circus_host));

    Phase phase() const override;
    const std::string& error() const override { return error_; }
    Figures figures() const override { return host_.meter().figures(); }
    void reconfigure(const config::PluginConfig& config) override;
    std::optional<std::string> take_refusal() override { return std::exchange(refusal_, std::nullopt); }
    void stop(Milliseconds deadline) override;
    bool deliver(TimePoint until) override { return host_.deliver(until); }

  private:
    Status start(const config::PluginConfig& config);

    LocalBackend backend_;
    HostTable host_;
    std::optional<Instance> instance_;
    std::optional<std::string> refusal_;
    std::string error_;
};

}  // namespace circus::plugin
