/* Measures one supervisor, from outside: starts it, waits until all its workers run, kills them one by one
 * and all at once, lets it idle, ends it. Prints one JSON object; times in nanoseconds, memory in KiB, -1 for
 * what was not measured.
 *
 *     bench_supervisor --workers N --kills K --idle SECONDS --seed S --fifo PATH --dir DIR -- PROGRAM
 * [ARG...]
 *
 * PROGRAM must start N workers (worker.c) that report on the FIFO; the FIFO is made here. Nothing here knows
 * which supervisor it is, so floor and circusd go through the very same steps.
 *
 * - A worker's time is its own (running.h). The driver looks at the FIFO only every kLookMs, so that it takes
 * no processor from what it measures, and the age of a look is in no figure.
 * - Only workers older than kMinAgeMs are killed: circusd delays the replacement of one that lived shorter.
 * - The driver is a subreaper: a worker that outlives its supervisor becomes its child, and the end of "TERM
 * to everything gone" is the moment when nothing is left to wait for.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "figures.h"
#include "running.h"

enum { kLookMs = 2, kMinAgeMs = 1050, kSettleMs = 300, kDeadlineS = 120, kMaxHelpers = 16 };

static void sleep_ms(long ms) {
    sleep_us(ms * 1000);
}

static pid_t supervisor; /* 0: not started, or reaped */
static bool started;

/* Ends what was started, whatever state it is in, before giving up. */
static void fail(const char* what) {
    fprintf(stderr, "bench_supervisor: %s (%s)\n", what, errno != 0 ? strerror(errno) : "no errno");
    if (started) {
        if (supervisor > 0) kill(supervisor, SIGKILL);
        uint64_t deadline = now_ns() + 10000000000u;
        char path[64];
        snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
        pid_t reaped;
        while ((reaped = waitpid(-1, NULL, WNOHANG)) >= 0 && now_ns() < deadline) {
            if (reaped > 0) continue;
            FILE* children = fopen(path, "re");
            int pid;
            while (children != NULL && fscanf(children, "%d", &pid) == 1) kill(pid, SIGKILL);
            if (children != NULL) fclose(children);
            sleep_ms(kLookMs);
        }
    }
    exit(1);
}

/* ---- the workers there are, as their own words tell ---- */

struct worker {
    pid_t pid;
    uint64_t since;
};

struct crew {
    int fifo;
    struct worker* workers;
    size_t size;
    size_t wanted;
};

/* Reads what has come; the newest time seen goes to `*latest`. */
static void look(struct crew* crew, uint64_t* latest) {
    struct running words[256];
    ssize_t got;
    while ((got = read(crew->fifo, words, sizeof words)) > 0) {
        for (size_t i = 0; i < (size_t)got / sizeof words[0]; ++i) {
            if (crew->size == crew->wanted) fail("more workers than wanted");
            crew->workers[crew->size++] = (struct worker){.pid = words[i].pid, .since = words[i].ns};
            if (words[i].ns > *latest) *latest = words[i].ns;
        }
    }
    if (got < 0 && errno != EAGAIN) fail("reading the fifo");
}

/* Waits until the crew is complete; returns when its last member ran. */
static uint64_t wait_for_crew(struct crew* crew) {
    uint64_t latest = 0, deadline = now_ns() + kDeadlineS * 1000000000ull;
    for (;;) {
        look(crew, &latest);
        if (crew->size == crew->wanted) return latest;
        if (waitpid(supervisor, NULL, WNOHANG) == supervisor) {
            supervisor = 0;
            fail("the supervisor ended by itself");
        }
        errno = 0;
        if (now_ns() > deadline) fail("the workers do not come");
        sleep_ms(kLookMs);
    }
}

static void wait_for_age(const struct worker* worker) {
    uint64_t due = worker->since + kMinAgeMs * 1000000ull, now = now_ns();
    if (now < due) sleep_ms((long)((due - now) / 1000000u) + 1);
}

/* ---- what the kernel knows of the supervisor ---- */

