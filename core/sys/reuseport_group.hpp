// The listeners of one address with SO_REUSEPORT: which of them the kernel gives new connections to.
//
// They stand in the group in the order of their listen(2); when one is closed the last takes its place.
#pragma once

#include "base/result.hpp"

namespace circus::sys {

// From now on only the first `count` of the group, any of them alike. `listener` is one of the group.
Status steer_to_first(int listener, unsigned count);
// All of them again, by the kernel's hash.
Status steer_to_all(int listener);

}  // namespace circus::sys
