/* Calls a function of the loop on a thread of its own. */
#include <pthread.h>
#include <stdio.h>

#include "broken.h"

static void on_event(void* user, circus_str topic, circus_str json) {
    (void)user;
    (void)topic;
    (void)json;
}

static void* subscribe(void* user) {
    broken* me = user;
    circus_id id = 0;
    char line[64];
    const circus_status got = me->host->subscribe(me->host, text("*"), on_event, me, &id);
    snprintf(line, sizeof line, "subscribe has returned %d", (int)got);
    me->host->log(me->host, CIRCUS_INFO, text(line));
    return NULL;
}

static circus_status start(void* self) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, subscribe, self) != 0) return CIRCUS_E_AGAIN;
    pthread_join(thread, NULL);
    return CIRCUS_OK;
}
PLUGIN(start, stop_at_once);
