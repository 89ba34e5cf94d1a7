// The OpenAPI document of /api/v1, from the answer of `commands` and the table of routes. A pure function.
#pragma once

#include <string>

#include <circus/plugin.hpp>

namespace console {

// `commands`: the field of the answer, {name: {summary, help, usage, changes, properties, plugin}}.
// `endpoint`: of which other circusd; empty: of the console's own, with what the console itself has.
circus::Json openapi(const circus::Json& commands, const std::string& endpoint = {});

}  // namespace console
