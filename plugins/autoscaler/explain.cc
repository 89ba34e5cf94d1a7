#include "explain.hpp"

#include <cmath>
#include <cstdio>

namespace autoscaler {

namespace {

using nlohmann::json;

double seconds(Time time) {
    return std::chrono::duration<double>(time).count();
}
double rounded(double value) {
    return std::round(value * 1000) / 1000;
}
json number(const std::optional<double>& value) {
    return value ? json(rounded(*value)) : json(nullptr);
}

std::string text_of(double value) {
    char text[32];
    std::snprintf(text, sizeof text, value == std::floor(value) ? "%.0f" : "%.1f", value);
    return text;
}

json signals_of(const Signals& signals) {
    const Fleet& fleet = signals.fleet;
    json out = {{"ready", fleet.ready},
                {"booting", fleet.booting},
                {"boot_time", rounded(seconds(fleet.boot_time))},
                {"flapping", fleet.is_flapping},
                {"reloading", fleet.is_reloading},
                {"cpu", number(signals.cpu)},
                {"external", number(signals.external)},
                {"latency", number(signals.latency)},
                {"rss", number(signals.rss)},
                {"rss_worker", number(signals.rss_worker)},
                {"queue", nullptr},
                {"in_flight", nullptr},
                {"rate", nullptr}};
    if (!signals.load) return out;
    out["queue"] = signals.load->queue;
    out["in_flight"] = rounded(signals.load->in_flight);
    out["rate"] = number(signals.load->rate);
    return out;
}

}  // namespace

json to_json(const Decision& decision, Time now) {
    json wishes = json::object();
    for (const Wish& each : decision.wishes) wishes[std::string(each.reason)] = each.workers;
    json missing = json::array();
    for (const auto& each : decision.missing) missing.push_back(std::string(each));
    return {{"age", rounded(seconds(now - decision.at))},
            {"workers", decision.signals.fleet.wanted},
            {"wanted", decision.wanted},
            {"reason", std::string(decision.reason)},
            {"to", decision.to},
            {"limit", std::string(decision.limit)},
            {"window", rounded(seconds(decision.window))},
            {"wishes", std::move(wishes)},
            {"missing", std::move(missing)},
            {"signals", signals_of(decision.signals)}};
}

std::string to_text(const Decision& decision, Time now) {
    const Signals& signals = decision.signals;
    std::string text = text_of(std::round(seconds(now - decision.at))) +
                       " s ago: " + std::to_string(signals.fleet.wanted) + " workers";
    if (!decision.reason.empty())
        text += ", " + std::to_string(decision.wanted) + " wanted by " + std::string(decision.reason);
    text += decision.to == signals.fleet.wanted ? ", no change" : ", now " + std::to_string(decision.to);
    if (!decision.limit.empty()) text += " (" + std::string(decision.limit) + ")";
    text += "; ready " + std::to_string(signals.fleet.ready);
    if (signals.load)
        text += ", in flight " + text_of(signals.load->in_flight) + ", queue " + text_of(signals.load->queue);
    const std::pair<const char*, const std::optional<double>&> others[] = {
        {", cpu ", signals.cpu}, {", external ", signals.external}, {", latency ", signals.latency}};
    for (const auto& [name, value] : others)
        if (value) text += name + text_of(*value);
    for (const auto& each : decision.missing) text += ", no " + std::string(each);
    return text;
}

}  // namespace autoscaler
