/* HTTP/1.1 as a client (RFC 9110, RFC 9112): one request at a time over a stream that the caller's connect opens; the answer's head is
 * read whole, its body is pulled. Every answer is foreign: bounded, timed, and refused by name where it is not plain HTTP.
 *
 * A connection is used again when the answer before was read to its end and both sides agree. A request other than POST that meets a
 * kept connection which the server has ended meanwhile goes out once more on a new one; nothing else is sent twice.
 * Redirects are followed for GET and HEAD alone: 301, 302, 303, 307, 308 to http or https, never from https to http. */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "net/http_message.h"
#include "net/stream.h"
#include "net/url.h"

#define HTTP_HEAD_MS 30000         /* from the request's last byte to the answer's head */
#define HTTP_READ_MS 30000         /* for the next byte of a body */
#define HTTP_LEAST_BYTES_PER_S 200 /* of a body, while we wait for it; after HTTP_PATIENCE_MS of waiting */
#define HTTP_PATIENCE_MS 20000
#define HTTP_DRAIN_BYTES 4096 /* of a body nobody wants: read to keep the connection; more is not worth it */
#define HTTP_LINE_MAX 640     /* of a head: fields that matter are shorter, a Location is a URL */
#define HTTP_REDIRECTS_MAX 5
#define HTTP_WHY_MAX 200

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST };

/* A field of the request: name a token, value without control bytes. */
struct http_field {
    const char *name;
    struct span value;
};

struct http_request {
    enum http_method method;
    struct span url;                /* canonical (net/url.h), as are all callers' settings */
    const struct http_field *field; /* besides Host, User-Agent, Accept-Encoding, Content-Length */
    unsigned fields;
    struct span body;   /* POST */
    unsigned redirects; /* how many are followed, at most HTTP_REDIRECTS_MAX */
    uint64_t body_max;  /* bytes of the answer's body, decoded */
    http_on_field on_field;
    void *field_ctx; /* fields of the final answer; may be NULL */
};

/* Opens the client's stream to where `to` says, for https verified as the caller demands. On error the stream is closed and why has words.
 * to's views last during the call. Yields. */
typedef enum rc (*http_connect)(void *ctx, const struct url *to, struct strbuf *why);

struct http_client {
    struct stream *stream;
    http_connect connect;
    void *connect_ctx;
    const char *user_agent;
    /* What came of the last request. */
    struct http_head head;
    char url[URL_TEXT_MAX]; /* that gave this answer: after redirects */
    char why[HTTP_WHY_MAX]; /* words for any error, printable */
    unsigned redirected;    /* redirects followed */
    /* its own */
    bool open, reused, body_done, first_chunk_read;
    size_t origin_len; /* the connection leads to the first so many characters of url */
    uint64_t left;     /* bytes of the body, or of the chunk */
    uint64_t body_bytes, body_max, waited_ms;
    uint32_t seen[HTTP_REDIRECTS_MAX + 1]; /* hashes of the addresses on the way */
    char next[URL_TEXT_MAX];               /* where a redirect leads */
    char line[HTTP_LINE_MAX + 1];
};

/* All pointers last as long as the client; s is closed. */
void http_client_init(struct http_client *c, struct stream *s, http_connect connect, void *ctx, const char *user_agent);
/* Sends the request and reads the final answer's head: RC_OK whatever its status is (a redirect that is not followed is an answer like
 * others). An answer to an earlier request that was not read to its end is dropped. Else c->why says it: RC_INVALID: the request itself; what
 * connect gave; RC_TIMEOUT, RC_CANCELLED, RC_RESET, RC_CLOSED, RC_TLS; RC_PROTOCOL, RC_TOO_LONG, RC_UNSUPPORTED with c->head.fault;
 * the connection is then closed. Yields. */
enum rc http_request(struct http_client *c, const struct http_request *r) MUST_CHECK;
/* The next bytes of the body: RC_OK with *got > 0; RC_OK with *got 0 once it is complete. Errors as above, and RC_TOO_SLOW, RC_TOO_LONG
 * beyond body_max (that many have been given); the connection is then closed. Yields. */
enum rc http_read(struct http_client *c, void *buf, size_t cap, size_t *got) MUST_CHECK;
/* The whole body into *out. RC_TOO_LONG: no room. Yields. */
enum rc http_read_all(struct http_client *c, struct strbuf *out) MUST_CHECK;
/* No more requests. Yields. */
void http_client_close(struct http_client *c);

#endif
