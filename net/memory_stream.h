/* A stream on memory: reads come from a script, writes go to a buffer. For tests and fuzzers. */
#ifndef NET_MEMORY_STREAM_H
#define NET_MEMORY_STREAM_H

#include "net/stream.h"

struct memory_stream {
    struct span input;
    size_t pos;
    size_t chunk;           /* most bytes a read gives; 0: no limit */
    struct strbuf *written; /* NULL: dropped */
    enum rc at_end;         /* what a read gives when input is used up; RC_OK means RC_CLOSED */
    bool closed, aborted;
};

/* s reads input in chunks; *m must outlive s. */
void memory_stream_init(struct stream *s, struct memory_stream *m, struct span input, struct strbuf *written);

#endif
