/* A worker that costs nothing: says "I run" on the FIFO named by argv[1], then waits for a signal. It keeps
 * the default disposition of every signal and no descriptor of its own. */
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "running.h"

int main(int argc, char** argv) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (argc != 2) return 2;
    struct running word = {
        .ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, .pid = getpid(), .unused = 0};
    int fifo = open(argv[1], O_WRONLY | O_CLOEXEC);
    if (fifo < 0 || write(fifo, &word, sizeof word) != (ssize_t)sizeof word) return 1;
    close(fifo);
    for (;;) pause();
}
