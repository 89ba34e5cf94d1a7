/* What ABI 1.1 adds to 1.0, on 64-bit machines. Frozen like shape_1_0.c. */
#include "circus/abi.h"

#define FIELD(type, field, offset, bytes)                                             \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved"); \
    _Static_assert(sizeof(((type*)0)->field) == (bytes), #type "." #field " has another size")

_Static_assert(CIRCUS_ABI_MINOR >= 1, "what is below came with 1.1");

FIELD(circus_ext_state, size, 0, 4);
FIELD(circus_ext_state, reserved, 4, 4);
FIELD(circus_ext_state, keep, 8, 8);
FIELD(circus_ext_state, kept, 16, 8);
_Static_assert(sizeof(circus_ext_state) == 24, "circus_ext_state has another size");

_Static_assert(CIRCUS_STATE_MAX == 262144u, "CIRCUS_STATE_MAX has another value");
_Static_assert(sizeof(CIRCUS_EXT_STATE) == sizeof("circus.state/1"), "CIRCUS_EXT_STATE has another name");
