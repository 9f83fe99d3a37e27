#include "tests/support/socket_stream.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_MS 20 /* a program's clock may run faster than ours */

static enum rc wait_for(int fd, short what, struct deadline d)
{
    struct pollfd p = { .fd = fd, .events = what };
    for (;;) {
        if (poll(&p, 1, deadline_passed(d) ? 0 : LOOK_MS) > 0)
            return RC_OK;
        if (deadline_passed(d))
            return RC_TIMEOUT;
    }
}

static enum rc socket_read(void *ctx, void *buf, size_t cap, size_t *got, struct deadline d)
{
    struct socket_stream *k = ctx;
    enum rc rc = wait_for(k->fd, POLLIN, d);
    if (rc != RC_OK)
        return rc;
    ssize_t n = recv(k->fd, buf, cap, 0);
    if (n < 0)
        return RC_RESET;
    *got = (size_t)n;
    return n == 0 ? RC_CLOSED : RC_OK;
}

static enum rc socket_write(void *ctx, struct span data, struct deadline d)
{
    struct socket_stream *k = ctx;
    while (data.len > 0) {
        enum rc rc = wait_for(k->fd, POLLOUT, d);
        if (rc != RC_OK)
            return rc;
        size_t len = k->write_max != 0 && data.len > k->write_max ? k->write_max : data.len;
        ssize_t n = send(k->fd, data.p, len, MSG_NOSIGNAL);
        if (n < 0)
            return RC_RESET;
        data = span_from(data, (size_t)n);
    }
    return RC_OK;
}

static bool socket_readable(void *ctx)
{
    struct socket_stream *k = ctx;
    return wait_for(k->fd, POLLIN, (struct deadline){ 0 }) == RC_OK;
}

static void socket_close(void *ctx, bool abort)
{
    struct socket_stream *k = ctx;
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    if (k->fd < 0)
        return;
    if (abort)
        (void)setsockopt(k->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(k->fd);
    k->fd = -1;
}

static const struct stream_ops socket_ops = { socket_read, socket_write, socket_readable, socket_close };

void socket_stream_init(struct stream *s, struct socket_stream *k, int fd)
{
    *k = (struct socket_stream){ .fd = fd };
    stream_init(s, &socket_ops, k);
}
