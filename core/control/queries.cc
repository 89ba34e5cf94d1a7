// Commands that change nothing. They are answered at once, whatever else goes on.
#include <algorithm>
#include <array>
#include <charconv>

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "config/option_table.hpp"
#include "control/command_table.hpp"
#include "control/handlers.hpp"
#include "control/properties.hpp"
#include "control/python_text.hpp"
#include "control/secrets.hpp"
#include "stats/socket_figures.hpp"
#include "supervise/spawn_plan.hpp"
#include "sys/sock_diag.hpp"

namespace circus::control {

namespace {

using supervise::Process;
using supervise::Watcher;

void list(Context& context, const Json& properties, const Reply& reply) {
    if (!has(properties, "name")) {
        Json names = Json::array();
        for (const Watcher* watcher : context.arbiter.watchers()) names.push_back(to_lower(watcher->name()));
        return reply.ok({{"watchers", std::move(names)}});
    }
    const Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    std::string text = R"({"pids":[)";
    text.reserve(text.size() + watcher->active_count() * 8 + 2);
    for (const Process* process : watcher->active()) {
        std::array<char, 12> digits;
        const auto end = std::to_chars(digits.begin(), digits.end(), process->pid).ptr;
        if (text.back() != '[') text += ',';
        text.append(digits.begin(), end);
    }
    reply.ok_text(text += "]}");
}

// Circus's answer, and how many of its processes are ready where the watcher says what that means.
Json status_of(const Watcher& watcher) {
    Json fields = {{"status", to_string(watcher.status())}};
    if (watcher.config().ready.kind != config::ReadyConfig::Kind::Spawned)
        fields["ready"] = watcher.ready_count();
    return fields;
}

void status(Context& context, const Json& properties, const Reply& reply) {
    if (!has(properties, "name")) {
        Json statuses = Json::object();
        for (const Watcher* watcher : context.arbiter.watchers())
            statuses[watcher->name()] = to_string(watcher->status());
        return reply.ok({{"statuses", std::move(statuses)}});
    }
    if (const Watcher* watcher = find_watcher(context, properties, reply)) reply.ok(status_of(*watcher));
}

void numwatchers(Context& context, const Json&, const Reply& reply) {
    reply.ok({{"numwatchers", context.arbiter.watchers().size()}});
}

void numprocesses(Context& context, const Json& properties, const Reply& reply) {
    if (!has(properties, "name")) {
        std::size_t count = 0;
        for (const Watcher* watcher : context.arbiter.watchers()) count += watcher->active_count();
        return reply.ok({{"numprocesses", count}});
    }
    if (const Watcher* watcher = find_watcher(context, properties, reply))
        reply.ok({{"numprocesses", watcher->active_count()}, {"watcher_name", text_of(properties, "name")}});
}

// Each with its own queue; and what it was given and has, where a program of ours says who gets what.
Json slots_of(const supervise::SocketTable::Socket& socket) {
    Json rows = Json::array();
    for (const auto& [key, slot] : socket.slots) {
        Json row = {{"watcher", key.first}, {"wid", key.second}, {"leaving", slot.is_leaving}};
        if (const auto queue = sys::accept_queue(slot.fd.get())) row["queue"] = queue->length;
        if (socket.steering && slot.place) {
            row["accepting"] = slot.has_worker;
            row["picks"] = socket.steering->picks(*slot.place);
            if (socket.config.steering == config::SteeringKind::LeastLoaded)
                row["load"] = std::max<std::int64_t>(0, socket.steering->load(*slot.place));
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

Json figures_of(const supervise::SocketTable::Socket& socket) {
    const stats::SocketFigures figures = stats::look_at_socket(socket.listeners(), socket.connections);
    const auto json = [](const std::optional<std::uint64_t>& figure) {
        return figure ? Json(*figure) : Json(nullptr);
    };
    Json out = {{"queue", json(figures.queue)},         {"limit", json(figures.limit)},
                {"in_flight", json(figures.in_flight)}, {"accepted", json(figures.accepted)},
                {"drops", json(figures.drops)},         {"absent", figures.absent}};
    if (!socket.config.so_reuseport || socket.config.type != config::SocketType::Stream) return out;
    out["steering"] =
        config::to_string(socket.steering ? socket.config.steering : config::SteeringKind::Kernel);
    if (!socket.unsteered.empty()) out["absent"]["steering"] = socket.unsteered;
    out["slots"] = slots_of(socket);
    return out;
}

// The watchers whose processes get it.
Json users_of(const supervise::SocketTable::Socket& socket, const Context& context) {
    Json names = Json::array();
    for (const Watcher* watcher : context.arbiter.watchers()) {
        const auto inherited = supervise::inherited_sockets(watcher->config(), context.arbiter.sockets());
        if (std::find(inherited.begin(), inherited.end(), &socket) != inherited.end() ||
            equals_ignoring_case(watcher->config().stdin_socket, socket.config.name))
            names.push_back(watcher->name());
    }
    return names;
}

void listsockets(Context& context, const Json& properties, const Reply& reply) {
    std::vector<const supervise::SocketTable::Socket*> sockets;
    for (const auto& socket : context.arbiter.sockets().all()) sockets.push_back(socket.get());
    std::sort(sockets.begin(), sockets.end(),
              [](const auto* a, const auto* b) { return a->worker_fd < b->worker_fd; });
    Json rows = Json::array();
    for (const auto* socket : sockets) {
        Json row = {
            {"fd", socket->worker_fd}, {"name", socket->config.name}, {"backlog", socket->config.backlog}};
        if (socket->config.path.empty()) {
            row["host"] = socket->host;
            row["port"] = socket->port;
        } else {
            row["path"] = socket->config.path;
        }
        if (flag_of(properties, "figures")) {
            row["watchers"] = users_of(*socket, context);
            row["figures"] = figures_of(*socket);
        }
        rows.push_back(std::move(row));
    }
    reply.ok({{"sockets", std::move(rows)}});
}

const char* type_word(PropertyType type) {
    switch (type) {
        case PropertyType::Any:
            return "any";
        case PropertyType::Flag:
            return "boolean";
        case PropertyType::Text:
            return "string";
        case PropertyType::Integer:
            return "integer";
        case PropertyType::Seconds:
            return "number";
        case PropertyType::Signal:
            return "signal";
        case PropertyType::List:
            return "list";
        case PropertyType::Object:
            return "object";
    }
    return "any";
}

Json properties_of(const Command& command) {
    Json rows = Json::object();
    for (const Property& property : command.properties) {
        Json& row = rows[std::string(property.name)];
        row = {{"type", type_word(property.type)}, {"required", property.required}};
        if (property.role > command.role) row["role"] = model::name_of(property.role);
    }
    if (command.waitable) rows["waiting"] = {{"type", "boolean"}, {"required", false}};
    return rows;
}

void commands(Context& context, const Json&, const Reply& reply) {
    Json rows = Json::object();
    for (const Command& command : control::commands())
        rows[std::string(command.name)] = {{"summary", command.summary},
                                           {"help", command.help},
                                           {"usage", usage(command)},
                                           {"changes", command.changes},
                                           {"role", model::name_of(command.role)},
                                           {"properties", properties_of(command)}};
    for (const CommandRegistry::Entry* added : context.registry.added())
        rows[added->name] = {
            {"summary", added->summary},
            {"help", added->help},
            {"usage", added->arguments.empty() ? added->name : cat(added->name, " ", added->arguments)},
            {"plugin", added->owner}};
    reply.ok({{"commands", std::move(rows)}});
}

void listen(Context&, const Json&, const Reply& reply) {
    reply.error(Errno::Message, "invalid message. use a pub/sub socket");
}

// ---- options ----

Json options_of(Context& context, const Watcher& watcher, const Json& properties) {
    Json all = config::watcher_options_to_json(watcher.config(), context.arbiter.directory());
    if (!flag_of(properties, "secrets")) mask_secrets(all);
    return all;
}

Json settable_of(const Watcher& watcher, const Json& properties) {
    Json settable = config::settable_options_to_json(watcher.config());
    if (flag_of(properties, "secrets")) return settable;
    Json values = Json::object();
    for (const auto& [name, option] : settable.items()) values[name] = option["value"];
    mask_secrets(values);
    for (auto value = values.begin(); value != values.end(); ++value)
        settable[value.key()]["value"] = std::move(*value);
    return settable;
}

void options(Context& context, const Json& properties, const Reply& reply) {
    const Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    Json answer = {{"options", options_of(context, *watcher, properties)}};
    if (flag_of(properties, "settable")) answer["settable"] = settable_of(*watcher, properties);
    reply.ok(std::move(answer));
}

void get(Context& context, const Json& properties, const Reply& reply) {
    const Watcher* watcher = find_watcher(context, properties, reply);
    if (!watcher) return;
    const Json all = options_of(context, *watcher, properties);
    Json wanted = Json::object();
    for (const Json& key : properties["keys"]) {
        const auto at = key.is_string() ? all.find(key.get<std::string>()) : all.end();
        if (at == all.end()) return reply.error(Errno::Message, cat(repr(key), " option not found"));
        wanted[at.key()] = *at;
    }
    reply.ok({{"options", std::move(wanted)}});
}

void globaloptions(Context& context, const Json& properties, const Reply& reply) {
    Json all = config::global_options_to_json(context.arbiter.config());
    // An empty value asks for everything, as in Circus.
    const auto option = properties.find("option");
    if (option == properties.end() || !is_true(*option)) return reply.ok({{"options", std::move(all)}});
    const auto at = option->is_string() ? all.find(option->get<std::string>()) : all.end();
    if (at == all.end()) return reply.error(Errno::Message, cat(repr(*option), " not an existing option"));
    reply.ok({{"options", {{at.key(), *at}}}});
}

}  // namespace

std::vector<NamedHandler> query_handlers() {
    return {{"list", list},
            {"status", status},
            {"numwatchers", numwatchers},
            {"numprocesses", numprocesses},
            {"listsockets", listsockets},
            {"commands", commands},
            {"listen", listen},
            {"options", options},
            {"get", get},
            {"globaloptions", globaloptions}};
}

}  // namespace circus::control
