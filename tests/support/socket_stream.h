/* A stream on a connected, blocking socket of the host: our protocols against real peers without lwIP. */
#ifndef TESTS_SUPPORT_SOCKET_STREAM_H
#define TESTS_SUPPORT_SOCKET_STREAM_H

#include "net/stream.h"

struct socket_stream {
    int fd;
    size_t write_max; /* most bytes in one send, so that records cross segments; 0: no limit */
};

/* s owns fd and closes it. SIGPIPE must be ignored. */
void socket_stream_init(struct stream *s, struct socket_stream *k, int fd);

#endif
