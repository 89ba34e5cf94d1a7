// The tables of the one Service of a process, shared by its .cc files. Static, so that they are bss and cost
// only the pages that are used.
#pragma once

#include "keeper/table.hpp"
#include "keeper/tree.hpp"

namespace circus::keeper {

inline constinit ChildTable g_children;
inline constinit HeldTable g_held;
inline constinit GoneRing g_gone;
inline constinit ProcessList g_found;      // scratch of one look at the process tree
inline constinit ProcessList g_signalled;  // scratch: who was sent the signal in the looks before

}  // namespace circus::keeper
