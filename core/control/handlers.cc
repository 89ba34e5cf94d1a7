#include "control/handlers.hpp"

#include <map>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "control/properties.hpp"

namespace circus::control {

Handler find_handler(std::string_view command) {
    static const std::map<std::string_view, Handler> kHandlers = [] {
        std::map<std::string_view, Handler> all;
        for (const auto& family :
             {query_handlers(), stats_handlers(), lifecycle_handlers(), option_handlers(), process_handlers(),
              config_handlers(), log_handlers(), death_handlers()})
            for (const NamedHandler& row : family) all[row.command] = row.handler;
        return all;
    }();
    const auto at = kHandlers.find(command);
    return at == kHandlers.end() ? nullptr : at->second;
}

supervise::Watcher* find_watcher(Context& context, const Json& properties, const Reply& reply) {
    const std::string name = text_of(properties, "name");
    supervise::Watcher* watcher = context.arbiter.find(name);
    if (!watcher) reply.error(Errno::Message, cat("program ", name, " not found"));
    return watcher;
}

}  // namespace circus::control
