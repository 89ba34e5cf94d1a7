// The table of what can be read by GET: one row a path, each a command of circusd. The router goes by it, and
// the OpenAPI document lists it.
#pragma once

#include <span>
#include <string_view>

namespace console {

struct ReadRoute {
    std::string_view path;     // below /api/v1; "{name}" is a watcher's name, the command's property `name`
    std::string_view command;  // empty: the router's own, put together from several
    std::string_view summary;
    // What may stand in the query and becomes a property: names, separated by blanks; "#" a number, "?" a
    // flag.
    std::string_view query = {};
    std::string_view always = {};     // properties that are always sent, JSON
    std::string_view names = "name";  // the property that {name} is
};

std::span<const ReadRoute> read_routes();

}  // namespace console
