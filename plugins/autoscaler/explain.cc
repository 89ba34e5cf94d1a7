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
                {"latency_age", nullptr}};
    for (const char* name :
         {"queue", "queue_limit", "standing", "growth", "in_flight", "in_flight_now", "rate", "drops"})
        out[name] = nullptr;
    if (!signals.load) return out;
    const LoadReading& load = *signals.load;
    out["queue"] = load.queue;
    out["queue_limit"] = load.limit;
    out["standing"] = load.standing;
    out["growth"] = rounded(load.growth);
    out["in_flight"] = rounded(load.in_flight);
    out["in_flight_now"] = load.in_flight_now;
    out["rate"] = number(load.rate);
    out["drops"] = number(load.drops);
    return out;
}

}  // namespace

json to_json(const Decision& decision, Time now) {
    json wishes = json::object();
    for (const Wish& each : decision.wishes) wishes[std::string(each.reason)] = each.workers;
    json missing = json::array();
    for (const auto& each : decision.missing) missing.push_back(std::string(each));
    json signals = signals_of(decision.signals);
    signals["busyness"] = number(decision.busyness);
    if (decision.signals.latency_at)
        signals["latency_age"] = rounded(seconds(decision.at - *decision.signals.latency_at));
    return {{"age", rounded(seconds(now - decision.at))},
            {"workers", decision.signals.fleet.wanted},
            {"wanted", decision.wanted},
            {"reason", std::string(decision.reason)},
            {"to", decision.to},
            {"limit", std::string(decision.limit)},
            {"held", std::string(decision.held)},
            {"window", rounded(seconds(decision.window))},
            {"wishes", std::move(wishes)},
            {"missing", std::move(missing)},
            {"signals", std::move(signals)}};
}

std::string to_text(const Decision& decision, Time now) {
    const Signals& signals = decision.signals;
    std::string text = text_of(std::round(seconds(now - decision.at))) +
                       " s ago: " + std::to_string(signals.fleet.wanted) + " workers";
    if (!decision.reason.empty())
        text += ", " + std::to_string(decision.wanted) + " wanted by " + std::string(decision.reason);
    text += decision.to == signals.fleet.wanted ? ", no change" : ", now " + std::to_string(decision.to);
    std::string why(decision.limit);
    if (!decision.held.empty()) why += (why.empty() ? "" : ", ") + std::string(decision.held);
    if (!why.empty()) text += " (" + why + ")";
    text += "; ready " + std::to_string(signals.fleet.ready);
    if (signals.load)
        text += ", in flight " + text_of(signals.load->in_flight) + ", queue " + text_of(signals.load->queue);
    if (signals.load && signals.load->queue > 0)
        text += ", of them " + text_of(signals.load->standing) + " for a while";
    if (signals.load && signals.load->drops.value_or(0) > 0)
        text += ", drops " + text_of(*signals.load->drops);
    const std::pair<const char*, const std::optional<double>&> others[] = {
        {", cpu ", signals.cpu}, {", external ", signals.external}, {", latency ", signals.latency}};
    for (const auto& [name, value] : others)
        if (value) text += name + text_of(*value);
    for (const auto& each : decision.missing) text += ", no " + std::string(each);
    return text;
}

}  // namespace autoscaler
