/* Owes an answer to its command and to its stop, for ever. */
#include "broken.h"
static circus_status never(void* self, circus_str props, circus_token answer) {
    (void)self;
    (void)props;
    (void)answer;
    return CIRCUS_PENDING;
}
static circus_status start(void* self) {
    return add_command(self, "never", never);
}
static circus_status stop(void* self, circus_token done) {
    (void)self;
    (void)done;
    return CIRCUS_PENDING;
}
PLUGIN(start, stop);
