/* Every type of circus/abi.h, reachable from what this exports: what abidiff compares with the baseline. */
#include "circus/abi.h"

CIRCUS_EXPORT const circus_plugin circus_plugin_v1;
CIRCUS_EXPORT const circus_hooks_stamp circus_hooks_v1;

typedef struct circus_everything {
    circus_str str;
    const circus_host* host;
    const circus_plugin* plugin;
    const circus_ext_commands* commands;
    const circus_ext_hooks* hooks;
    const circus_ext_sinks* sinks;
    const circus_ext_gauges* gauges;
    const circus_ext_fds* fds;
    circus_command_fn command;
    circus_hook_fn hook;
    const circus_sink* sink;
    circus_fd_fn fd;
    circus_level level;
    const circus_ext_state* state;
} circus_everything;
extern CIRCUS_EXPORT const circus_everything circus_everything_1;
const circus_everything circus_everything_1;
