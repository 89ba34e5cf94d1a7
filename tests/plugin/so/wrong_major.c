/* Of another major version: nothing behind that number may be believed. */
#include "broken.h"
PLUGIN_OF(sizeof(circus_plugin), 2, NULL, NULL, create, start_nothing, stop_at_once);
