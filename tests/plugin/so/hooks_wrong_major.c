/* A library of hooks of another major version. */
#include <circus/abi.h>
CIRCUS_EXPORT const circus_hooks_stamp circus_hooks_v1 = {sizeof(circus_hooks_stamp), 9, 0};
