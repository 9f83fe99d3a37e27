/* Requests and redirects on top, one exchange on one connection below, the body's framing at the end. Whatever is not understood ends the
 * connection: nothing that follows on it could be trusted to be an answer. */
#include "net/http_client.h"

#include <string.h>

#define WRITE_MS 30000
#define CLOSE_MS 2000
#define INFORMATIONAL_MAX 8
#define TRAILERS_MAX 20
#define DRAIN_PIECE_BYTES 128

void http_client_init(struct http_client *c, struct stream *s, http_connect connect, void *ctx, const char *user_agent)
{
    memset(c, 0, sizeof *c);
    c->stream = s;
    c->connect = connect;
    c->connect_ctx = ctx;
    c->user_agent = user_agent;
    c->body_done = true;
}

static void disconnect(struct http_client *c, bool in_order)
{
    if (c->open && in_order)
        stream_close(c->stream, deadline_in_ms(CLOSE_MS));
    else if (c->open)
        stream_abort(c->stream);
    c->open = false;
    c->body_done = true;
}

void http_client_close(struct http_client *c)
{
    disconnect(c, c->body_done);
}

static enum rc say(struct http_client *c, const char *words, enum rc rc)
{
    struct strbuf why = STRBUF(c->why);
    strbuf_puts(&why, words);
    return rc;
}

static enum rc fail(struct http_client *c, enum rc rc)
{
    if (c->head.fault != HTTP_FAULT_NONE)
        say(c, http_fault_text(c->head.fault), rc);
    else if (rc == RC_TIMEOUT || rc == RC_TOO_SLOW)
        say(c, rc == RC_TIMEOUT ? PACKED("the server did not answer in time") : PACKED("the server sends too slowly"), rc);
    else if (rc == RC_CLOSED || rc == RC_RESET || rc == RC_TLS)
        say(c, PACKED("the connection broke before the answer was complete"), rc);
    else
        say(c, rc_name(rc), rc);
    disconnect(c, false);
    return rc;
}

static enum rc fail_with(struct http_client *c, enum http_fault f, enum rc rc)
{
    c->head.fault = f;
    return fail(c, rc);
}

/* --- lines --- */

static enum rc read_line(struct http_client *c, struct span *line, bool *cut, struct deadline d)
{
    struct strbuf b = STRBUF(c->line);
    enum rc rc = stream_read_line(c->stream, &b, NULL, d);
    *line = strbuf_span(&b);
    *cut = rc == RC_TOO_LONG;
    if (rc == RC_PROTOCOL)
        c->head.fault = HTTP_FAULT_LINE_END;
    if (rc == RC_CLOSED && (b.len > 0 || c->head.status != 0))
        c->head.fault = HTTP_FAULT_TRUNCATED;
    return *cut ? RC_OK : rc;
}

/* --- the request --- */

static bool request_is_sound(const struct http_request *r)
{
    struct url u;
    if (url_parse(r->url, &u) != RC_OK || u.target.len == 0 || u.target.p[0] != '/' || r->redirects > HTTP_REDIRECTS_MAX ||
        (r->body.len > 0 && r->method != HTTP_POST))
        return false;
    for (unsigned i = 0; i < r->fields; i++)
        if (!http_is_token(span_of(r->field[i].name)) || !http_is_value(r->field[i].value))
            return false;
    return true;
}

struct writer {
    struct stream *stream;
    struct deadline deadline;
    enum rc rc;
};

static void put(struct writer *w, struct span piece)
{
    if (w->rc == RC_OK)
        w->rc = stream_write(w->stream, piece, w->deadline);
}

static void put_field(struct writer *w, const char *name, struct span value)
{
    put(w, span_of(name));
    put(w, SPAN(": "));
    put(w, value);
    put(w, SPAN("\r\n"));
}

