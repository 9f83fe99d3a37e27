/* A peer of net/http_client that answers each request whole, from memory: definitions, for the one file of a program that includes it. It calls
 * answering_ask for every piece that the client sends, and gives what that puts into answering.out, of answering.len bytes. */
#ifndef TESTS_SUPPORT_ANSWERING_STREAM_H
#define TESTS_SUPPORT_ANSWERING_STREAM_H

#include <string.h>

#include "net/stream.h"

static struct {
    struct stream stream;
    char out[70000];
    size_t len, at; /* of the answer, and how much the client has read */
} answering;

/* The program's own: what comes from the client. */
static void answering_ask(struct span piece);

static enum rc answering_write(void *ctx, struct span data, struct deadline d)
{
    (void)ctx;
    (void)d;
    answering_ask(data);
    return RC_OK;
}

/* With no answer left, the connection has ended. */
static enum rc answering_read(void *ctx, void *buf, size_t cap, size_t *got, struct deadline d)
{
    (void)ctx;
    (void)d;
    *got = answering.len - answering.at < cap ? answering.len - answering.at : cap;
    memcpy(buf, answering.out + answering.at, *got);
    answering.at += *got;
    return *got ? RC_OK : RC_CLOSED;
}

static bool answering_readable(void *ctx)
{
    (void)ctx;
    return answering.at < answering.len;
}

static void answering_close(void *ctx, bool abort)
{
    (void)ctx;
    (void)abort;
}

/* A new connection: what was on its way is gone. */
static void answering_open(void)
{
    static const struct stream_ops ops = { answering_read, answering_write, answering_readable, answering_close };
    answering.len = answering.at = 0;
    stream_init(&answering.stream, &ops, NULL);
}

#endif
