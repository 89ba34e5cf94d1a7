#include "report.hpp"

#include <circus/plugin.hpp>

#include "explain.hpp"

namespace autoscaler {

std::string summary_of(const Scaled& it, Time now) {
    if (!it.policy_problem.empty()) return "left alone: " + it.policy_problem;
    const std::string text = it.is_paused ? "paused; " : it.knobs.dry_run ? "dry run; " : "";
    return text + (it.decisions.empty() ? "not decided about yet" : to_text(it.decisions.back(), now));
}

Json event_of(const std::string& name, const Decision& decision, bool is_dry) {
    return {{"watcher", name},
            {"from", decision.signals.fleet.wanted},
            {"to", decision.to},
            {"wanted", decision.wanted},
            {"reason", std::string(decision.reason)},
            {"limit", std::string(decision.limit)},
            {"dry_run", is_dry}};
}

Json report(const Scaled& it, Time now, bool with_decisions) {
    std::string text = summary_of(it, now);
    // Of those that say the same one after the other the last.
    const Decision* last = it.decisions.empty() ? nullptr : &it.decisions.back();
    for (auto at = it.decisions.rbegin(); at != it.decisions.rend(); ++at) {
        if (at->to == last->to && at->reason == last->reason && at->limit == last->limit &&
            at->held == last->held)
            continue;
        text += "\n" + to_text(*at, now);
        last = &*at;
    }
    Json out{{"explanation", text}};
    if (!with_decisions) return out;
    out["decisions"] = Json::array();
    for (const Decision& each : it.decisions) out["decisions"].push_back(to_json(each, now));
    out["options"] = it.options;
    out["paused"] = it.is_paused;
    return out;
}

Json options_in(const Json& properties) {
    Json options = Json::object();
    for (const auto& [key, value] : properties.items()) {
        if (key == "action" || key == "name" || key == "waiting") continue;
        // circusctl's --dry_run=yes is a text.
        const bool is_switch = key == "dry_run" && value.is_string();
        const Json given = is_switch ? Json(value == "true" || value == "yes") : value;
        if (const auto problem = problem_of(key, given); !problem.empty())
            throw circus::Failure(CIRCUS_E_INVALID, problem);
        options[key] = given;
    }
    return options;
}

}  // namespace autoscaler