static enum rc send_request(struct http_client *c, const struct http_request *r)
{
    static const char *const verbs[] = { "GET ", "HEAD ", "POST " };
    struct writer w = { c->stream, deadline_in_ms(WRITE_MS), RC_OK };
    struct url u;
    enum rc rc = url_parse(span_of(c->url), &u);
    if (rc != RC_OK)
        return rc;
    put(&w, span_of(verbs[r->method]));
    put(&w, u.target);
    put(&w, SPAN(" HTTP/1.1\r\n"));
    put_field(&w, "Host", u.authority);
    put_field(&w, "User-Agent", span_of(c->user_agent));
    put_field(&w, "Accept-Encoding", SPAN("identity"));
    for (unsigned i = 0; i < r->fields; i++)
        put_field(&w, r->field[i].name, r->field[i].value);
    if (r->method == HTTP_POST) {
        char memory[24];
        struct strbuf length = STRBUF(memory);
        strbuf_printf(&length, "%llu", (unsigned long long)r->body.len);
        put_field(&w, "Content-Length", strbuf_span(&length));
    }
    put(&w, SPAN("\r\n"));
    put(&w, r->body);
    return w.rc == RC_OK ? stream_flush(c->stream, w.deadline) : w.rc;
}

/* --- the answer's head --- */

struct field_taker {
    const struct http_request *request;
    struct http_client *client;
    bool follows;         /* this answer's Location counts */
    unsigned locations;   /* fields of that name */
    struct strbuf target; /* where they lead */
};

static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void on_field(void *ctx, struct span name, struct span value)
{
    struct field_taker *t = ctx;
    struct http_client *c = t->client;
    if (c->head.status < 200)
        return;
    t->follows = is_redirect(c->head.status) && t->request->method != HTTP_POST && t->request->redirects > 0;
    if (t->follows && span_is_nocase(name, "Location")) {
        t->locations++;
        if (url_resolve(span_of(c->url), value, &t->target) != RC_OK)
            strbuf_clear(&t->target);
    }
    if (!t->follows && t->request->on_field != NULL)
        t->request->on_field(t->request->field_ctx, name, value);
}

