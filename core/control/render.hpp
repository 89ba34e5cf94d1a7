// Answers as circusctl prints them, in the words and shapes of Circus's own. Each takes an answer that is no
// error, and the properties that were asked with, and gives the text without its last newline. A field that
// is missing or of another type than it should be is shown as it is, or as nothing: an answer never makes
// these throw.
#pragma once

#include <string>

#include "base/json.hpp"

namespace circus::control {

std::string render_ok(const Json& answer, const Json& asked);
std::string render_list(const Json& answer, const Json& asked);
std::string render_status(const Json& answer, const Json& asked);
std::string render_numwatchers(const Json& answer, const Json& asked);
std::string render_numprocesses(const Json& answer, const Json& asked);
std::string render_count(const Json& answer, const Json& asked);  // incr, decr
std::string render_options(const Json& answer, const Json& asked);
std::string render_get(const Json& answer, const Json& asked);  // in the order asked for
std::string render_sockets(const Json& answer, const Json& asked);
std::string render_stats(const Json& answer, const Json& asked);
std::string render_dstats(const Json& answer, const Json& asked);
std::string render_logs(const Json& answer, const Json& asked);
std::string render_deaths(const Json& answer, const Json& asked);
std::string render_plan(const Json& answer,
                        const Json& asked);  // reloadconfig, restart: with `plan`, else ok
std::string render_plugins(const Json& answer, const Json& asked);
std::string render_figures(const Json& answer, const Json& asked);
std::string render_gauges(const Json& answer, const Json& asked);
std::string render_commands(const Json& answer, const Json& asked);

}  // namespace circus::control
