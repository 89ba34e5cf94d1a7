/* Ends its process as soon as it is started. */
#include "broken.h"
static circus_status start(void* self) {
    (void)self;
    abort();
}
PLUGIN(start, stop_at_once);
