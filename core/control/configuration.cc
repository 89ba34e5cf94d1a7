// reloadconfig, and restart of everything: what the configuration file decides.
//
// Circus answers with nothing but its verdict, `server error` where the file cannot be used. Who asks for
// reasons (the property `explain`, as circusctl does) gets them in the place of that text, and the plan in
// `plan`.
#include <nlohmann/json.hpp>

#include "control/handlers.hpp"
#include "control/properties.hpp"

namespace circus::control {

namespace {

using supervise::ConfigChange;
using supervise::ConfigPlan;

Json to_json(const ConfigPlan::Entries& entries) {
    Json object = Json::object();
    for (const auto& [name, why] : entries) object[name] = why;
    return object;
}

Json to_json(const ConfigPlan& plan) {
    return {{"kept", to_json(plan.kept)},
            {"updated", to_json(plan.updated)},
            {"restarted", to_json(plan.restarted)},
            {"started", to_json(plan.started)},
            {"stopped", to_json(plan.stopped)},
            {"sockets", to_json(plan.sockets)},
            {"plugins", to_json(plan.plugins)},
            {"circus", to_json(plan.circus)},
            {"warnings", plan.warnings}};
}

void answer(const Reply& reply, const Result<ConfigPlan>& result, bool explain) {
    if (result) {
        if (explain)
            reply.ok({{"plan", to_json(*result)}});
        else
            reply.ok();
        return;
    }
    const bool unusable = result.error().code == static_cast<int>(Errno::Exception);
    if (unusable && !explain)
        reply.error(Errno::Exception, "server error");
    else
        reply.error(result.error());
}

void change(Context& context, const Json& properties, const Reply& reply, ConfigChange what) {
    // A preview has nothing but its answer.
    const bool preview = what == ConfigChange::Preview;
    const bool explain = preview || flag_of(properties, "explain");
    supervise::ConfigDone done;
    if (preview || reply.is_waiting())
        done = [reply, explain](const Result<ConfigPlan>& result) { answer(reply, result, explain); };
    context.arbiter.reconfigure(what, std::move(done));
    if (!preview) reply.began();
}

void reloadconfig(Context& context, const Json& properties, const Reply& reply) {
    change(context, properties, reply,
           flag_of(properties, "dry_run") ? ConfigChange::Preview : ConfigChange::Reload);
}

}  // namespace

void restart_everything(Context& context, const Json& properties, const Reply& reply) {
    change(context, properties, reply, ConfigChange::Restart);
}

std::vector<NamedHandler> config_handlers() {
    return {{"reloadconfig", reloadconfig}};
}

}  // namespace circus::control