static enum rc read_one_head(struct http_client *c, struct field_taker *t, struct deadline d)
{
    struct span line;
    bool cut;
    http_head_init(&c->head, t->request->method == HTTP_HEAD);
    while (!c->head.complete) {
        enum rc rc = read_line(c, &line, &cut, d);
        if (rc == RC_OK)
            rc = http_head_line(&c->head, line, cut, on_field, t);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc read_head(struct http_client *c, struct field_taker *t)
{
    struct deadline d = deadline_in_ms(HTTP_HEAD_MS);
    for (unsigned n = 0; n < INFORMATIONAL_MAX; n++) {
        enum rc rc = read_one_head(c, t, d);
        if (rc != RC_OK || c->head.status >= 200)
            return rc;
    }
    c->head.fault = HTTP_FAULT_UNASKED;
    return RC_PROTOCOL;
}

static void begin_body(struct http_client *c, const struct http_request *r)
{
    c->left = c->head.framing == HTTP_BODY_LENGTH ? c->head.length : 0;
    c->first_chunk_read = false;
    c->body_bytes = c->waited_ms = 0;
    c->body_max = r->body_max;
    c->body_done = c->head.framing == HTTP_BODY_NONE || (c->head.framing == HTTP_BODY_LENGTH && c->left == 0);
}

/* --- one exchange --- */

/* What is left of the answer before: read, if that is little. */
static void drain(struct http_client *c)
{
    uint8_t piece[DRAIN_PIECE_BYTES];
    size_t got = 1;
    if (c->open && !c->body_done && c->head.framing == HTTP_BODY_LENGTH && c->left > HTTP_DRAIN_BYTES)
        disconnect(c, false);
    c->body_max = c->body_bytes + HTTP_DRAIN_BYTES;
    while (c->open && !c->body_done && http_read(c, piece, sizeof piece, &got) == RC_OK && got > 0)
        ;
    if (c->open && !c->head.keep_alive)
        disconnect(c, true);
}

/* Makes c->url the target and has a connection to it. Bytes or an end that wait on an idle one are no answer of ours. */
static enum rc have_connection(struct http_client *c, struct span target)
{
    struct url u;
    drain(c);
    struct strbuf why = STRBUF(c->why);
    enum rc rc = url_parse(target, &u);
    if (rc != RC_OK)
        return rc;
    bool same = c->open && span_eq(span_bytes(c->url, c->origin_len), u.origin);
    if (c->open && (!same || stream_readable(c->stream)))
        disconnect(c, true);
    struct strbuf url = STRBUF(c->url);
    strbuf_add(&url, target);
    c->reused = c->open;
    if (c->open)
        return RC_OK;
    c->origin_len = u.origin.len;
    rc = url_parse(strbuf_span(&url), &u);
    if (rc == RC_OK)
        rc = c->connect(c->connect_ctx, &u, &why);
    c->open = rc == RC_OK;
    if (rc != RC_OK && why.len == 0)
        say(c, rc_name(rc), rc);
    return rc;
}

static enum rc exchange(struct http_client *c, const struct http_request *r, struct field_taker *t)
{
    enum rc rc = send_request(c, r);
    if (rc == RC_OK)
        rc = read_head(c, t);
    if (rc == RC_OK)
        begin_body(c, r);
    return rc;
}

/* A kept connection may have ended just as we wrote: whatever is not a POST goes out once more. */
static enum rc exchange_at(struct http_client *c, const struct http_request *r, struct span target, struct field_taker *t)
{
    enum rc rc = have_connection(c, target);
    http_head_init(&c->head, false);
    if (rc != RC_OK)
        return rc;
    rc = exchange(c, r, t);
    bool ended = rc == RC_CLOSED || rc == RC_RESET || rc == RC_TLS;
    if (ended && c->reused && c->head.status == 0 && c->head.fault == HTTP_FAULT_NONE && r->method != HTTP_POST) {
        disconnect(c, false);
        rc = have_connection(c, target);
        if (rc != RC_OK)
            return rc;
        rc = exchange(c, r, t);
    }
    return rc == RC_OK ? RC_OK : fail(c, rc);
}

/* --- redirects --- */

static uint32_t hash_of(struct span s)
{
    uint32_t h = 2166136261u; /* FNV-1a: two addresses that collide end as a loop that is none, and no worse */
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.p[i]) * 16777619u;
    return h;
}

static enum rc may_follow(struct http_client *c, const struct http_request *r, const struct field_taker *t)
{
    uint32_t hash = hash_of(strbuf_span(&t->target));
    if (t->locations != 1 || t->target.len == 0)
        return fail_with(c, HTTP_FAULT_LOCATION, RC_PROTOCOL);
    if (span_starts(span_of(c->url), "https:") && !span_starts(strbuf_span(&t->target), "https:"))
        return fail_with(c, HTTP_FAULT_INSECURE, RC_REFUSED);
    for (unsigned i = 0; i <= c->redirected; i++)
        if (c->seen[i] == hash)
            return fail_with(c, HTTP_FAULT_REDIRECT_LOOP, RC_PROTOCOL);
    if (c->redirected == r->redirects)
        return fail_with(c, HTTP_FAULT_REDIRECTS_MANY, RC_PROTOCOL);
    c->seen[++c->redirected] = hash;
    return RC_OK;
}

enum rc http_request(struct http_client *c, const struct http_request *r)
{
    struct field_taker t = { .request = r, .client = c, .target = STRBUF(c->next) };
    if (!request_is_sound(r))
        return say(c, PACKED("the request is not sound"), RC_INVALID);
    strbuf_add(&t.target, r->url);
    c->redirected = 0;
    c->seen[0] = hash_of(r->url);
    for (;;) {
        t.follows = false;
        t.locations = 0;
        enum rc rc = exchange_at(c, r, strbuf_span(&t.target), &t);
        if (rc == RC_OK && t.follows)
            rc = may_follow(c, r, &t);
        if (rc != RC_OK || !t.follows)
            return rc;
    }
}

/* --- the body --- */

/* The end of a chunk, the next one's size, or the trailers behind the last. */
static enum rc next_chunk(struct http_client *c, struct deadline d)
{
    struct span line;
    bool cut;
    enum rc rc = c->first_chunk_read ? read_line(c, &line, &cut, d) : RC_OK;
    if (rc == RC_OK && c->first_chunk_read && line.len > 0)
        return fail_with(c, HTTP_FAULT_CHUNK, RC_PROTOCOL);
    if (rc == RC_OK)
        rc = read_line(c, &line, &cut, d);
    if (rc != RC_OK)
        return fail(c, rc);
    if (cut || http_chunk_size(line, &c->left) != RC_OK)
        return fail_with(c, HTTP_FAULT_CHUNK, RC_PROTOCOL);
    c->first_chunk_read = true;
    if (c->left > 0)
        return RC_OK;
    for (unsigned n = 0; n < TRAILERS_MAX; n++) {
        rc = read_line(c, &line, &cut, d);
        if (rc != RC_OK)
            return fail(c, rc);
        c->body_done = line.len == 0;
        if (c->body_done)
            return RC_OK;
    }
    return fail_with(c, HTTP_FAULT_HEAD_TOO_LARGE, RC_TOO_LONG);
}

static enum rc read_piece(struct http_client *c, void *buf, size_t cap, size_t *got, struct deadline d)
{
    bool to_close = c->head.framing == HTTP_BODY_TO_CLOSE;
    if (c->body_bytes == c->body_max && !to_close)
        return fail_with(c, HTTP_FAULT_BODY_TOO_LARGE, RC_TOO_LONG);
    if (!to_close && cap > c->left)
        cap = (size_t)c->left;
    if (cap > c->body_max - c->body_bytes)
        cap = c->body_bytes == c->body_max ? 1 : (size_t)(c->body_max - c->body_bytes);
    enum rc rc = stream_read(c->stream, buf, cap, got, d);
    if (rc == RC_CLOSED && to_close) {
        *got = 0;
        disconnect(c, true);
        return RC_OK;
    }
    if (rc == RC_OK && c->body_bytes == c->body_max)
        return fail_with(c, HTTP_FAULT_BODY_TOO_LARGE, RC_TOO_LONG);
    if (rc == RC_CLOSED)
        c->head.fault = HTTP_FAULT_TRUNCATED;
    if (rc != RC_OK)
        return fail(c, rc);
    c->body_bytes += *got;
    c->left -= to_close ? 0 : *got;
    c->body_done = c->head.framing == HTTP_BODY_LENGTH && c->left == 0;
    return RC_OK;
}

enum rc http_read(struct http_client *c, void *buf, size_t cap, size_t *got)
{
    uint64_t began = clock_ms();
    struct deadline d = deadline_in_ms(HTTP_READ_MS);
    *got = 0;
    if (!c->body_done && c->head.framing == HTTP_BODY_CHUNKED && c->left == 0) {
        enum rc rc = next_chunk(c, d);
        if (rc != RC_OK)
            return rc;
    }
    if (c->body_done)
        return RC_OK;
    enum rc rc = read_piece(c, buf, cap, got, d);
    c->waited_ms += clock_ms() - began;
    if (rc == RC_OK && c->waited_ms > HTTP_PATIENCE_MS && c->body_bytes * 1000 < c->waited_ms * HTTP_LEAST_BYTES_PER_S)
        return fail(c, RC_TOO_SLOW);
    if (rc != RC_OK)
        *got = 0;
    return rc;
}

enum rc http_read_all(struct http_client *c, struct strbuf *out)
{
    uint8_t extra;
    size_t got;
    for (;;) {
        size_t room = out->cap - 1 - out->len;
        enum rc rc = http_read(c, room > 0 ? (void *)(out->p + out->len) : (void *)&extra, room > 0 ? room : 1, &got);
        if (rc != RC_OK || got == 0)
            return rc;
        if (room == 0)
            return fail_with(c, HTTP_FAULT_BODY_TOO_LARGE, RC_TOO_LONG);
        out->len += got;
        out->p[out->len] = '\0';
    }
}
