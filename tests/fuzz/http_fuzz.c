/* What a server sends: a whole request with redirects and body, twice on one connection. First byte: bits 0 to 5 how many bytes a read
 * gives, bit 6 HEAD, bit 7 the bytes are a URL and a Location instead, split at the first blank. */
#include <string.h>

#include "net/http_client.h"
#include "net/memory_stream.h"
#include "tests/fuzz/demand.h"

static struct stream stream;
static struct memory_stream memory;
static struct span input;
static size_t chunk;

static enum rc reopen(void *ctx, const struct url *to, struct strbuf *why)
{
    (void)ctx;
    (void)why;
    demand(to->host.len > 0 && to->port > 0);
    memory_stream_init(&stream, &memory, input, NULL);
    memory.chunk = chunk;
    input = span_from(input, input.len / 2);
    return RC_OK;
}

static void on_field(void *ctx, struct span name, struct span value)
{
    (void)ctx;
    demand(http_is_token(name) && http_is_value(value));
}

static void check_end(const struct http_client *c, enum rc rc)
{
    demand(c->head.fault < HTTP_FAULT_COUNT);
    demand(rc == RC_OK || c->why[0] != '\0');
    demand(memchr(c->why, '\0', sizeof c->why) != NULL);
    for (const char *p = c->why; *p != '\0'; p++)
        demand(*p >= 0x20 && *p < 0x7f);
    struct url u;
    demand(c->url[0] == '\0' || url_parse(span_of(c->url), &u) == RC_OK);
}

static void ask(struct http_client *c, const struct http_request *r)
{
    uint8_t buf[97];
    size_t got = 1;
    uint64_t total = 0;
    enum rc rc = http_request(c, r);
    check_end(c, rc);
    if (rc != RC_OK)
        return;
    demand(c->head.complete && c->head.status >= 200);
    while (rc == RC_OK && got > 0) {
        rc = http_read(c, buf, sizeof buf, &got);
        demand(got <= sizeof buf && (rc == RC_OK || got == 0));
        total += got;
    }
    demand(total <= r->body_max && (r->method != HTTP_HEAD || total == 0));
    demand(rc != RC_OK || c->head.framing != HTTP_BODY_LENGTH || total == c->head.length);
    check_end(c, rc);
}

static void urls(struct span text)
{
    char first[URL_TEXT_MAX], second[URL_TEXT_MAX];
    struct strbuf canonical = STRBUF(first), again = STRBUF(second);
    size_t blank = span_find(text, 0, ' ');
    struct url u;
    if (url_canonical(span_sub(text, 0, blank), &canonical) != RC_OK)
        return;
    demand(url_canonical(strbuf_span(&canonical), &again) == RC_OK);
    demand(span_eq(strbuf_span(&canonical), strbuf_span(&again)));
    if (blank == SIZE_MAX || url_resolve(strbuf_span(&canonical), span_from(text, blank + 1), &again) != RC_OK)
        return;
    demand(url_parse(strbuf_span(&again), &u) == RC_OK && u.target.len > 0 && u.target.p[0] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_client c;
    struct http_request r = { .url = SPAN("https://a.example/x"), .redirects = 3, .body_max = 1000, .on_field = on_field };
    if (size == 0)
        return 0;
    input = span_bytes(data + 1, size - 1);
    if (data[0] & 0x80) {
        urls(input);
        return 0;
    }
    chunk = data[0] & 0x3f;
    r.method = data[0] & 0x40 ? HTTP_HEAD : HTTP_GET;
    http_client_init(&c, &stream, reopen, NULL, "test");
    ask(&c, &r);
    ask(&c, &r);
    http_client_close(&c);
    return 0;
}
