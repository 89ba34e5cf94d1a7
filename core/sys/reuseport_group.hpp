// The listeners of one address with SO_REUSEPORT: which of them the kernel gives new connections to.
//
// They stand in the group in the order of their listen(2); when one is closed the last takes its place.
#pragma once

#include <vector>

#include "base/result.hpp"

namespace circus::sys {

// From now on only these of the group, by their place in it, any of them alike. `listener` is one of the
// group, `those` is not empty. Needs no privilege.
Status steer_to(int listener, const std::vector<unsigned>& those);
// All of them again, by the kernel's hash.
Status steer_to_all(int listener);

}  // namespace circus::sys
