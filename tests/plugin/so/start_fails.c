/* Registers, and then gives up: what it registered must not stay. */
#include "broken.h"
static circus_status never(void* self, circus_str props, circus_token answer) {
    (void)self;
    (void)props;
    (void)answer;
    return CIRCUS_OK;
}
static circus_status give_up(void* self) {
    broken* me = self;
    add_command(me, "half", never);
    return CIRCUS_E_AGAIN;
}
PLUGIN(give_up, stop_at_once);
