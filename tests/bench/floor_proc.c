/* The floor of the sampler: reads /proc/PID/stat of each process that is named on standard input, all from
 * open files, once a second, SECONDS times, and prints the CPU nanoseconds that a second of it took.
 *
 *     floor_proc SECONDS < PIDS
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "figures.h"

static uint64_t cpu_ns(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

int main(int argc, char** argv) {
    long seconds = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    if (seconds < 1 || seconds > 3600) {
        fputs("usage: floor_proc SECONDS < PIDS\n", stderr);
        return 2;
    }
    enum { most = 100000 };
    int* files = malloc(most * sizeof *files);
    if (files == NULL) return 1;
    size_t count = 0;
    char line[32], path[64], stat[1024];
    while (count < most && fgets(line, sizeof line, stdin)) {
        snprintf(path, sizeof path, "/proc/%ld/stat", strtol(line, NULL, 10));
        files[count] = open(path, O_RDONLY | O_CLOEXEC);
        if (files[count] < 0) {
            perror(path);
            return 1;
        }
        ++count;
    }
    uint64_t before = cpu_ns();
    for (long second = 0; second < seconds; ++second) {
        for (size_t i = 0; i < count; ++i)
            if (pread(files[i], stat, sizeof stat, 0) <= 0) return 1;
        sleep_us(1000000);
    }
    printf("{\"processes\": %zu, \"cpu\": %" PRIu64 "}\n", count, (cpu_ns() - before) / (uint64_t)seconds);
    return 0;
}
