/* Compiled under every language the header promises to be of. */
#include <string.h>

#include "circus/abi.h"

int main(void);
int main(void) {
    circus_host host;
    const circus_host* borrowed = &host;
    memset(&host, 0, sizeof host);
    host.size = (uint32_t)(offsetof(circus_host, complete));
    /* A table that ends before complete(): nobody may use it. */
    if (CIRCUS_HAS(borrowed, complete)) return 1;
    host.size = (uint32_t)sizeof host;
    return CIRCUS_HAS(borrowed, complete) ? 2 : 0; /* long enough, and not set */
}
