/* Cannot work without what no host has. */
#include "broken.h"
static const char* const needs[] = {CIRCUS_EXT_COMMANDS, "circus.teleport/1", NULL};
PLUGIN_OF(sizeof(circus_plugin), CIRCUS_ABI_MAJOR, needs, NULL, create, start_nothing, stop_at_once);
