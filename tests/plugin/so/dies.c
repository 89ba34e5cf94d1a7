/* Ends its process when it is asked to: as itself only where it is isolated. */
#include "broken.h"
static circus_status die(void* self, circus_str props, circus_token answer) {
    (void)self;
    (void)props;
    (void)answer;
    abort();
}
static circus_status start(void* self) {
    return add_command(self, "die", die);
}
PLUGIN(start, stop_at_once);
