/* Never comes back from being loaded. */
#include <unistd.h>

#include "broken.h"
__attribute__((constructor)) static void hang(void) {
    for (;;) pause();
}
PLUGIN(start_nothing, stop_at_once);
