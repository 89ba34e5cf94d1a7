/* A hook library in C: `hooks.before_start = "redis.so:redis_answers"` keeps a watcher waiting until Redis
 * answers. Where Redis is, circusd's environment says: REDIS_HOST (127.0.0.1) and REDIS_PORT (6379).
 *
 * A hook runs on the daemon's loop and has 5 ms. Connecting may take longer, so a thread does it, and answers
 * by complete(), which any thread may call. */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <circus/abi.h>

CIRCUS_EXPORT const circus_hooks_stamp circus_hooks_v1 = {sizeof circus_hooks_v1, CIRCUS_ABI_MAJOR,
                                                          CIRCUS_ABI_MINOR};

typedef struct question {
    const circus_host* host;
    circus_token answer;
} question;

static const char* setting(const char* name, const char* otherwise) {
    const char* value = getenv(name);
    return value && *value ? value : otherwise;
}

static int connected(const struct addrinfo* address) {
    const struct timeval patience = {2, 0};
    const int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* connect(2) obeys it too */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0) return fd;
    close(fd);
    return -1;
}

static int is_pong(int fd) {
    static const char ping[] = "PING\r\n", pong[] = "+PONG";
    char answer[sizeof pong - 1];
    size_t got = 0;
    if (send(fd, ping, sizeof ping - 1, MSG_NOSIGNAL) != (ssize_t)sizeof ping - 1) return 0;
    while (got < sizeof answer) {
        const ssize_t n = recv(fd, answer + got, sizeof answer - got, 0);
        if (n <= 0) return 0;
        got += (size_t)n;
    }
    return memcmp(answer, pong, sizeof answer) == 0;
}

static int redis_is_there(void) {
    struct addrinfo hints, *found = NULL;
    int fd = -1, there;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(setting("REDIS_HOST", "127.0.0.1"), setting("REDIS_PORT", "6379"), &hints, &found) != 0)
        return 0;
    for (const struct addrinfo* each = found; each && fd < 0; each = each->ai_next) fd = connected(each);
    freeaddrinfo(found);
    there = fd >= 0 && is_pong(fd);
    if (fd >= 0) close(fd);
    return there;
}

static void* ask_redis(void* user) {
    question* q = user;
    static const char why[] = "{\"reason\": \"Redis does not answer yet\"}";
    const circus_str none = {"{}", 2}, reason = {why, sizeof why - 1};
    if (redis_is_there())
        q->host->complete(q->host, q->answer, CIRCUS_OK, none);
    else
        q->host->complete(q->host, q->answer, CIRCUS_E_AGAIN, reason);
    free(q);
    return NULL;
}

/* A circus_hook_fn. CIRCUS_E_AGAIN: ask me again after a while; the watcher waits so long. No other point
 * than before_start and before_spawn has a use for that. */
CIRCUS_EXPORT circus_status redis_answers(void* user, const circus_hook_call* call);
circus_status redis_answers(void* user, const circus_hook_call* call) {
    pthread_t thread;
    question* q = malloc(sizeof *q);
    if (!q) return CIRCUS_E_NO_MEMORY;
    q->host = user;
    q->answer = call->answer;
    if (pthread_create(&thread, NULL, ask_redis, q) != 0) {
        free(q);
        return CIRCUS_E_AGAIN;
    }
    pthread_detach(thread);
    return CIRCUS_PENDING;
}
