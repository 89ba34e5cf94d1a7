#include "plugin/local_runner.hpp"

#include "base/text.hpp"
#include "plugin/description.hpp"
#include "plugin/loader.hpp"
#include "plugin/meter.hpp"

namespace circus::plugin {

LocalRunner::LocalRunner(loop::Loop& loop, Switchboard& board, const config::PluginConfig& config,
                         std::uint32_t shown)
    : backend_(board, config.name), host_(loop, backend_, config.name, shown) {
    backend_.attach(host_);
    if (const Status started = start(config); !started) {
        error_ = cat(config.file, ": ", started.error().text);
        instance_.reset();
    }
}

Status LocalRunner::start(const config::PluginConfig& config) {
    const auto library = Meter::load(config.name, [&config] { return Library::open(config.file); });
    if (!library) return library.error();
    const auto table = plugin_table(*library);
    if (!table) return table.error();
    if (const auto checked = read_description(**table, offered_extensions()); !checked)
        return checked.error();
    instance_.emplace(host_, **table);
    return instance_->start(config.options);
}

Runner::Phase LocalRunner::phase() const {
    if (!instance_) return Phase::Ended;
    switch (instance_->state()) {
        case Instance::State::Idle:
            return Phase::Starting;
        case Instance::State::Running:
            return Phase::Running;
        case Instance::State::Stopping:
            return Phase::Stopping;
        case Instance::State::Gone:
            break;
    }
    return Phase::Ended;
}

void LocalRunner::reconfigure(const config::PluginConfig& config) {
    const auto changed = instance_->reconfigure(config.options);
    if (!changed)
        refusal_ = changed.error().text;
    else if (!*changed)
        refusal_ = "";
}

void LocalRunner::stop(Milliseconds deadline) {
    if (instance_) instance_->stop(deadline);
}

}  // namespace circus::plugin
