/* Keeps the loop waiting for 50 ms. */
#include <time.h>

#include "broken.h"
static circus_status nap(void* self, circus_str props, circus_token answer) {
    const struct timespec time = {0, 50000000};
    (void)self;
    (void)props;
    (void)answer;
    nanosleep(&time, NULL);
    return CIRCUS_OK;
}
static circus_status start(void* self) {
    return add_command(self, "nap", nap);
}
PLUGIN(start, stop_at_once);
