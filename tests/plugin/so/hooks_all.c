/* A library of hooks with a function for each point. What it is asked goes to $HOOKS_FOLDER/told, a line
 * each: function, point, watcher, arguments. $HOOKS_FOLDER/say.POINT says what it answers: yes (also without
 * a file), no, later (a thread says yes), refused_later (a thread says no), never, fail; or that it does not
 * come back at all: crash, loop. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <circus/abi.h>

CIRCUS_EXPORT const circus_hooks_stamp circus_hooks_v1 = {sizeof(circus_hooks_stamp), CIRCUS_ABI_MAJOR,
                                                          CIRCUS_ABI_MINOR};

typedef struct owed {
    const circus_host* host;
    circus_token token;
    circus_status status;
    const char* json;
} owed;

static circus_str text(const char* s) {
    circus_str out;
    out.data = s;
    out.len = strlen(s);
    return out;
}

static void* answer(void* user) {
    owed* it = user;
    usleep(50000);
    it->host->complete(it->host, it->token, it->status, text(it->json));
    free(it);
    return NULL;
}

static circus_status later(const circus_host* host, const circus_hook_call* call, circus_status status,
                           const char* json) {
    pthread_t thread;
    owed* it = malloc(sizeof *it);
    if (!it) return CIRCUS_E_NO_MEMORY;
    it->host = host;
    it->token = call->answer;
    it->status = status;
    it->json = json;
    if (pthread_create(&thread, NULL, answer, it) != 0) {
        free(it);
        return CIRCUS_E_NO_MEMORY;
    }
    pthread_detach(thread);
    return CIRCUS_PENDING;
}

static circus_status asked(const circus_host* host, const circus_hook_call* call, const char* function) {
    char path[512], line[4096], what[32] = "yes";
    const char* folder = getenv("HOOKS_FOLDER");
    int fd, length;
    snprintf(path, sizeof path, "%s/told", folder ? folder : ".");
    length =
        snprintf(line, sizeof line, "%s %.*s %.*s %.*s\n", function, (int)call->hook.len, call->hook.data,
                 (int)call->watcher.len, call->watcher.data, (int)call->args_json.len, call->args_json.data);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, (size_t)length) != length)
        host->log(host, CIRCUS_ERROR, text("cannot tell"));
    if (fd >= 0) close(fd);
    snprintf(path, sizeof path, "%s/say.%.*s", folder ? folder : ".", (int)call->hook.len, call->hook.data);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        const ssize_t got = read(fd, what, sizeof what - 1);
        what[got > 0 ? got : 0] = '\0';
        close(fd);
    }
    if (strcmp(what, "no") == 0) {
        host->set_error(host, text("it was told to"));
        return CIRCUS_DENY;
    }
    if (strcmp(what, "again") == 0) return CIRCUS_E_AGAIN;
    if (strcmp(what, "later") == 0) return later(host, call, CIRCUS_OK, "{\"jobs\": 4}");
    if (strcmp(what, "refused_later") == 0)
        return later(host, call, CIRCUS_DENY, "{\"reason\": \"on reflection\"}");
    if (strcmp(what, "never") == 0) return CIRCUS_PENDING;
    if (strcmp(what, "fail") == 0) return CIRCUS_E_CONFLICT;
    if (strcmp(what, "crash") == 0) abort();
    if (strcmp(what, "loop") == 0) {
        static volatile int count;
        while (count >= 0) count = !count;
    }
    if (call->hook.len == strlen("extended_stats") && call->hook.data[0] == 'e') {
        host->complete(host, call->answer, CIRCUS_OK, text("{\"jobs\": 3}"));
        return CIRCUS_PENDING;
    }
    return CIRCUS_OK;
}

#define HOOK(name)                                                              \
    CIRCUS_EXPORT circus_status name(void* user, const circus_hook_call* call); \
    circus_status name(void* user, const circus_hook_call* call) {              \
        return asked(user, call, #name);                                        \
    }

HOOK(on_before_start)
HOOK(on_after_start)
HOOK(on_before_spawn)
HOOK(on_after_spawn)
HOOK(on_before_stop)
HOOK(on_after_stop)
HOOK(on_before_signal)
HOOK(on_after_signal)
HOOK(on_before_reap)
HOOK(on_after_reap)
HOOK(on_extended_stats)
