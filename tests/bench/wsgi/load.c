/* The users of the WSGI bench: a closed loop of N users, each with one request at a time on a connection of
 * its own, as ab has them. One thread and one epoll, so that its own share of the processors is small; that
 * share is told.
 *
 *     wsgi_load (--port P | --unix PATH) --steps USERS:SECONDS[,USERS:SECONDS...] [--timeout S] [--path P]
 * --out FILE
 *
 * After the last step, or a SIGTERM, no user asks again, and what is in hand is waited for. FILE gets a line
 * a request, in the order in which they ended: BEGIN LATENCY ERROR, both in microseconds, the first since the
 * start of the program's first step; ERROR is "-" for an answer with status 200 and all of its body. A user
 * whose request failed waits PAUSE before the next one, so that a refused connection is not asked for a
 * hundred thousand times a second. On standard output: one line of JSON, with the CLOCK_MONOTONIC of the
 * start. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { kMaxUsers = 4096, kMaxSteps = 16, kBatch = 256, kHead = 4096 };
static const uint64_t kPause = 100 * 1000; /* microseconds */
static const uint64_t kLook = 20 * 1000;

struct step {
    uint32_t users;
    uint64_t end; /* microseconds since the start */
};

struct user {
    int fd; /* -1: between two requests */
    int sent;
    int has_head;
    uint64_t begin;
    uint64_t resume;  /* not before that */
    int64_t expected; /* of the body; -1: until the server closes */
    int64_t body;
    size_t head;
    char text[kHead]; /* the head of the answer, as far as it came */
};

static struct user users[kMaxUsers];
static union {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_un un;
} server;
static socklen_t server_size;
static char request[512];
static size_t request_size;
static int poll_fd;
static FILE* out;
static uint64_t origin_ns;
static uint64_t finished;
static uint64_t errors;
static uint32_t busy;
static volatile sig_atomic_t leaving;

static void on_term(int signo) {
    (void)signo;
    leaving = 1;
}

static void die(const char* what) {
    perror(what);
    exit(1);
}

static uint64_t monotonic_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static uint64_t now_us(void) {
    return (monotonic_ns() - origin_ns) / 1000;
}

static void end(struct user* user, const char* error) {
    uint64_t now = now_us();
    fprintf(out, "%llu %llu %s\n", (unsigned long long)user->begin, (unsigned long long)(now - user->begin),
            error ? error : "-");
    finished++;
    if (error) errors++;
    if (user->fd >= 0) close(user->fd);
    user->fd = -1;
    user->resume = error ? now + kPause : now;
    busy--;
}

static const char* name_of(int error) {
    switch (error) {
        case ECONNREFUSED:
            return "refused";
        case ECONNRESET:
        case EPIPE:
            return "reset";
        case EAGAIN:
            return "backlog"; /* a unix socket's queue is full */
        case ENOENT:
            return "absent";
        case EADDRNOTAVAIL:
            return "no_port";
        default:
            return "other";
    }
}

static void begin(struct user* user) {
    user->begin = now_us();
    user->sent = user->has_head = 0;
    user->head = 0;
    user->body = 0;
    user->expected = -1;
    busy++;
    user->fd = socket(server.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (user->fd < 0) die("socket");
    if (connect(user->fd, &server.any, server_size) != 0 && errno != EINPROGRESS) {
        end(user, name_of(errno));
        return;
    }
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = (uint32_t)(user - users)};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, user->fd, &event) != 0) die("epoll_ctl");
}

static void send_request(struct user* user) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(user->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        end(user, name_of(error));
        return;
    }
    /* It is a hundred bytes on a new connection: they go in one piece. */
    ssize_t count = send(user->fd, request, request_size, MSG_NOSIGNAL);
    if (count != (ssize_t)request_size) {
        end(user, name_of(errno));
        return;
    }
    user->sent = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)(user - users)};
    if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, user->fd, &event) != 0) die("epoll_ctl");
}

/* Takes the head apart once it is whole; returns what is wrong with it, or NULL. */
static const char* read_head(struct user* user) {
    user->text[user->head] = 0;
    char* blank = strstr(user->text, "\r\n\r\n");
    if (!blank) return user->head == kHead - 1 ? "head" : NULL;
    user->has_head = 1;
    user->body = (int64_t)(user->head - (size_t)(blank + 4 - user->text));
    int status = 0;
    if (sscanf(user->text, "HTTP/1.%*1[01] %d", &status) != 1) return "head";
    if (status != 200) return status == 502 ? "502" : status == 504 ? "504" : "status";
    for (char* line = strstr(user->text, "\r\n"); line && line < blank; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, "content-length:", 15) == 0) user->expected = strtoll(line + 17, NULL, 10);
    return NULL;
}

static void receive(struct user* user) {
    static char sink[65536];
    for (;;) {
        ssize_t count = user->has_head ? recv(user->fd, sink, sizeof sink, 0)
                                       : recv(user->fd, user->text + user->head, kHead - 1 - user->head, 0);
        if (count < 0) {
            if (errno == EAGAIN || errno == EINTR) return;
            end(user, name_of(errno));
            return;
        }
        if (count == 0) {
            int whole = user->has_head && (user->expected < 0 || user->body == user->expected);
            end(user, whole ? NULL : user->head == 0 ? "closed" : "short");
            return;
        }
        if (user->has_head) {
            user->body += count;
        } else {
            user->head += (size_t)count;
            const char* wrong = read_head(user);
            if (wrong) {
                end(user, wrong);
                return;
            }
        }
        if (user->has_head && user->expected >= 0 && user->body >= user->expected) {
            end(user, user->body > user->expected ? "long" : NULL);
            return;
        }
    }
}

