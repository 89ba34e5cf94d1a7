#include "bin/plugin_record.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "supervise/saved_state.hpp"

namespace circus::bin {

namespace {

constexpr std::ptrdiff_t kTooOften = 3;
constexpr std::chrono::seconds kWithin{60};

}  // namespace

void PluginRecord::inherit(const std::string& state, const keeper::HelloMessage& hello, TimePoint now,
                           plugin::Plugins& plugins) {
    const auto records = supervise::read_records(state);
    for (const auto& record : records ? *records : std::vector<supervise::Record>{}) {
        if (record.kind != supervise::RecordKind::Plugins) continue;
        const Json saved = supervise::from_bytes(record.bytes);
        for (const Json& death : saved.at("deaths"))
            deaths_.emplace_back(death.at(0).get<std::string>(),
                                 TimePoint(Duration(death.at(1).get<Duration::rep>())));
        plugins.restore(saved.at("plugins"));
    }
    while (!deaths_.empty() && deaths_.front().second + kWithin < now) deaths_.pop_front();
    const std::string culprit = hello.plugin;
    if (culprit.empty()) return;
    deaths_.emplace_back(culprit, now);
    const auto count = std::count_if(deaths_.begin(), deaths_.end(),
                                     [&culprit](const auto& death) { return death.first == culprit; });
    log::error(cat("plugin ", culprit, " was being called (", std::string_view(hello.callback),
                   ") when the arbiter died, ", count, count == 1 ? " time" : " times", " within ",
                   kWithin.count(), " s"));
    if (count < kTooOften) return;
    plugins.quarantine(culprit, cat("the arbiter died in it ", count, " times within ", kWithin.count(),
                                    " s, last in ", std::string_view(hello.callback)));
    std::erase_if(deaths_, [&culprit](const auto& death) { return death.first == culprit; });
}

std::string PluginRecord::saved(const plugin::Plugins& plugins) const {
    Json of_plugins = plugins.saved();
    if (of_plugins.empty() && deaths_.empty()) return {};
    Json deaths = Json::array();
    for (const auto& [plugin, at] : deaths_) deaths.push_back({plugin, at.time_since_epoch().count()});
    std::string record;
    supervise::append_record(
        record, supervise::RecordKind::Plugins,
        supervise::to_bytes({{"deaths", std::move(deaths)}, {"plugins", std::move(of_plugins)}}));
    return record;
}

}  // namespace circus::bin
