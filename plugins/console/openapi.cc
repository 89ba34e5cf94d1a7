#include "openapi.hpp"

#include <string>

#include "routes.hpp"

namespace console {

namespace {

using circus::Json;

Json schema_of(const std::string& type) {
    if (type == "boolean" || type == "integer" || type == "number" || type == "string" || type == "object")
        return {{"type", type}};
    if (type == "list") return {{"type", "array"}, {"items", Json::object()}};
    if (type == "signal") return {{"oneOf", {{{"type", "string"}}, {{"type", "integer"}}}}};
    return Json::object();  // anything
}

Json content(Json schema) {
    return {{"application/json", {{"schema", std::move(schema)}}}};
}

Json reference(const char* kind, const char* name) {
    return {{"$ref", std::string("#/components/") + kind + "/" + name}};
}

Json responses(bool is_write) {
    Json all{
        {"200", {{"description", "circusd's answer"}, {"content", content(reference("schemas", "Answer"))}}},
        {"400", reference("responses", "Error")},
        {"401", reference("responses", "Error")},
        {"404", reference("responses", "Error")},
        {"429", reference("responses", "Error")},
        {"500", reference("responses", "Error")},
        {"503", reference("responses", "Error")},
        {"504", reference("responses", "Error")}};
    if (is_write)
        for (const char* status : {"403", "409", "415"}) all[status] = reference("responses", "Error");
    return all;
}

Json parameter(const std::string& name, const char* in, Json schema) {
    return {
        {"name", name}, {"in", in}, {"required", std::string(in) == "path"}, {"schema", std::move(schema)}};
}

Json read_operation(const ReadRoute& route) {
    Json parameters = Json::array();
    if (route.path.find("{name}") != route.path.npos)
        parameters.push_back(parameter("name", "path", {{"type", "string"}}));
    std::string word;
    for (const char c : std::string(route.query) + " ") {
        if (c != ' ') {
            word += c;
            continue;
        }
        if (word.empty()) continue;
        const char* const type = word.back() == '#' ? "integer" : word.back() == '?' ? "boolean" : "string";
        if (word.back() == '#' || word.back() == '?') word.pop_back();
        parameters.push_back(parameter(word, "query", {{"type", type}}));
        word.clear();
    }
    return {{"summary", route.summary},
            {"tags", {"read"}},
            {"parameters", std::move(parameters)},
            {"responses", responses(false)}};
}

Json command_operation(const std::string& name, const Json& row) {
    Json properties = Json::object();
    Json required = Json::array();
    if (const auto listed = row.find("properties"); listed != row.end() && listed->is_object())
        for (const auto& [property, facts] : listed->items()) {
            properties[property] = schema_of(facts.value("type", std::string("any")));
            if (facts.value("required", false)) required.push_back(property);
        }
    Json schema{{"type", "object"}, {"properties", std::move(properties)}};
    const bool needs_body = !required.empty();
    if (needs_body) schema["required"] = std::move(required);
    Json operation{{"operationId", name},
                   {"summary", row.value("summary", std::string())},
                   {"description", row.value("help", std::string())},
                   {"tags", {row.value("plugin", std::string("commands"))}},
                   {"parameters", {reference("parameters", "Csrf")}},
                   {"requestBody", {{"required", needs_body}, {"content", content(std::move(schema))}}},
                   {"responses", responses(true)}};
    for (const char* fact : {"changes", "role"})
        if (row.contains(fact)) operation[std::string("x-circus-") + fact] = row[fact];
    return operation;
}

Json components() {
    const Json answer{{"type", "object"},
                      {"properties", {{"status", {{"type", "string"}}}, {"time", {{"type", "number"}}}}}};
    const Json error{{"type", "object"},
                     {"properties",
                      {{"status", {{"type", "string"}}},
                       {"reason", {{"type", "string"}}},
                       {"errno", {{"type", "integer"}}}}}};
    Json csrf = parameter("X-Circus-Csrf", "header", {{"type", "string"}});
    csrf["description"] = "from GET /api/v1/session; not needed with a token in Authorization";
    return {{"schemas", {{"Answer", answer}, {"Error", error}}},
            {"parameters", {{"Csrf", std::move(csrf)}}},
            {"responses",
             {{"Error", {{"description", "why not"}, {"content", content(reference("schemas", "Error"))}}}}},
            {"securitySchemes", {{"token", {{"type", "http"}, {"scheme", "bearer"}}}}}};
}

Json own_operation(const char* summary, bool is_write) {
    Json operation{{"summary", summary}, {"tags", {"console"}}, {"responses", responses(is_write)}};
    return operation;
}

void add_own(Json& paths) {
    paths["/api/v1/session"]["get"] =
        own_operation("who one is here, and what a write has to bring along", false);
    Json login = own_operation("a session, for {user, password} or {token}", true);
    login["requestBody"] = {{"required", true},
                            {"content", content({{"type", "object"},
                                                 {"properties",
                                                  {{"user", {{"type", "string"}}},
                                                   {"password", {{"type", "string"}}},
                                                   {"token", {{"type", "string"}}}}}})}};
    paths["/api/v1/login"]["post"] = std::move(login);
    paths["/api/v1/logout"]["post"] = own_operation("ends the session", true);
    paths["/api/v1/endpoints"]["get"] = own_operation(
        "the circusds that this console shows; each has all of /api/v1 but what is the console's own at "
        "/api/v1/endpoints/NAME, and a document of its own there",
        false);
    paths["/api/v1/openapi.json"]["get"] = own_operation("this document", false);
    paths["/healthz"]["get"] = own_operation("200 while the console runs", false);
    Json readyz = own_operation("200 while circusd answers and no watcher is starting", false);
    readyz["responses"]["503"] = {{"description", "not yet, or not any more"}};
    paths["/readyz"]["get"] = std::move(readyz);
    // Nobody is asked who he is there.
    for (const char* path : {"/healthz", "/readyz"}) paths[path]["get"]["security"] = Json::array();
}

Json events_operation() {
    Json events = own_operation("a WebSocket: events as they come, and what the page shows", false);
    events["parameters"] = {parameter("topic", "query", {{"type", "string"}}),
                            parameter("past", "query", {{"type", "integer"}}),
                            parameter("overview", "query", {{"type", "boolean"}}),
                            parameter("watcher", "query", {{"type", "string"}})};
    events["responses"]["101"] = {{"description", "the WebSocket is open"}};
    events["responses"]["426"] = reference("responses", "Error");
    return events;
}

}  // namespace

Json openapi(const Json& commands, const std::string& endpoint) {
    Json paths = Json::object();
    std::string base = "/api/v1/";
    if (!endpoint.empty()) base.append("endpoints/").append(endpoint).append("/");
    for (const ReadRoute& route : read_routes())
        paths[base + std::string(route.path)]["get"] = read_operation(route);
    for (const auto& [name, row] : commands.items())
        if (row.is_object())
            paths[std::string(base).append("commands/").append(name)]["post"] = command_operation(name, row);
    paths[base + "events"]["get"] = events_operation();
    if (endpoint.empty()) add_own(paths);
    return {{"openapi", "3.0.3"},
            {"info",
             {{"title", endpoint.empty() ? "circusd" : "circusd " + endpoint},
              {"version", "1"},
              {"description", "Every command of circusd."}}},
            {"paths", std::move(paths)},
            {"components", components()},
            {"security", {{{"token", Json::array()}}, Json::object()}}};
}

}  // namespace console
