// `circusctl plugin new NAME`: a folder NAME with a plugin that builds, is tested and loads as it stands.
#pragma once

#include "base/json.hpp"

namespace circus::control {

// `properties`: name, and perhaps lang. Says what it made, or what was wrong; the exit code.
int run_new_plugin(const Json& properties);

}  // namespace circus::control