static uint32_t read_steps(const char* text, struct step* steps) {
    uint32_t count = 0;
    uint64_t at = 0;
    while (*text && count < kMaxSteps) {
        char* rest = NULL;
        unsigned long wanted = strtoul(text, &rest, 10);
        if (rest == text || *rest != ':' || wanted == 0 || wanted > kMaxUsers) break;
        text = rest + 1;
        double seconds = strtod(text, &rest);
        if (rest == text || seconds <= 0 || (*rest && *rest != ',')) break;
        at += (uint64_t)(seconds * 1e6);
        steps[count++] = (struct step){(uint32_t)wanted, at};
        text = *rest ? rest + 1 : rest;
    }
    if (*text || count == 0) {
        fprintf(stderr, "wsgi_load: --steps wants USERS:SECONDS,..., at most %d steps of at most %d users\n",
                kMaxSteps, kMaxUsers);
        exit(2);
    }
    return count;
}

static void usage(void) {
    fprintf(stderr,
            "wsgi_load (--port P | --unix PATH) --steps USERS:SECONDS[,...] [--timeout S] [--path P] --out "
            "FILE\n");
    exit(2);
}

int main(int argc, char** argv) {
    const char* path = "/";
    const char* steps_text = NULL;
    uint64_t timeout = 60 * 1000000U;
    for (int at = 1; at < argc; at += 2) {
        if (at + 1 == argc) usage();
        const char* value = argv[at + 1];
        if (strcmp(argv[at], "--port") == 0) {
            server.in = (struct sockaddr_in){.sin_family = AF_INET,
                                             .sin_port = htons((uint16_t)atoi(value)),
                                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            server_size = sizeof server.in;
        } else if (strcmp(argv[at], "--unix") == 0) {
            server.un.sun_family = AF_UNIX;
            if (strlen(value) >= sizeof server.un.sun_path) usage();
            strcpy(server.un.sun_path, value);
            server_size = sizeof server.un;
        } else if (strcmp(argv[at], "--steps") == 0) {
            steps_text = value;
        } else if (strcmp(argv[at], "--timeout") == 0) {
            timeout = (uint64_t)(atof(value) * 1e6);
        } else if (strcmp(argv[at], "--path") == 0) {
            path = value;
        } else if (strcmp(argv[at], "--out") == 0) {
            out = fopen(value, "w");
            if (!out) die(value);
            setvbuf(out, NULL, _IOLBF, 0); /* whoever waits for requests to end reads along */
        } else {
            usage();
        }
    }
    if (!server_size || !steps_text || !out) usage();
    struct step steps[kMaxSteps];
    uint32_t step_count = read_steps(steps_text, steps);
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", path);
    if (size >= (int)sizeof request) usage();
    request_size = (size_t)size;
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll_fd < 0) die("epoll_create1");
    for (size_t at = 0; at < kMaxUsers; at++) users[at].fd = -1;
    signal(SIGTERM, on_term);
    origin_ns = monotonic_ns();

    uint32_t step = 0;
    uint32_t wanted = steps[0].users;
    uint32_t known = 0; /* users that ever asked */
    uint64_t next_look =
        0; /* at all of them: for who is to begin by himself, and for who has waited too long */
    for (;;) {
        uint64_t now = now_us();
        if (now >= next_look) {
            next_look = now + kLook;
            while (step < step_count && now >= steps[step].end) step++;
            if (leaving) step = step_count;
            wanted = step < step_count ? steps[step].users : 0;
            if (wanted > known) known = wanted;
            for (uint32_t at = 0; at < known; at++) {
                struct user* user = &users[at];
                if (user->fd >= 0 && now > user->begin && now - user->begin > timeout) end(user, "timeout");
                if (user->fd < 0 && at < wanted && user->resume <= now) begin(user);
            }
        }
        if (wanted == 0 && busy == 0) break;
        struct epoll_event events[kBatch];
        int count = epoll_wait(poll_fd, events, kBatch, (int)(kLook / 1000));
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int at = 0; at < count; at++) {
            struct user* user = &users[events[at].data.u32];
            if (user->fd < 0) continue;
            if (!user->sent)
                send_request(user);
            else
                receive(user);
            if (user->fd < 0 && events[at].data.u32 < wanted && user->resume <= now_us()) begin(user);
        }
    }
    if (fclose(out) != 0) die("--out");
    struct rusage usage_of;
    getrusage(RUSAGE_SELF, &usage_of);
    double cpu = (double)(usage_of.ru_utime.tv_sec + usage_of.ru_stime.tv_sec) +
                 (double)(usage_of.ru_utime.tv_usec + usage_of.ru_stime.tv_usec) / 1e6;
    printf("{\"requests\": %llu, \"errors\": %llu, \"cpu\": %.3f, \"seconds\": %.3f, \"origin_ns\": %llu}\n",
           (unsigned long long)finished, (unsigned long long)errors, cpu, (double)now_us() / 1e6,
           (unsigned long long)origin_ns);
    return 0;
}
