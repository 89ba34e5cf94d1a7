/* The word of a worker that it runs: one record, written to a FIFO as the worker's first act. Records are
 * shorter than PIPE_BUF, so writers never tear each other's. The time is taken by the worker, so whoever
 * reads the FIFO may read as late and as seldom as it likes without spoiling the figure. */
#ifndef CIRCUS_BENCH_RUNNING_H
#define CIRCUS_BENCH_RUNNING_H

#include <stdint.h>

struct running {
    uint64_t ns; /* CLOCK_MONOTONIC */
    int32_t pid;
    uint32_t unused;
};

#endif
