// The OpenAPI document of /api/v1, from the answer of `commands` and the table of routes. A pure function.
#pragma once

#include <circus/plugin.hpp>

namespace console {

// `commands`: the field of the answer, {name: {summary, help, usage, changes, properties, plugin}}.
circus::Json openapi(const circus::Json& commands);

}  // namespace console
