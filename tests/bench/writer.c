/* A worker that writes: N lines of 100 bytes each to standard output, in blocks, as fast as they are taken.
 * Each line begins with its number, in twelve digits, so that a reader can tell which are missing. Its first
 * and its last act are a record (running.h) on the FIFO named by argv[2].
 *
 *     writer N FIFO
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "figures.h"
#include "running.h"

enum { kLine = 100, kDigits = 12, kBlockLines = 640 };

static char block[kBlockLines * kLine];

static void add_to_number(char* digits, unsigned by) {
    for (int at = kDigits - 1; by > 0 && at >= 0; --at) {
        by += (unsigned)(digits[at] - '0');
        digits[at] = (char)('0' + by % 10);
        by /= 10;
    }
}

static void say(int fifo) {
    struct running word = {.ns = now_ns(), .pid = getpid(), .unused = 0};
    if (write(fifo, &word, sizeof word) != (ssize_t)sizeof word) _exit(1);
}

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    long long left = strtoll(argv[1], NULL, 10);
    int fifo = open(argv[2], O_WRONLY | O_CLOEXEC);
    if (fifo < 0) return 1;
    for (unsigned i = 0; i < kBlockLines; ++i) {
        char* line = block + i * kLine;
        memset(line, '0', kDigits);
        memset(line + kDigits, 'x', kLine - kDigits - 1);
        line[kLine - 1] = '\n';
        add_to_number(line, i);
    }
    say(fifo);
    while (left > 0) {
        size_t lines = left < kBlockLines ? (size_t)left : kBlockLines;
        for (size_t done = 0; done < lines * kLine;) {
            ssize_t wrote = write(STDOUT_FILENO, block + done, lines * kLine - done);
            if (wrote < 0 && errno != EINTR) return 1;
            if (wrote > 0) done += (size_t)wrote;
        }
        left -= (long long)lines;
        for (unsigned i = 0; i < kBlockLines; ++i) add_to_number(block + i * kLine, kBlockLines);
    }
    say(fifo);
    return 0;
}
