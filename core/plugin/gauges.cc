#include "plugin/gauges.hpp"

#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace circus::plugin {

void Gauges::set(const std::string& watcher, const std::string& name, double value, const std::string& by) {
    const std::lock_guard lock(mutex_);
    values_[{to_lower(watcher), name}] = {value, Monotonic::now(), by, ++version_};
}

std::vector<Gauges::Change> Gauges::changed_since(std::uint64_t& seen) const {
    std::vector<Change> out;
    const std::lock_guard lock(mutex_);
    if (seen == version_) return out;
    for (const auto& [key, value] : values_)
        if (value.version > seen) out.push_back({key.first, key.second, value});
    seen = version_;
    return out;
}

std::optional<Gauges::Value> Gauges::get(const std::string& watcher, const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto at = values_.find({to_lower(watcher), name});
    return at == values_.end() ? std::nullopt : std::optional(at->second);
}

Json Gauges::show(const std::string& watcher, const std::string& name) const {
    const std::string key = to_lower(watcher);
    const TimePoint now = Monotonic::now();
    Json out = Json::object();
    const std::lock_guard lock(mutex_);
    for (auto at = values_.lower_bound({key, {}}); at != values_.end() && at->first.first == key; ++at)
        if (name.empty() || at->first.second == name)
            out[at->first.second] = {{"value", at->second.value},
                                     {"age", to_seconds(now - at->second.set)},
                                     {"by", at->second.by}};
    return out;
}

}  // namespace circus::plugin
