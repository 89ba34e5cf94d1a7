#include "routes.hpp"

#include <array>

namespace console {

std::span<const ReadRoute> read_routes() {
    static constexpr std::array kRoutes{
        ReadRoute{"overview", "", "watchers, sockets and circusd itself, as the page shows them"},
        ReadRoute{"watchers", "", "the watchers: state, processes wanted and there, cpu, memory"},
        ReadRoute{"watchers/{name}", "options",
                  "all options of a watcher, and as `editable` those that the visitor may change", "",
                  R"({"settable": true})"},
        ReadRoute{"watchers/{name}/status", "status", "active, starting, stopping or stopped"},
        ReadRoute{"watchers/{name}/stats", "stats", "what its processes use"},
        ReadRoute{"watchers/{name}/pids", "list", "the process ids of a watcher"},
        ReadRoute{"watchers/{name}/logs", "logs", "the last lines it wrote, where it has a stream",
                  "lines# pid# stderr? cursor"},
        ReadRoute{"watchers/{name}/deaths", "deaths", "its processes that have ended, and why", "last#"},
        ReadRoute{"watchers/{name}/autoscale", "autoscale",
                  "why it has as many processes as it has, where the plugin autoscaler scales it", "",
                  R"({"action": "explain", "decisions": true})"},
        ReadRoute{"watchers/{name}/gauges", "gauge", "the gauges that plugins and clients have set for it",
                  "", "", "watcher"},
        ReadRoute{"sockets", "listsockets", "the sockets, and what each is doing", "",
                  R"({"figures": true})"},
        ReadRoute{"plugins", "plugins", "the plugins, and what they cost"},
        ReadRoute{"stats", "stats", "what all processes use"},
        ReadRoute{"deaths", "deaths", "the processes that have ended, and why", "last#"},
        ReadRoute{"daemon", "dstats", "what circusd itself uses"},
        ReadRoute{"options", "globaloptions", "the options of circusd"},
        ReadRoute{"commands", "commands", "the commands that circusd takes"},
    };
    return kRoutes;
}

}  // namespace console
