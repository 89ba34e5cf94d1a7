#include "page.hpp"

#include <array>
#include <string_view>
#include <utility>

namespace metrics {

namespace {

using circus::Json;

constexpr double kGaugeAge = 600;  // seconds: an older one is of something that is no more

double number(const Json& object, const char* name) {
    return object.at(name).get<double>();
}

std::string in_lower_case(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

std::vector<double> numbers(const Json& list) {
    std::vector<double> values;
    for (const Json& each : list) values.push_back(each.get<double>());
    return values;
}

}  // namespace

std::vector<prometheus::MetricFamily> Page::make(const Sample& sample) {
    series_.begin();
    counts_before_ = std::exchange(counts_, {});
    const Json& figures = sample.figures;
    series_.gauge("circus_info", "What runs here; always 1.",
                  {{"version", figures.at("version").get<std::string>()}}, 1);
    const auto keeper = figures.at("keeper").get<pid_t>();
    for (const auto& [name, watcher] : figures.at("watchers").items()) add_watcher(name, watcher, keeper);
    for (const Json& socket : sample.sockets.at("sockets")) add_socket(socket);
    for (const auto& [name, plugin] : sample.plugins.at("plugins").items()) add_plugin(name, plugin);
    std::map<std::string, std::string> written;  // gauges know watchers by their names in lower case
    for (const auto& [name, watcher] : figures.at("watchers").items()) written[in_lower_case(name)] = name;
    for (const auto& [name, gauges] : sample.gauges.at("gauges").items()) {
        const auto known = written.find(name);
        add_gauges(known == written.end() ? name : known->second, gauges);
    }
    add_loop(figures.at("loop"));
    add_daemon(figures);
    return series_.end();
}

bool Page::has_begun_anew(const std::string& what, double count) {
    counts_[what] = count;
    const auto before = counts_before_.find(what);
    return before != counts_before_.end() && before->second > count;
}

// ---- watchers ----

void Page::add_watcher(const std::string& name, const Json& watcher, pid_t keeper) {
    const Labels labels{{"watcher", name}};
    const auto status = watcher.at("status").get<std::string>();
    for (const char* each : {"active", "starting", "stopping", "stopped"})
        series_.gauge("circus_watcher_status", "1 for the status that the watcher has, 0 for the others.",
                      {{"watcher", name}, {"status", each}}, status == each ? 1 : 0);
    series_.gauge("circus_watcher_processes_wanted",
                  "Processes that the watcher is to have; 0 if it is stopped.", labels,
                  number(watcher, "wanted"));
    const auto gave_up = watcher.find("gave_up");
    series_.gauge(
        "circus_watcher_gave_up",
        "1 if the watcher is stopped because its processes cannot be started or it failed otherwise.", labels,
        gave_up != watcher.end() && gave_up->is_string() ? 1 : 0);
    series_.gauge("circus_watcher_processes_running", "Processes of the watcher that there are.", labels,
                  static_cast<double>(watcher.at("pids").size()));
    series_.gauge("circus_watcher_processes_ready", "Processes of the watcher that are ready.", labels,
                  number(watcher, "ready"));
    const bool is_new = has_begun_anew("watcher " + name, number(watcher, "spawned"));
    series_.counter("circus_watcher_spawns_total", "Processes that were started.", labels,
                    number(watcher, "spawned"), is_new);
    series_.counter("circus_watcher_spawn_failures_total", "Processes that could not be started.", labels,
                    number(watcher, "spawns_failed"), is_new);
    add_ends(name, watcher, is_new);
    add_output(name, watcher);
    add_use(name, watcher, keeper, is_new);
}

void Page::add_ends(const std::string& name, const Json& watcher, bool is_new) {
    for (const char* reason : {"died", "memory", "not_ready", "max_age", "reload", "restart", "kill"})
        series_.counter("circus_watcher_restarts_total",
                        "Processes that ended and whose place another one takes, by why they ended.",
                        {{"watcher", name}, {"reason", reason}}, watcher.at("replaced").value(reason, 0.0),
                        is_new);
    for (const Json& end : watcher.at("ended"))
        for (const char* asked : {"asked", "unasked"})
            series_.counter(
                "circus_watcher_deaths_total",
                "Processes that ended, by exit code or signal, and whether circusd had asked them to.",
                {{"watcher", name},
                 {"cause", end.at("cause").get<std::string>()},
                 {"asked", asked == std::string("asked") ? "true" : "false"}},
                number(end, asked), is_new);
}

// Counted by the arbiter, and from nothing by the next one, where the other counts of a watcher go on.
void Page::add_output(const std::string& name, const Json& watcher) {
    for (const char* stream : {"stdout", "stderr"}) {
        const Labels labels{{"watcher", name}, {"stream", stream}};
        const bool is_new =
            has_begun_anew("output " + name + ' ' + stream, number(watcher.at(stream), "bytes"));
        series_.counter("circus_watcher_log_bytes_total", "Bytes that were read of what the workers wrote.",
                        labels, number(watcher.at(stream), "bytes"), is_new);
        series_.counter("circus_watcher_log_dropped_bytes_total",
                        "Bytes of it that were dropped because their target did not take them.", labels,
                        number(watcher.at(stream), "dropped"), is_new);
    }
}

void Page::add_use(const std::string& name, const Json& watcher, pid_t keeper, bool is_new) {
    double cpu = number(watcher, "cpu_of_ended");
    double resident = 0;
    for (const Json& pid : watcher.at("pids")) {
        const auto use = processes_.use(pid.get<pid_t>());
        // One that has ended meanwhile; its number may be somebody else's by now.
        if (!use || use->parent != keeper) continue;
        cpu += use->cpu_seconds + use->waited_cpu_seconds;
        resident += use->resident_bytes;
    }
    series_.counter("circus_watcher_cpu_seconds_total",
                    "CPU time of the watcher's processes, those that ended and their children included.",
                    {{"watcher", name}}, cpu, is_new);
    series_.gauge("circus_watcher_resident_memory_bytes",
                  "Resident memory of the watcher's processes, what they share counted for each.",
                  {{"watcher", name}}, resident);
}

// ---- sockets ----

void Page::add_socket(const Json& socket) {
    const auto name = socket.at("name").get<std::string>();
    const Labels labels{{"socket", name}};
    const Json& figures = socket.at("figures");
    const auto gauge = [&](const char* figure, const char* metric, const char* help) {
        if (figures.at(figure).is_number()) series_.gauge(metric, help, labels, number(figures, figure));
    };
    gauge("queue", "circus_socket_queue_connections", "Connections that wait to be accepted.");
    gauge("limit", "circus_socket_queue_limit_connections", "Connections that may wait to be accepted.");
    gauge("in_flight", "circus_socket_in_flight_connections", "Connections that were accepted and are open.");
    const auto counter = [&](const char* figure, const char* metric, const char* help) {
        if (!figures.at(figure).is_number()) return;
        const double count = number(figures, figure);
        const bool is_new = has_begun_anew(std::string("socket ") + figure + ' ' + name, count);
        series_.counter(metric, help, labels, count, is_new);
    };
    counter("accepted", "circus_socket_connections_total", "Connections that were opened to the socket.");
    counter("drops", "circus_socket_dropped_connections_total", "Connections that found the queue full.");
}

// ---- plugins ----

void Page::add_plugin(const std::string& name, const Json& plugin) {
    const Labels labels{{"plugin", name}};
    series_.gauge("circus_plugin_active", "1 if the plugin runs.", labels,
                  plugin.at("state") == "active" ? 1 : 0);
    const bool is_new = has_begun_anew("plugin " + name, number(plugin, "calls"));
    series_.counter("circus_plugin_callbacks_total", "Calls into the plugin.", labels,
                    number(plugin, "calls"), is_new);
    series_.counter("circus_plugin_callback_seconds_total", "Time that these calls took.", labels,
                    number(plugin, "time"), is_new);
    series_.counter("circus_plugin_slow_callbacks_total", "Those of them that took longer than 5 ms.", labels,
                    number(plugin, "slow"), is_new);
    series_.counter("circus_plugin_errors_total", "Calls that failed, and what else the plugin did wrong.",
                    labels, number(plugin, "errors"), is_new);
}

// ---- gauges ----

void Page::add_gauges(const std::string& watcher, const Json& gauges) {
    constexpr std::string_view kWish = "autoscaler.wanted.";
    for (const auto& [name, gauge] : gauges.items()) {
        if (number(gauge, "age") > kGaugeAge) continue;
        if (name.starts_with(kWish))
            series_.gauge("circus_autoscaler_wanted_workers",
                          "Workers that the autoscaler would have, by why; it takes the most.",
                          {{"watcher", watcher}, {"reason", name.substr(kWish.size())}},
                          number(gauge, "value"));
        else
            series_.gauge("circus_gauge", "What a plugin or a client has set (circusctl gauge).",
                          {{"watcher", watcher}, {"gauge", name}}, number(gauge, "value"));
    }
}

// ---- circusd ----

void Page::add_loop(const Json& loop) {
    series_.histogram("circus_loop_turn_seconds",
                      "Turns of circusd's loop by how long they took: what everything else had to wait.",
                      numbers(loop.at("bounds")), numbers(loop.at("turns")), number(loop, "busy"));
}

void Page::add_daemon(const Json& figures) {
    series_.counter("circus_events_dropped_total", "Events that nobody got because too many waited.", {},
                    number(figures, "events_dropped"));
    for (const char* process : {"keeper", "arbiter"}) {
        const auto pid = figures.at(process).get<pid_t>();
        const Labels labels{{"process", process}};
        if (const auto use = processes_.use(pid)) {
            series_.counter("circus_daemon_cpu_seconds_total", "CPU time of circusd's own processes.", labels,
                            use->cpu_seconds);
            series_.gauge("circus_daemon_resident_memory_bytes",
                          "Resident memory of circusd's own processes.", labels, use->resident_bytes);
        }
        if (const auto count = processes_.descriptors(pid))
            series_.gauge("circus_daemon_open_fds", "Descriptors that circusd's own processes hold.", labels,
                          static_cast<double>(*count));
    }
}

}  // namespace metrics
