/* my_plugin: counts the processes that end, and answers the command `my_plugin` with the count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <circus/abi.h>

typedef struct counter {
    const circus_host* host;
    circus_id events, command;
    unsigned long deaths;
} counter;

static circus_str text(const char* s) {
    circus_str out;
    out.data = s;
    out.len = strlen(s);
    return out;
}

static void on_reap(void* user, circus_str topic, circus_str json) {
    counter* self = user;
    (void)topic, (void)json;
    ++self->deaths;
}

static circus_status answer(void* user, circus_str props_json, circus_token token) {
    const counter* self = user;
    char json[64];
    (void)props_json;
    snprintf(json, sizeof json, "{\"deaths\": %lu}", self->deaths);
    self->host->complete(self->host, token, CIRCUS_OK, text(json));
    return CIRCUS_PENDING; /* the answer came, or comes, by complete() */
}

static circus_status create(const circus_host* host, circus_str config_json, void** out) {
    counter* self = calloc(1, sizeof *self);
    (void)config_json; /* checked against the options, with their defaults filled in */
    if (!self) return CIRCUS_E_NO_MEMORY;
    self->host = host;
    *out = self;
    return CIRCUS_OK;
}

static circus_status start(void* user) {
    counter* self = user;
    const circus_host* host = self->host;
    const circus_ext_commands* commands = host->extension(host, CIRCUS_EXT_COMMANDS);
    circus_status status;
    if (!commands) return CIRCUS_E_UNSUPPORTED;
    status = host->subscribe(host, text("watcher.*.reap"), on_reap, self, &self->events);
    if (status != CIRCUS_OK) return status; /* circusd cancels what was registered */
    return commands->add(host, text("my_plugin"), text("{\"summary\": \"how many processes ended\"}"), answer,
                         self, &self->command);
}

static circus_status stop(void* user, circus_token done) {
    counter* self = user;
    (void)done;
    self->host->cancel(self->host, self->command);
    return self->host->cancel(self->host, self->events);
}

static void destroy(void* user) {
    free(user);
}

static const char* const needs[] = {CIRCUS_EXT_COMMANDS, NULL};

CIRCUS_EXPORT const circus_plugin circus_plugin_v1 = {
    sizeof(circus_plugin),
    CIRCUS_ABI_MAJOR,
    CIRCUS_ABI_MINOR,
    "my_plugin",
    "0.1",
    "counts the processes that end",
    needs,
    NULL, /* options: none */
    create,
    start,
    NULL, /* reconfigure: restart me */
    stop,
    destroy,
};
