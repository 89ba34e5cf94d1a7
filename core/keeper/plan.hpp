// SpawnPlan: a SpawnRequest, flat. The arbiter encodes, the keeper decodes in place: offsets become pointers,
// and argv and envp are then exactly what execve(2) takes.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "keeper/spawn_request.hpp"

namespace circus::keeper {

// Arbiter side. The plan without its descriptors (they travel by SCM_RIGHTS in the order of `passed`).
std::vector<std::byte> encode_plan(const SpawnRequest& request);

}  // namespace circus::keeper
