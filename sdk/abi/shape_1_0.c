/* The shape of ABI 1.0 on 64-bit machines: every field of every struct, its place and its size. Frozen: it
 * judges circus/abi.h, never the other way round. What 1.1 adds gets a file of its own; a sum of sizes that
 * grows (SIZE below) is then moved there as well, except for circus_str and circus_chunk, which never grow.
 */
#include "circus/abi.h"

#define FIELD(type, field, offset, bytes)                                             \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved"); \
    _Static_assert(sizeof(((type*)0)->field) == (bytes), #type "." #field " has another size")
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size")

_Static_assert(CIRCUS_ABI_MAJOR == 1, "another major is another shape");

FIELD(circus_str, data, 0, 8);
FIELD(circus_str, len, 8, 8);
SIZE(circus_str, 16);

FIELD(circus_host, size, 0, 4);
FIELD(circus_host, abi_major, 4, 2);
FIELD(circus_host, abi_minor, 6, 2);
FIELD(circus_host, ctx, 8, 8);
FIELD(circus_host, log, 16, 8);
FIELD(circus_host, now_ns, 24, 8);
FIELD(circus_host, set_error, 32, 8);
FIELD(circus_host, extension, 40, 8);
FIELD(circus_host, call, 48, 8);
FIELD(circus_host, publish, 56, 8);
FIELD(circus_host, subscribe, 64, 8);
FIELD(circus_host, timer, 72, 8);
FIELD(circus_host, cancel, 80, 8);
FIELD(circus_host, post, 88, 8);
FIELD(circus_host, complete, 96, 8);
SIZE(circus_host, 104);

FIELD(circus_plugin, size, 0, 4);
FIELD(circus_plugin, abi_major, 4, 2);
FIELD(circus_plugin, abi_minor, 6, 2);
FIELD(circus_plugin, name, 8, 8);
FIELD(circus_plugin, version, 16, 8);
FIELD(circus_plugin, summary, 24, 8);
FIELD(circus_plugin, needs, 32, 8);
FIELD(circus_plugin, options, 40, 8);
FIELD(circus_plugin, create, 48, 8);
FIELD(circus_plugin, start, 56, 8);
FIELD(circus_plugin, reconfigure, 64, 8);
FIELD(circus_plugin, stop, 72, 8);
FIELD(circus_plugin, destroy, 80, 8);
SIZE(circus_plugin, 88);

FIELD(circus_ext_commands, size, 0, 4);
FIELD(circus_ext_commands, reserved, 4, 4);
FIELD(circus_ext_commands, add, 8, 8);
SIZE(circus_ext_commands, 16);

FIELD(circus_hook_call, size, 0, 4);
FIELD(circus_hook_call, reserved, 4, 4);
FIELD(circus_hook_call, hook, 8, 16);
FIELD(circus_hook_call, watcher, 24, 16);
FIELD(circus_hook_call, args_json, 40, 16);
FIELD(circus_hook_call, answer, 56, 8);
SIZE(circus_hook_call, 64);

FIELD(circus_ext_hooks, size, 0, 4);
FIELD(circus_ext_hooks, reserved, 4, 4);
FIELD(circus_ext_hooks, add, 8, 8);
SIZE(circus_ext_hooks, 16);

FIELD(circus_chunk, watcher, 0, 16);
FIELD(circus_chunk, bytes, 16, 16);
FIELD(circus_chunk, pid, 32, 8);
FIELD(circus_chunk, time_ns, 40, 8);
FIELD(circus_chunk, stream, 48, 4);
FIELD(circus_chunk, reserved, 52, 4);
SIZE(circus_chunk, 56);

FIELD(circus_sink, size, 0, 4);
FIELD(circus_sink, reserved, 4, 4);
FIELD(circus_sink, open, 8, 8);
FIELD(circus_sink, write, 16, 8);
FIELD(circus_sink, close, 24, 8);
SIZE(circus_sink, 32);

FIELD(circus_ext_sinks, size, 0, 4);
FIELD(circus_ext_sinks, reserved, 4, 4);
FIELD(circus_ext_sinks, add, 8, 8);
FIELD(circus_ext_sinks, ready, 16, 8);
SIZE(circus_ext_sinks, 24);

FIELD(circus_ext_gauges, size, 0, 4);
FIELD(circus_ext_gauges, reserved, 4, 4);
FIELD(circus_ext_gauges, set, 8, 8);
FIELD(circus_ext_gauges, get, 16, 8);
SIZE(circus_ext_gauges, 24);

FIELD(circus_ext_fds, size, 0, 4);
FIELD(circus_ext_fds, reserved, 4, 4);
FIELD(circus_ext_fds, watch, 8, 8);
SIZE(circus_ext_fds, 16);

FIELD(circus_hooks_stamp, size, 0, 4);
FIELD(circus_hooks_stamp, abi_major, 4, 2);
FIELD(circus_hooks_stamp, abi_minor, 6, 2);
SIZE(circus_hooks_stamp, 8);

#define VALUE(name, value) _Static_assert((name) == (value), #name " has another value")
VALUE(CIRCUS_OK, 0);
VALUE(CIRCUS_PENDING, 1);
VALUE(CIRCUS_DENY, 2);
VALUE(CIRCUS_E_INVALID, -1);
VALUE(CIRCUS_E_UNSUPPORTED, -2);
VALUE(CIRCUS_E_NOT_FOUND, -3);
VALUE(CIRCUS_E_CONFLICT, -4);
VALUE(CIRCUS_E_AGAIN, -5);
VALUE(CIRCUS_E_TIMEOUT, -6);
VALUE(CIRCUS_E_NO_MEMORY, -7);
VALUE(CIRCUS_E_EXCEPTION, -8);
VALUE(CIRCUS_E_THREAD, -9);
VALUE(CIRCUS_DEBUG, 10);
VALUE(CIRCUS_INFO, 20);
VALUE(CIRCUS_WARNING, 30);
VALUE(CIRCUS_ERROR, 40);
VALUE(CIRCUS_FD_IN, 1u);
VALUE(CIRCUS_FD_OUT, 2u);
VALUE(CIRCUS_FD_HUP, 4u);

SIZE(circus_status, 4);
SIZE(circus_level, 4);
SIZE(circus_id, 8);
SIZE(circus_token, 8);

#define NAME(name, text) _Static_assert(sizeof(name) == sizeof(text), #name " has another name")
NAME(CIRCUS_EXT_COMMANDS, "circus.commands/1");
NAME(CIRCUS_EXT_HOOKS, "circus.hooks/1");
NAME(CIRCUS_EXT_SINKS, "circus.sinks/1");
NAME(CIRCUS_EXT_GAUGES, "circus.gauges/1");
NAME(CIRCUS_EXT_FDS, "circus.fds/1");
