#include "bin/plugin_record.hpp"

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/saved_state.hpp"

namespace circus::bin {

namespace {

constexpr std::size_t kTooOften = 3;

}  // namespace

void PluginRecord::inherit(const std::string& state, const keeper::HelloMessage& hello, TimePoint now,
                           Duration arbiter_timeout, plugin::Plugins& plugins) {
    const auto records = supervise::read_records(state);
    for (const auto& record : records ? *records : std::vector<supervise::Record>{}) {
        if (record.kind != supervise::RecordKind::Plugins) continue;
        const Json saved = supervise::from_bytes(record.bytes);
        for (const Json& death : saved.at("deaths"))
            deaths_.add(death.at(0).get<std::string>(),
                        TimePoint(Duration(death.at(1).get<Duration::rep>())));
        plugins.restore(saved.at("plugins"));
    }
    const std::string culprit = hello.plugin;
    const Duration window = PluginDeaths::window(arbiter_timeout, hello.callback == plugin::kLoading);
    deaths_.forget_before(now - window);
    if (culprit.empty()) return;
    const std::size_t count = deaths_.add(culprit, now);
    const std::string how_often =
        cat(count, count == 1 ? " time" : " times", " within ", to_seconds(window), " s");
    log::error(cat("plugin ", culprit, " was being called (", std::string_view(hello.callback),
                   ") when the arbiter died, ", how_often));
    if (count < kTooOften) return;
    plugins.quarantine(
        culprit, cat("the arbiter died in it ", how_often, ", last in ", std::string_view(hello.callback)));
    deaths_.forget(culprit);
}

std::string PluginRecord::saved(const plugin::Plugins& plugins) const {
    Json of_plugins = plugins.saved();
    if (of_plugins.empty() && deaths_.all().empty()) return {};
    Json deaths = Json::array();
    for (const auto& [plugin, at] : deaths_.all()) deaths.push_back({plugin, at.time_since_epoch().count()});
    std::string record;
    supervise::append_record(
        record, supervise::RecordKind::Plugins,
        supervise::to_bytes({{"deaths", std::move(deaths)}, {"plugins", std::move(of_plugins)}}));
    return record;
}

}  // namespace circus::bin
