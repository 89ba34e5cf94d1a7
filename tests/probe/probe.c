/* The probe: a worker that tells what it was given, then behaves as its flags say. Tests compare what it
 * tells with what the configuration asked for; the daemon's own word is never taken for it.
 *
 *     probe [flags, in any order]
 *   --report DIR         first of all, DIR/PID.json: one line, put there whole by a rename
 *   --note SIG:FILE      on SIG append "SIG PID" to FILE and go on
 *   --ignore SIG         ignore it
 *   --exit-on SIG:CODE   on SIG exit with CODE
 *   --grandchild         fork a child that waits for a signal; it has the dispositions set up before it
 *   --daemonize          leave a process behind that is in a session of its own and nobody's child of ours
 *   --print N:TEXT       N lines "PID I TEXT" to stdout, one write each; --print-err the same to stderr
 *   --torn N:TEXT        the same lines, each in two writes
 *   --unfinished TEXT    TEXT to stdout, without a newline
 *   --serve FD           answer each connection on that listening socket, or each datagram on that one, with
 * the pid and a newline
 *   --kill PID:SIG       send SIG to that process
 *   --exit-after S:CODE  exit with CODE after S seconds (a fraction is fine)
 *
 * Without --exit-after it lives until a signal ends it. A probe that cannot do what a flag says exits with 99
 * and a line on stderr.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static void die(const char* what) {
    fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
    exit(99);
}

/* ---- what it sees ---- */

static void put_text(FILE* out, const char* text) {
    fputc('"', out);
    for (const unsigned char* at = (const unsigned char*)text; *at != 0; ++at) {
        if (*at == '"' || *at == '\\')
            fprintf(out, "\\%c", *at);
        else if (*at < 0x20)
            fprintf(out, "\\u%04x", *at);
        else
            fputc(*at, out);
    }
    fputc('"', out);
}

static void put_list(FILE* out, const char* key, char** texts) {
    fprintf(out, ", \"%s\": [", key);
    for (char** text = texts; *text != NULL; ++text) {
        if (text != texts) fputs(", ", out);
        put_text(out, *text);
    }
    fputc(']', out);
}

static void put_link(FILE* out, const char* key, const char* path) {
    char target[4096];
    ssize_t size = readlink(path, target, sizeof target - 1);
    target[size > 0 ? size : 0] = 0;
    fprintf(out, "\"%s\": ", key);
    put_text(out, target);
}

/* {"3": "socket:[123]", ...}, without the descriptor that reads the folder. */
static void put_fds(FILE* out) {
    DIR* folder = opendir("/proc/self/fd");
    if (folder == NULL) die("/proc/self/fd");
    char own[16], path[300];
    snprintf(own, sizeof own, "%d", dirfd(folder));
    const char* separator = "";
    fputs(", \"fds\": {", out);
    for (struct dirent* entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, own) == 0) continue;
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        fputs(separator, out);
        put_link(out, entry->d_name, path);
        separator = ", ";
    }
    closedir(folder);
    fputc('}', out);
}

/* Of each listening socket: {"3": {"reuseport": 0, "nonblocking": 1, "family": 2, "type": 1, "backlog": 5}};
 * the backlog only of TCP, where the kernel tells it in the place of another count. */
static void put_listeners(FILE* out) {
    const char* separator = "";
    fputs(", \"listeners\": {", out);
    for (int fd = 0; fd < 64; ++fd) {
        int listening = 0, reuseport = 0, family = 0, type = 0;
        socklen_t size = sizeof(int);
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) continue;
        getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &reuseport, &size);
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
        struct tcp_info info = {0};
        socklen_t info_size = sizeof info;
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_size);
        fprintf(out, "%s\"%d\": {\"reuseport\": %d, \"nonblocking\": %d, \"family\": %d, \"type\": %d, ",
                separator, fd, reuseport, (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, family, type);
        fprintf(out, "\"backlog\": %u}", info.tcpi_sacked);
        separator = ", ";
    }
    fputc('}', out);
}

/* Of every socket, listening or not: {"3": {"family": 2, "type": 2, "protocol": 17, "nonblocking": 1,
 * "reuseport": 0, "device": "lo"}}. */
static void put_sockets(FILE* out) {
    const char* separator = "";
    fputs(", \"sockets\": {", out);
    for (int fd = 0; fd < 64; ++fd) {
        int family = 0, type = 0, protocol = 0, reuseport = 0;
        char device[64] = "";
        socklen_t size = sizeof(int), device_size = sizeof device - 1;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) continue;
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
        getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
        getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &reuseport, &size);
        getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &device_size);
        fprintf(out, "%s\"%d\": {\"family\": %d, \"type\": %d, \"protocol\": %d, \"nonblocking\": %d, ",
                separator, fd, family, type, protocol, (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        fprintf(out, "\"reuseport\": %d, \"device\": ", reuseport);
        put_text(out, device);
        fputc('}', out);
        separator = ", ";
    }
    fputc('}', out);
}

