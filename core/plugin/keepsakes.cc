#include "plugin/keepsakes.hpp"

#include <nlohmann/json.hpp>

#include "base/json_text.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace circus::plugin {

void Keepsakes::keep(std::string_view plugin, std::string json) {
    by_plugin_[to_lower(plugin)] = std::move(json);
    if (then_) then_();
}

void Keepsakes::restore(std::string_view plugin, std::string json) {
    if (parse_json(json).is_object())
        by_plugin_[to_lower(plugin)] = std::move(json);
    else
        log::warning(cat("plugin ", plugin, ": what it kept makes no sense and is ignored"));
}

void Keepsakes::forget(std::string_view plugin) {
    by_plugin_.erase(to_lower(plugin));
}

const std::string& Keepsakes::of(std::string_view plugin) const {
    static const std::string nothing;
    const auto at = by_plugin_.find(to_lower(plugin));
    return at == by_plugin_.end() ? nothing : at->second;
}

}  // namespace circus::plugin
