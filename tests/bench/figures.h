/* Times and how they are summed up, for the benches that print figures. */
#ifndef CIRCUS_BENCH_FIGURES_H
#define CIRCUS_BENCH_FIGURES_H

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void sleep_us(long us) {
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&time, NULL);
}

static inline int by_value(const void* left, const void* right) {
    uint64_t a = *(const uint64_t*)left, b = *(const uint64_t*)right;
    return a < b ? -1 : a > b;
}

static inline void sort_times(uint64_t* times, size_t count) {
    qsort(times, count, sizeof *times, by_value);
}

/* Of sorted times. */
static inline uint64_t percentile(const uint64_t* times, size_t count, size_t percent) {
    return count == 0 ? 0 : times[(count * percent + 99) / 100 - 1];
}

#endif