static void put_limits(FILE* out) {
    static const struct {
        const char* name;
        int resource;
    } kLimits[] = {{"nofile", RLIMIT_NOFILE}, {"core", RLIMIT_CORE},   {"cpu", RLIMIT_CPU},
                   {"nproc", RLIMIT_NPROC},   {"stack", RLIMIT_STACK}, {"as", RLIMIT_AS},
                   {"fsize", RLIMIT_FSIZE}};
    const char* separator = "";
    fputs(", \"limits\": {", out);
    for (size_t i = 0; i < sizeof kLimits / sizeof kLimits[0]; ++i) {
        struct rlimit limit;
        if (getrlimit((__rlimit_resource_t)kLimits[i].resource, &limit) != 0) die("getrlimit");
        fprintf(out, "%s\"%s\": [%lld, %lld]", separator, kLimits[i].name, (long long)limit.rlim_cur,
                (long long)limit.rlim_max);
        separator = ", ";
    }
    fputc('}', out);
}

/* The signals as bit masks of /proc/PID/status: the bit of signal N is 1 << (N - 1). */
static void put_signals(FILE* out) {
    FILE* status = fopen("/proc/self/status", "re");
    if (status == NULL) die("/proc/self/status");
    char line[256];
    unsigned long long mask;
    while (fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "SigBlk: %llx", &mask) == 1) fprintf(out, ", \"blocked\": %llu", mask);
        if (sscanf(line, "SigIgn: %llx", &mask) == 1) fprintf(out, ", \"ignored\": %llu", mask);
        if (sscanf(line, "SigCgt: %llx", &mask) == 1) fprintf(out, ", \"caught\": %llu", mask);
    }
    fclose(status);
}

static void put_ids(FILE* out) {
    uid_t uids[3];
    gid_t gids[3], groups[256];
    if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 || getresgid(&gids[0], &gids[1], &gids[2]) != 0)
        die("ids");
    fprintf(out, ", \"uids\": [%u, %u, %u], \"gids\": [%u, %u, %u], \"groups\": [", uids[0], uids[1], uids[2],
            gids[0], gids[1], gids[2]);
    int count = getgroups(256, groups);
    for (int i = 0; i < count; ++i) fprintf(out, "%s%u", i > 0 ? ", " : "", groups[i]);
    fputc(']', out);
}

static int oom_score_adj(void) {
    FILE* file = fopen("/proc/self/oom_score_adj", "re");
    int value = 0;
    if (file == NULL || fscanf(file, "%d", &value) != 1) die("oom_score_adj");
    fclose(file);
    return value;
}

static void report(const char* directory, char** argv) {
    char path[4096], part[4096];
    snprintf(path, sizeof path, "%s/%d.json", directory, getpid());
    snprintf(part, sizeof part, "%s/.%d.part", directory, getpid());
    /* The fds are told before the report's own file exists. */
    char* text = NULL;
    size_t size = 0;
    FILE* out = open_memstream(&text, &size);
    if (out == NULL) die("memory");
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    mode_t mask = umask(0);
    umask(mask);
    char cwd[4096];
    if (getcwd(cwd, sizeof cwd) == NULL) die("getcwd");
    fprintf(out, "{\"pid\": %d, \"ppid\": %d, \"pgrp\": %d, \"sid\": %d, \"time\": %lld.%09ld", getpid(),
            getppid(), getpgrp(), getsid(0), (long long)now.tv_sec, now.tv_nsec);
    fprintf(out, ", \"umask\": %u, \"nice\": %d, \"oom_score_adj\": %d, \"no_new_privs\": %d", mask,
            getpriority(PRIO_PROCESS, 0), oom_score_adj(), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    fputs(", \"cwd\": ", out);
    put_text(out, cwd);
    fputs(", ", out);
    put_link(out, "exe", "/proc/self/exe");
    put_ids(out);
    put_limits(out);
    put_signals(out);
    put_fds(out);
    put_listeners(out);
    put_sockets(out);
    put_list(out, "argv", argv);
    put_list(out, "env", environ);
    fputs("}\n", out);
    if (fclose(out) != 0) die("memory");
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, text, size) != (ssize_t)size || close(fd) != 0 || rename(part, path) != 0)
        die(path);
    free(text);
}

/* ---- what it does ---- */

static char* notes[65];
static int exit_codes[65];

static void on_noted(int signo) {
    int saved = errno;
    char line[32];
    int size = snprintf(line, sizeof line, "%d %d\n", signo, getpid());
    int fd = open(notes[signo], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, (size_t)size) != size) _exit(99);
    close(fd);
    errno = saved;
}

static void on_exit_signal(int signo) {
    _exit(exit_codes[signo]);
}

static void handle(int signo, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    if (signo < 1 || signo > 64 || sigaction(signo, &action, NULL) != 0) die("sigaction");
}

/* "15:rest" -> 15, and `*rest` behind the colon. */
static int split(const char* text, const char** rest) {
    char* end;
    long number = strtol(text, &end, 10);
    if (*end != ':' || number < 0 || number > 1 << 30) {
        errno = EINVAL;
        die(text);
    }
    *rest = end + 1;
    return (int)number;
}