/* The supervisor and those of its children that run the same file: circusd's keeper and its arbiter. */
static size_t find_helpers(pid_t helpers[kMaxHelpers]) {
    char path[64], own[512], theirs[512];
    size_t count = 0;
    helpers[count++] = supervisor;
    snprintf(path, sizeof path, "/proc/%d/exe", supervisor);
    ssize_t own_size = readlink(path, own, sizeof own);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", supervisor, supervisor);
    FILE* children = fopen(path, "re");
    if (children == NULL) fail("the supervisor's children");
    int pid;
    while (fscanf(children, "%d", &pid) == 1 && count < kMaxHelpers) {
        snprintf(path, sizeof path, "/proc/%d/exe", pid);
        ssize_t size = readlink(path, theirs, sizeof theirs);
        if (size > 0 && size == own_size && memcmp(own, theirs, (size_t)size) == 0) helpers[count++] = pid;
    }
    fclose(children);
    return count;
}

static long pss_kib(pid_t pid) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE* file = fopen(path, "re");
    long kib = -1;
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pss: %ld kB", &kib) == 1) break;
    if (file != NULL) fclose(file);
    return kib;
}

/* Of all threads: /proc/PID/schedstat alone is the main thread's. */
static uint64_t cpu_ns(pid_t pid) {
    char path[320];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR* tasks = opendir(path);
    uint64_t sum = 0;
    struct dirent* task;
    while (tasks != NULL && (task = readdir(tasks)) != NULL) {
        if (task->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, task->d_name);
        FILE* file = fopen(path, "re");
        uint64_t ran;
        if (file != NULL && fscanf(file, "%" SCNu64, &ran) == 1) sum += ran;
        if (file != NULL) fclose(file);
    }
    if (tasks != NULL) closedir(tasks);
    return sum;
}

/* ---- the measures ---- */

struct figures {
    uint64_t launch, one_median, one_p99, one_worst, all, term;
    int64_t idle_cpu;
    long pss;
    size_t processes;
};

static void kill_one_by_one(struct crew* crew, size_t kills, struct figures* figures) {
    uint64_t* times = calloc(kills, sizeof *times);
    if (times == NULL) fail("memory");
    for (size_t i = 0; i < kills; ++i) {
        size_t victim = (size_t)random() % crew->size;
        wait_for_age(&crew->workers[victim]);
        pid_t pid = crew->workers[victim].pid;
        crew->workers[victim] = crew->workers[--crew->size];
        uint64_t begin = now_ns();
        if (kill(pid, SIGKILL) != 0) fail("killing a worker");
        times[i] = wait_for_crew(crew) - begin;
    }
    sort_times(times, kills);
    figures->one_median = percentile(times, kills, 50);
    figures->one_p99 = percentile(times, kills, 99);
    figures->one_worst = percentile(times, kills, 100);
    free(times);
}

static void kill_all(struct crew* crew, struct figures* figures) {
    for (size_t i = 0; i < crew->size; ++i) wait_for_age(&crew->workers[i]);
    size_t alive = crew->size;
    pid_t* pids = calloc(alive, sizeof *pids);
    if (pids == NULL) fail("memory");
    for (size_t i = 0; i < alive; ++i) pids[i] = crew->workers[i].pid;
    crew->size = 0;
    uint64_t begin = now_ns();
    for (size_t i = 0; i < alive; ++i)
        if (kill(pids[i], SIGKILL) != 0) fail("killing all workers");
    figures->all = wait_for_crew(crew) - begin;
    free(pids);
}

static void idle(long seconds, struct figures* figures) {
    sleep_ms(kSettleMs);
    pid_t helpers[kMaxHelpers];
    size_t count = find_helpers(helpers);
    uint64_t before = 0, after = 0;
    figures->processes = count;
    figures->pss = 0;
    for (size_t i = 0; i < count; ++i) figures->pss += pss_kib(helpers[i]);
    figures->idle_cpu = -1;
    if (seconds == 0) return;
    for (size_t i = 0; i < count; ++i) before += cpu_ns(helpers[i]);
    sleep_ms(seconds * 1000);
    for (size_t i = 0; i < count; ++i) after += cpu_ns(helpers[i]);
    figures->idle_cpu = (int64_t)(after - before);
}

static void on_alarm(int signo) {
    (void)signo; /* only interrupts the wait */
}

