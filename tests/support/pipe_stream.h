/* Two streams joined in memory, for two tasks that talk to each other: reads wait for the other side's writes. */
#ifndef TESTS_SUPPORT_PIPE_STREAM_H
#define TESTS_SUPPORT_PIPE_STREAM_H

#include "hal/task.h"
#include "net/stream.h"

#define PIPE_BYTES 8192

struct pipe_end {
    struct pipe_end *other;
    struct event event;        /* bytes, room or the other side's end */
    uint8_t bytes[PIPE_BYTES]; /* on their way to this end */
    size_t head, len;
    bool ended;         /* the other side closed */
    bool broken;        /* the other side aborted */
    size_t read_max;    /* most bytes a read gives; 0: no limit */
    uint64_t written;   /* by this end */
    uint64_t flip_at;   /* the byte of this number (from 1) of this end's writes is changed; 0: none */
    uint64_t cut_after; /* this end's writes beyond this are lost and the connection ends; 0: never */
};

void pipe_open(struct pipe_end *a, struct pipe_end *b);
void pipe_stream_init(struct stream *s, struct pipe_end *end);

#endif
