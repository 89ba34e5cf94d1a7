/* A plugin that does nothing, for libraries that are wrong in one way each: a file defines what it does
 * differently before it includes this, and ends with PLUGIN. */
#ifndef CIRCUS_TESTS_BROKEN_H
#define CIRCUS_TESTS_BROKEN_H
#include <stdlib.h>
#include <string.h>

#include <circus/abi.h>

typedef struct broken {
    const circus_host* host;
} broken;

static inline circus_str text(const char* s) {
    circus_str out;
    out.data = s;
    out.len = strlen(s);
    return out;
}

static inline circus_status create(const circus_host* host, circus_str config_json, void** out) {
    broken* self = calloc(1, sizeof *self);
    (void)config_json;
    if (!self) return CIRCUS_E_NO_MEMORY;
    self->host = host;
    *out = self;
    return CIRCUS_OK;
}

static inline circus_status add_command(broken* self, const char* name, circus_command_fn function) {
    const circus_ext_commands* commands = self->host->extension(self->host, CIRCUS_EXT_COMMANDS);
    circus_id id = 0;
    return commands->add(self->host, text(name), text("{}"), function, self, &id);
}

static inline circus_status start_nothing(void* self) {
    (void)self;
    return CIRCUS_OK;
}

static inline circus_status stop_at_once(void* self, circus_token done) {
    (void)self;
    (void)done;
    return CIRCUS_OK;
}

static inline void destroy(void* self) {
    free(self);
}

#define PLUGIN_OF(size, major, needs, options, create, start, stop)                   \
    CIRCUS_EXPORT const circus_plugin circus_plugin_v1 = {                            \
        size,   major, 0,    "broken", "0.1",  "is wrong in one way", needs, options, \
        create, start, NULL, stop,     destroy}
#define PLUGIN(start, stop) \
    PLUGIN_OF(sizeof(circus_plugin), CIRCUS_ABI_MAJOR, NULL, NULL, create, start, stop)
#endif