static void terminate(struct figures* figures) {
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    alarm(kDeadlineS);
    uint64_t begin = now_ns();
    if (kill(supervisor, SIGTERM) != 0) fail("TERM");
    int status = 0;
    if (waitpid(supervisor, &status, 0) != supervisor) fail("waiting for the supervisor");
    supervisor = 0;
    while (waitpid(-1, NULL, 0) > 0) {
    }
    if (errno != ECHILD) fail("what the supervisor left behind does not end");
    figures->term = now_ns() - begin;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fprintf(stderr, "bench_supervisor: the supervisor ended with status %#x\n", (unsigned)status);
}

static void start_supervisor(char** argv, const char* dir) {
    supervisor = fork();
    if (supervisor < 0) fail("fork");
    started = supervisor > 0;
    if (started) return;
    if (dir != NULL && chdir(dir) != 0) _exit(126);
    int log = open("supervisor.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log >= 0 && (dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)) _exit(126);
    execv(argv[0], argv);
    _exit(127);
}

int main(int argc, char** argv) {
    static const struct option kOptions[] = {{"workers", required_argument, NULL, 'w'},
                                             {"kills", required_argument, NULL, 'k'},
                                             {"idle", required_argument, NULL, 'i'},
                                             {"seed", required_argument, NULL, 's'},
                                             {"fifo", required_argument, NULL, 'f'},
                                             {"dir", required_argument, NULL, 'd'},
                                             {NULL, 0, NULL, 0}};
    long workers = 1, kills = 20, seconds = 0, seed = 1;
    const char* fifo = NULL;
    const char* dir = NULL;
    for (int option; (option = getopt_long(argc, argv, "+", kOptions, NULL)) != -1;) {
        switch (option) {
            case 'w':
                workers = strtol(optarg, NULL, 10);
                break;
            case 'k':
                kills = strtol(optarg, NULL, 10);
                break;
            case 'i':
                seconds = strtol(optarg, NULL, 10);
                break;
            case 's':
                seed = strtol(optarg, NULL, 10);
                break;
            case 'f':
                fifo = optarg;
                break;
            case 'd':
                dir = optarg;
                break;
            default:
                return 2;
        }
    }
    if (optind >= argc || fifo == NULL || workers < 1 || kills < 1 || seconds < 0) {
        fputs(
            "usage: bench_supervisor --workers N --kills K --fifo PATH [--idle S] [--seed S] [--dir DIR] -- "
            "PROGRAM [ARG...]\n",
            stderr);
        return 2;
    }
    srandom((unsigned)seed);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) fail("subreaper");
    if (mkfifo(fifo, 0600) != 0 && errno != EEXIST) fail("mkfifo");
    /* Open for both ways: a reader is always there, and end of file never is. */
    struct crew crew = {.fifo = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC),
                        .workers = calloc((size_t)workers, sizeof(struct worker)),
                        .size = 0,
                        .wanted = (size_t)workers};
    if (crew.fifo < 0 || crew.workers == NULL) fail("fifo");
    fcntl(crew.fifo, F_SETPIPE_SZ, 1 << 20);

    struct figures figures = {0};
    uint64_t begin = now_ns();
    start_supervisor(argv + optind, dir);
    figures.launch = wait_for_crew(&crew) - begin;
    kill_one_by_one(&crew, (size_t)kills, &figures);
    kill_all(&crew, &figures);
    idle(seconds, &figures);
    for (size_t i = 0; i < crew.size; ++i) wait_for_age(&crew.workers[i]);
    terminate(&figures);

    printf("{\"workers\": %ld, \"launch\": %" PRIu64 ", \"one_median\": %" PRIu64 ", \"one_p99\": %" PRIu64
           ", \"one_worst\": %" PRIu64 ", \"all\": %" PRIu64 ", \"term\": %" PRIu64
           ", \"pss\": %ld, "
           "\"processes\": %zu, \"idle_cpu\": %" PRId64 "}\n",
           workers, figures.launch, figures.one_median, figures.one_p99, figures.one_worst, figures.all,
           figures.term, figures.pss, figures.processes, figures.idle_cpu);
    free(crew.workers);
    return 0;
}