static void write_all(int fd, const char* data, size_t size) {
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) die("write");
        data += written;
        size -= (size_t)written;
    }
}

static void print_lines(int fd, const char* argument, bool torn) {
    const char* text;
    int count = split(argument, &text);
    size_t capacity = strlen(text) + 48;
    char* line = malloc(capacity);
    if (line == NULL) die("memory");
    for (int i = 0; i < count; ++i) {
        size_t size = (size_t)snprintf(line, capacity, "%d %d %s\n", getpid(), i, text);
        size_t first = torn ? size / 2 : size;
        write_all(fd, line, first);
        write_all(fd, line + first, size - first);
    }
    free(line);
}

static void start_grandchild(void) {
    pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0)
        for (;;) pause();
}

/* Returns when the stray is in its own session, so that whoever looks afterwards finds it there. */
static void start_stray(void) {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) die("pipe");
    pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0) {
        setsid();
        if (fork() != 0) _exit(0);
        setsid();
        close(ready[0]);
        close(ready[1]);
        for (;;) pause();
    }
    close(ready[1]);
    char nothing;
    while (read(ready[0], &nothing, 1) > 0) {
    }
    close(ready[0]);
}

static void answer_datagram(int fd, const char* answer, int size) {
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    char question[2048];
    if (recvfrom(fd, question, sizeof question, 0, (struct sockaddr*)&from, &length) < 0) {
        if (errno == EAGAIN || errno == EINTR) return;
        die("recvfrom");
    }
    if (sendto(fd, answer, (size_t)size, MSG_NOSIGNAL, (struct sockaddr*)&from, length) < 0 &&
        errno != ECONNREFUSED)
        die("sendto");
}

static void serve(int listener, double seconds) {
    int type = 0;
    socklen_t type_size = sizeof type;
    if (getsockopt(listener, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0) die("serve");
    char answer[32];
    int size = snprintf(answer, sizeof answer, "%d\n", getpid());
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        double left =
            seconds - (double)(now.tv_sec - begin.tv_sec) - (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
        if (seconds >= 0 && left <= 0) return;
        struct pollfd wait = {.fd = listener, .events = POLLIN};
        if (poll(&wait, 1, seconds < 0 ? -1 : (int)(left * 1000) + 1) <= 0) continue;
        if (type == SOCK_DGRAM) {
            answer_datagram(listener, answer, size);
            continue;
        }
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) continue;
            die("accept");
        }
        if (send(connection, answer, (size_t)size, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
            die("send");
        close(connection);
    }
}

static void wait_for(double seconds) {
    struct timespec left = {.tv_sec = (time_t)seconds};
    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

int main(int argc, char** argv) {
    double lifetime = -1;
    int code = 0, listener = -1;
    for (int i = 1; i < argc; ++i) {
        const char* flag = argv[i];
        if (strcmp(flag, "--grandchild") == 0) {
            start_grandchild();
            continue;
        }
        if (strcmp(flag, "--daemonize") == 0) {
            start_stray();
            continue;
        }
        if (strcmp(flag, "--") == 0) break;
        if (i + 1 == argc) {
            errno = EINVAL;
            die(flag);
        }
        const char* value = argv[++i];
        const char* rest;
        if (strcmp(flag, "--report") == 0) {
            report(value, argv);
        } else if (strcmp(flag, "--note") == 0) {
            int signo = split(value, &rest);
            if (signo > 64) die(value);
            notes[signo] = strdup(rest);
            handle(signo, on_noted);
        } else if (strcmp(flag, "--ignore") == 0) {
            handle(atoi(value), SIG_IGN);
        } else if (strcmp(flag, "--exit-on") == 0) {
            int signo = split(value, &rest);
            if (signo > 64) die(value);
            exit_codes[signo] = atoi(rest);
            handle(signo, on_exit_signal);
        } else if (strcmp(flag, "--print") == 0) {
            print_lines(STDOUT_FILENO, value, false);
        } else if (strcmp(flag, "--print-err") == 0) {
            print_lines(STDERR_FILENO, value, false);
        } else if (strcmp(flag, "--torn") == 0) {
            print_lines(STDOUT_FILENO, value, true);
        } else if (strcmp(flag, "--unfinished") == 0) {
            write_all(STDOUT_FILENO, value, strlen(value));
        } else if (strcmp(flag, "--serve") == 0) {
            listener = atoi(value);
        } else if (strcmp(flag, "--kill") == 0) {
            int pid = split(value, &rest);
            if (kill(pid, atoi(rest)) != 0) die(value);
        } else if (strcmp(flag, "--exit-after") == 0) {
            char* end;
            lifetime = strtod(value, &end);
            code = *end == ':' ? atoi(end + 1) : 0;
        } else {
            errno = EINVAL;
            die(flag);
        }
    }
    if (listener >= 0)
        serve(listener, lifetime);
    else if (lifetime >= 0)
        wait_for(lifetime);
    else
        for (;;) pause();
    return code;
}
