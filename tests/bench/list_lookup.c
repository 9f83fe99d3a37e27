/* How long a lookup takes on this machine: every name of a file in a list, median and worst, in nanoseconds. A lookup is timed alone; the
 * clock's own time is taken off. The worst is that of the fastest of several rounds, so that what else the machine does counts less.
 * usage: list_lookup LIST NAMES */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/list.h"
#include "toolchain/tools/common/byte_buffer.h"

#define ROUNDS 5
#define NAMES_MAX 20000

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t clock_ns(void)
{
    uint32_t least = UINT32_MAX;
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t start = now_ns();
        uint32_t ns = (uint32_t)(now_ns() - start);
        least = ns < least ? ns : least;
    }
    return least;
}

static size_t read_names(const struct span text, struct span *names)
{
    size_t count = 0, at = 0, end;
    while (count < NAMES_MAX && (end = span_find(text, at, '\n')) != SIZE_MAX) {
        names[count++] = span_sub(text, at, end - at);
        at = end + 1;
    }
    return count;
}

int main(int argc, char **argv)
{
    static struct span names[NAMES_MAX];
    static uint32_t best[NAMES_MAX];
    struct byte_buffer file = { NULL, 0, 0 }, text = { NULL, 0, 0 };
    struct list list;
    struct list_entry e;
    if (argc != 3 || file_read(argv[1], &file) != RC_OK || file_read(argv[2], &text) != RC_OK)
        return 2;
    struct span bytes = byte_buffer_span(&file);
    struct reader r = reader_on_span(&bytes);
    size_t count = read_names(byte_buffer_span(&text), names), found = 0;
    if (list_open(&list, &r) != RC_OK || count == 0)
        return 1;
    memset(best, 0xff, sizeof best);
    uint32_t clock = clock_ns();
    for (unsigned round = 0; round < ROUNDS; round++) {
        found = 0;
        for (size_t i = 0; i < count; i++) {
            uint64_t start = now_ns();
            enum rc rc = list_find(&list, names[i], &e);
            uint32_t ns = (uint32_t)(now_ns() - start) - clock;
            best[i] = ns < best[i] ? ns : best[i];
            found += rc == RC_OK;
        }
    }
    qsort(best, count, sizeof *best, by_value);
    printf("%zu of %zu found, median %u ns, 99%% %u ns, worst %u ns\n", found, count, best[count / 2], best[count * 99 / 100],
           best[count - 1]);
    byte_buffer_free(&file);
    byte_buffer_free(&text);
    return 0;
}
