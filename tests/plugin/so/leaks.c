/* Leaves a subscription and a timer behind. */
#include "broken.h"
static void on_event(void* user, circus_str topic, circus_str json) {
    (void)user;
    (void)topic;
    (void)json;
}
static void on_time(void* user) {
    (void)user;
}
static circus_status start(void* self) {
    broken* me = self;
    circus_id id = 0;
    const circus_status status = me->host->subscribe(me->host, text("watcher.*"), on_event, me, &id);
    return status == CIRCUS_OK ? me->host->timer(me->host, 1000, 1000, on_time, me, &id) : status;
}
PLUGIN(start, stop_at_once);
