/* A plugin in C: publishes an event every so often. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <circus/abi.h>

typedef struct ticker {
    const circus_host* host;
    circus_id timer;
    unsigned long count;
} ticker;

static circus_str text(const char* s) {
    circus_str out;
    out.data = s;
    out.len = strlen(s);
    return out;
}

static void tick(void* user) {
    ticker* self = user;
    char json[64];
    snprintf(json, sizeof json, "{\"count\": %lu}", ++self->count);
    self->host->publish(self->host, text("ticker.tick"), text(json));
}

static circus_status create(const circus_host* host, circus_str config_json, void** out) {
    ticker* self = calloc(1, sizeof *self);
    (void)config_json;
    if (!self) return CIRCUS_E_NO_MEMORY;
    self->host = host;
    *out = self;
    return CIRCUS_OK;
}

static circus_status start(void* user) {
    ticker* self = user;
    return self->host->timer(self->host, 100, 100, tick, self, &self->timer);
}

static circus_status stop(void* user, circus_token done) {
    ticker* self = user;
    (void)done;
    return self->host->cancel(self->host, self->timer);
}

static void destroy(void* user) {
    free(user);
}

CIRCUS_EXPORT const circus_plugin circus_plugin_v1 = {
    sizeof(circus_plugin),
    CIRCUS_ABI_MAJOR,
    CIRCUS_ABI_MINOR,
    "ticker",
    "1.0",
    "publishes ticker.tick",
    NULL,
    NULL,
    create,
    start,
    NULL,
    stop,
    destroy,
};
