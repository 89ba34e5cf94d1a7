/* How long a program takes as a whole process, from vfork to its end reaped. Prints one JSON object; times in
 * nanoseconds. Its output is thrown away.
 *
 *     bench_process N PROGRAM [ARG...]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "figures.h"

static void die(const char* what) {
    perror(what);
    exit(1);
}

int main(int argc, char** argv) {
    long wanted = argc > 2 ? strtol(argv[1], NULL, 10) : 0;
    if (wanted < 1 || wanted > 100000) {
        fputs("usage: bench_process N PROGRAM [ARG...]\n", stderr);
        return 2;
    }
    size_t count = (size_t)wanted;
    uint64_t* times = calloc(count, sizeof *times);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (times == NULL || nowhere < 0) die("bench_process");
    for (size_t i = 0; i < count; ++i) {
        uint64_t begin = now_ns();
        pid_t pid = vfork();
        if (pid == 0) {
            dup2(nowhere, STDOUT_FILENO);
            execv(argv[2], argv + 2);
            _exit(127);
        }
        int status = 0;
        if (pid < 0 || waitpid(pid, &status, 0) != pid) die("vfork");
        times[i] = now_ns() - begin;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr, "bench_process: %s ended with status %#x\n", argv[2], (unsigned)status);
            return 1;
        }
    }
    sort_times(times, count);
    printf("{\"median\": %" PRIu64 ", \"p99\": %" PRIu64 "}\n", percentile(times, count, 50),
           percentile(times, count, 99));
    free(times);
    return 0;
}
