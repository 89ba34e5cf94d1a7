/* Reads what is not there as soon as it is loaded. */
#include <signal.h>

#include "broken.h"
__attribute__((constructor)) static void crash(void) {
    raise(SIGSEGV);
}
PLUGIN(start_nothing, stop_at_once);
