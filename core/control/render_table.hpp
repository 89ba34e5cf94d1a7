// Answers as tables for a terminal: the same facts as render.hpp's lines, for the rows of the command table
// that have more than one of them. As there, an answer of an unexpected shape never throws.
#pragma once

#include <string>

#include "base/json.hpp"
#include "control/look.hpp"

namespace circus::control {

std::string table_list(const Json& answer, const Json& asked, const Look& look);
std::string table_status(const Json& answer, const Json& asked, const Look& look);
std::string table_options(const Json& answer, const Json& asked, const Look& look);  // options, globaloptions
std::string table_get(const Json& answer, const Json& asked, const Look& look);
std::string table_sockets(const Json& answer, const Json& asked, const Look& look);
std::string table_deaths(const Json& answer, const Json& asked, const Look& look);
std::string table_stats(const Json& answer, const Json& asked, const Look& look);  // stats, dstats

}  // namespace circus::control
