/* Does not come to life, and says why. */
#include "broken.h"
static circus_status refuse(const circus_host* host, circus_str config_json, void** out) {
    (void)config_json;
    (void)out;
    host->set_error(host, text("there is no moon tonight"));
    return CIRCUS_E_NOT_FOUND;
}
PLUGIN_OF(sizeof(circus_plugin), CIRCUS_ABI_MAJOR, NULL, NULL, refuse, start_nothing, stop_at_once);
