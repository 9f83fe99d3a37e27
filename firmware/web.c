#include "firmware/web.h"

#include "firmware/challenges.h"
#include "firmware/counters.h"
#include "firmware/identity.h"
#include "firmware/settings.h"
#include "hal/base/log.h"
#include "net/http_request_head.h"
#include "net/tls_hello.h"

#define HEAD_MS 10000 /* for a request's head, and for a hello */
#define HANDSHAKE_MS 15000
#define ANSWER_MS 10000
#define HEAD_BYTES_MAX 8192        /* or what the receive ring holds */
#define SECURE_HEAD_BYTES_MAX 1536 /* on the stack, of which a handshake needed as much */
#define CHALLENGE_PATH "/.well-known/acme-challenge/"
#define TLS_RECORD_HANDSHAKE 22

struct answer {
    unsigned status;
    const char *phrase;       /* of the status; also the text if there is no body */
    const char *type;         /* of the body */
    struct span body;         /* empty: the phrase */
    struct span host, target; /* of a redirect */
};

static void say(struct stream *s, const struct answer *a, const struct http_request_head *h)
{
    char memory[240];
    struct strbuf head = STRBUF(memory);
    struct deadline d = deadline_in_ms(ANSWER_MS);
    struct span body = a->body.len ? a->body : span_of(a->phrase);
    bool v6 = span_find(a->host, 0, ':') != SIZE_MAX;
    strbuf_printf(
        &head,
        "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %u\r\nConnection: close\r\nX-Content-Type-Options: nosniff\r\n%s",
        a->status, a->phrase, a->type ? a->type : "text/plain", (unsigned)body.len, a->host.len ? "Location: https://" : "\r\n");
    enum rc rc = stream_write(s, strbuf_span(&head), d);
    if (rc == RC_OK && a->host.len) {
        const struct span parts[] = { span_of(v6 ? "[" : ""), a->host, span_of(v6 ? "]" : ""), a->target, SPAN("\r\n\r\n") };
        for (unsigned i = 0; rc == RC_OK && i < sizeof parts / sizeof parts[0]; i++)
            rc = stream_write(s, parts[i], d);
    }
    if (rc == RC_OK && !span_is(h->method, "HEAD"))
        rc = stream_write(s, body, d);
    if (rc == RC_OK)
        count(COUNT_web_answers);
    stream_close(s, d);
}

/* What is answered to a head that did not come, or that is none. Nothing to who said nothing. */
static void say_refusal(struct stream *s, enum rc rc, const struct http_request_head *h)
{
    struct answer a = { .status = h->status, .phrase = h->why };
    if (rc == RC_TIMEOUT)
        a = (struct answer){ .status = 408, .phrase = "too slow" };
    else if (rc == RC_FULL)
        a = (struct answer){ .status = 431, .phrase = "the head is too long" };
    else if (rc != RC_PROTOCOL) {
        stream_abort(s);
        return;
    }
    say(s, &a, h);
}

/* --- port 80 --- */

static enum rc peek_head(struct tcp_conn *c, struct http_request_head *h)
{
    struct deadline d = deadline_in_ms(HEAD_MS);
    struct span bytes = span_of("");
    memset(h, 0, sizeof *h);
    for (;;) {
        enum rc rc = tcp_peek(c, bytes.len, &bytes, d);
        if (rc == RC_OK)
            rc = http_request_head_look(bytes, h);
        if (rc != RC_NOT_FOUND)
            return rc;
        if (bytes.len >= HEAD_BYTES_MAX)
            return RC_FULL;
    }
}

/* Where this name's connections go to, or NULL. */
static const char *forward_of(struct span name)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf canonical = STRBUF(memory);
    if (domain_canonical(name, &canonical) != RC_OK)
        return NULL;
    return settings_get_member("web.forward.", strbuf_span(&canonical));
}

static void serve_plain(struct web_session *w)
{
    struct http_request_head h;
    enum rc rc = peek_head(w->conn, &h);
    if (rc != RC_OK) {
        say_refusal(w->stream, rc, &h);
        return;
    }
    *w->active_ms = clock_ms();
    bool reads = span_is(h.method, "GET") || span_is(h.method, "HEAD");
    bool challenge = reads && span_starts(h.target, CHALLENGE_PATH);
    struct span shown = challenge ? challenges_http(h.host, span_from(h.target, sizeof CHALLENGE_PATH - 1)) : span_of("");
    const char *where = shown.len ? NULL : forward_of(h.host);
    struct answer a = { .status = reads ? 301 : 308, .phrase = "over TLS only", .host = h.host, .target = h.target };
    if (shown.len) {
        a = (struct answer){ .status = 200, .phrase = "OK", .type = "application/octet-stream", .body = shown };
        log_event(LOG_CERT, "challenge-shown", "type=http-01 name=%.*s", (int)h.host.len, h.host.p);
    } else if (where) {
        if (web_forward(w, where, 80) != RC_UNREACHABLE)
            return;
        a = (struct answer){ .status = 502, .phrase = "the server behind does not answer" };
    } else if (challenge)
        a = (struct answer){ .status = 404, .phrase = "no such challenge" };
    say(w->stream, &a, &h);
}

