/* Never comes back from its command. */
#include "broken.h"
static circus_status loop(void* self, circus_str props, circus_token answer) {
    static volatile int count;
    (void)self;
    (void)props;
    (void)answer;
    while (count >= 0) count = !count;
    return CIRCUS_OK;
}
static circus_status start(void* self) {
    return add_command(self, "loop", loop);
}
PLUGIN(start, stop_at_once);
