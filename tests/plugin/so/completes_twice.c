/* Answers the same call twice. */
#include <stdio.h>

#include "broken.h"
static circus_status twice(void* self, circus_str props, circus_token answer) {
    broken* me = self;
    char line[64];
    (void)props;
    me->host->complete(me->host, answer, CIRCUS_OK, text("{\"answer\": 1}"));
    snprintf(line, sizeof line, "the second complete has returned %d",
             (int)me->host->complete(me->host, answer, CIRCUS_OK, text("{\"answer\": 2}")));
    me->host->log(me->host, CIRCUS_INFO, text(line));
    return CIRCUS_PENDING;
}
static circus_status start(void* self) {
    return add_command(self, "twice", twice);
}
PLUGIN(start, stop_at_once);