/* --- port 443 --- */

/* RC_OK: it is to be served, with what was seen of its hello. */
static enum rc peek_hello(struct tcp_conn *c, struct tls_hello *hello)
{
    struct deadline d = deadline_in_ms(HEAD_MS);
    struct span bytes = span_of("");
    memset(hello, 0, sizeof *hello);
    for (;;) {
        enum rc rc = tcp_peek(c, bytes.len, &bytes, d);
        if (rc == RC_FULL)
            return RC_OK; /* longer than the ring: what it holds is what decides */
        if (rc == RC_OK)
            rc = tls_hello_look(bytes, hello);
        if (rc == RC_PROTOCOL && bytes.p[0] == TLS_RECORD_HANDSHAKE)
            return RC_OK; /* TLS itself has the right words for it */
        if (rc != RC_NOT_FOUND)
            return rc;
    }
}

static struct tls_credentials *select_challenge(void *ctx, const char *sni)
{
    (void)ctx;
    return challenges_tls_alpn(span_of(sni));
}

/* RFC 8737 section 3: the handshake is the answer, and the connection ends with it. */
static void show_challenge(struct web_session *w, const char *name)
{
    w->tls->select = select_challenge;
    w->tls->alpn[0] = "acme-tls/1";
    enum rc rc = stream_starttls(w->stream, w->tls, deadline_in_ms(HANDSHAKE_MS));
    log_event(LOG_CERT, "challenge-shown", "type=tls-alpn-01 name=%s rc=%s", name, rc_name(rc));
    stream_close(w->stream, deadline_in_ms(ANSWER_MS));
}

static enum rc read_head(struct stream *s, char *memory, struct http_request_head *h)
{
    struct deadline d = deadline_in_ms(HEAD_MS);
    size_t len = 0, got;
    memset(h, 0, sizeof *h);
    while (len < SECURE_HEAD_BYTES_MAX) {
        enum rc rc = stream_read(s, memory + len, SECURE_HEAD_BYTES_MAX - len, &got, d);
        len += got;
        if (rc == RC_OK)
            rc = http_request_head_look(span_bytes(memory, len), h);
        if (rc != RC_NOT_FOUND)
            return rc;
    }
    return RC_FULL;
}

/* Not inlined: its memory must not lie below a handshake's. */
static __attribute__((noinline)) void answer_secure(struct stream *s)
{
    char memory[SECURE_HEAD_BYTES_MAX];
    struct http_request_head h;
    const struct answer a = { .status = 404, .phrase = "nothing here" };
    enum rc rc = read_head(s, memory, &h);
    if (rc == RC_OK)
        say(s, &a, &h);
    else
        say_refusal(s, rc, &h);
}

static void serve_secure(struct web_session *w)
{
    w->tls->alpn[0] = "http/1.1";
    if (!identity_ready() || stream_starttls(w->stream, w->tls, deadline_in_ms(HANDSHAKE_MS)) != RC_OK) {
        stream_close(w->stream, deadline_in_ms(ANSWER_MS));
        return;
    }
    *w->active_ms = clock_ms();
    answer_secure(w->stream);
}

static void serve_hello(struct web_session *w)
{
    struct tls_hello hello;
    enum rc rc = peek_hello(w->conn, &hello);
    if (rc == RC_PROTOCOL) {
        const struct http_request_head none = { .status = 400, .why = "this port speaks TLS" };
        say_refusal(w->stream, rc, &none);
        return;
    }
    if (rc != RC_OK) {
        stream_abort(w->stream);
        return;
    }
    *w->active_ms = clock_ms();
    struct tls_credentials *challenge = hello.acme_tls ? challenges_tls_alpn(span_of(hello.sni)) : NULL;
    tls_credentials_release(challenge); /* the table holds it on */
    const char *where = challenge ? NULL : forward_of(span_of(hello.sni));
    if (challenge)
        show_challenge(w, hello.sni);
    else if (!where)
        serve_secure(w);
    else if (web_forward(w, where, 0) == RC_UNREACHABLE)
        stream_abort(w->stream);
}

void web_serve(struct web_session *w)
{
    if (w->https)
        serve_hello(w);
    else
        serve_plain(w);
}
