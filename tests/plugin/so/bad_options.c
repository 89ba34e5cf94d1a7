/* Says of an option what no option is. */
#include "broken.h"
PLUGIN_OF(sizeof(circus_plugin), CIRCUS_ABI_MAJOR, NULL, "{\"colour\": {\"type\": \"rainbow\"}}", create,
          start_nothing, stop_at_once);
