/* Knows less than 1.0 did. */
#include "broken.h"
PLUGIN_OF(64, CIRCUS_ABI_MAJOR, NULL, NULL, create, start_nothing, stop_at_once);
