/* One reader walks over the records' contents; each nested length narrows its limit, so that nothing reads beyond what holds it. Only the
 * hello's outer form is judged here: who takes the connection reads it again. */
#include "net/tls_hello.h"

#include <string.h>

#define RECORD_HEADER_BYTES 5
#define RECORD_HANDSHAKE 22
#define RECORD_BYTES_MAX 16384 /* RFC 8446 section 5.1 */
#define CLIENT_HELLO 1
#define HEADER_BYTES 4 /* of a handshake message */
#define VERSION_AND_RANDOM_BYTES 34
#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ALPN 16
#define NAME_TYPE_HOST 0

struct reader {
    struct span bytes;
    size_t at;          /* in bytes */
    size_t record_left; /* of the record's contents */
    size_t taken;       /* of the message */
    size_t limit;       /* the innermost field ends when so much is taken */
    bool bad;
};

static bool wrong(struct reader *r)
{
    r->bad = true;
    return false;
}

static uint8_t byte_at(const struct reader *r, size_t offset)
{
    return (uint8_t)r->bytes.p[r->at + offset];
}

/* What is no TLS is told by its first bytes. */
static bool open_record(struct reader *r)
{
    size_t have = r->bytes.len - r->at;
    if ((have > 0 && byte_at(r, 0) != RECORD_HANDSHAKE) || (have > 1 && byte_at(r, 1) != 3))
        return wrong(r);
    if (have < RECORD_HEADER_BYTES)
        return false;
    r->record_left = (size_t)byte_at(r, 3) << 8 | byte_at(r, 4);
    r->at += RECORD_HEADER_BYTES;
    return (r->record_left > 0 && r->record_left <= RECORD_BYTES_MAX) || wrong(r);
}

/* The n next bytes as a number; false: not there yet, or bad. */
static bool number(struct reader *r, unsigned n, size_t *out)
{
    for (*out = 0; n > 0; n--) {
        if (r->bad || r->taken == r->limit)
            return wrong(r);
        if ((r->record_left == 0 && !open_record(r)) || r->at == r->bytes.len)
            return false;
        *out = *out << 8 | byte_at(r, 0);
        r->at++;
        r->taken++;
        r->record_left--;
    }
    return true;
}

static bool skip(struct reader *r, size_t n)
{
    size_t dropped;
    for (; n > 0; n--)
        if (!number(r, 1, &dropped))
            return false;
    return true;
}

/* A length of so many bytes; what it measures then is the limit. *outer is to be put back behind it. */
static bool enter(struct reader *r, unsigned length_bytes, size_t *outer)
{
    size_t len;
    if (!number(r, length_bytes, &len))
        return false;
    if (len > r->limit - r->taken)
        return wrong(r);
    *outer = r->limit;
    r->limit = r->taken + len;
    return true;
}

static bool leave(struct reader *r, size_t outer)
{
    if (!skip(r, r->limit - r->taken))
        return false;
    r->limit = outer;
    return true;
}

static bool pass(struct reader *r, unsigned length_bytes)
{
    size_t outer;
    return enter(r, length_bytes, &outer) && leave(r, outer);
}

static bool is_name_byte(size_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* The list's first entry is the only one that there may be. */
static bool take_server_name(struct reader *r, struct tls_hello *out)
{
    size_t list, name, type, c;
    char sni[DOMAIN_TEXT_MAX];
    struct strbuf text = STRBUF(sni);
    if (!enter(r, 2, &list) || !number(r, 1, &type) || !enter(r, 2, &name))
        return false;
    bool fit = type == NAME_TYPE_HOST;
    while (r->taken < r->limit) {
        if (!number(r, 1, &c))
            return false;
        c = c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c;
        fit = fit && is_name_byte(c);
        strbuf_putc(&text, (char)c);
    }
    if (text.len > 0 && sni[text.len - 1] == '.')
        strbuf_truncate(&text, text.len - 1);
    if (fit && !text.overflow)
        memcpy(out->sni, sni, text.len + 1);
    return leave(r, name) && leave(r, list);
}

static bool take_protocols(struct reader *r, struct tls_hello *out)
{
    size_t list, protocol, c;
    unsigned count = 0;
    bool acme = true;
    if (!enter(r, 2, &list))
        return false;
    for (; r->taken < r->limit; count++) {
        char name[sizeof "acme-tls/1"];
        struct strbuf text = STRBUF(name);
        if (!enter(r, 1, &protocol))
            return false;
        while (r->taken < r->limit) {
            if (!number(r, 1, &c))
                return false;
            strbuf_putc(&text, (char)c);
        }
        r->limit = protocol;
        acme = acme && !text.overflow && span_is(strbuf_span(&text), "acme-tls/1");
    }
    out->acme_tls = acme && count == 1;
    return leave(r, list);
}

static bool take_extensions(struct reader *r, struct tls_hello *out)
{
    size_t all, one, type;
    if (r->taken == r->limit)
        return true; /* of an old client */
    if (!enter(r, 2, &all))
        return false;
    while (r->taken < r->limit) {
        if (!number(r, 2, &type) || !enter(r, 2, &one))
            return false;
        if ((type == EXTENSION_SERVER_NAME && !take_server_name(r, out)) || (type == EXTENSION_ALPN && !take_protocols(r, out)) ||
            !leave(r, one))
            return false;
    }
    return leave(r, all);
}

enum rc tls_hello_look(struct span bytes, struct tls_hello *out)
{
    struct reader r = { .bytes = bytes, .limit = HEADER_BYTES };
    size_t type, len;
    memset(out, 0, sizeof *out);
    if (number(&r, 1, &type) && type != CLIENT_HELLO)
        wrong(&r);
    else if (number(&r, 3, &len)) {
        r.limit = HEADER_BYTES + len;
        /* version and random, session id, cipher suites, compression */
        if (skip(&r, VERSION_AND_RANDOM_BYTES) && pass(&r, 1) && pass(&r, 2) && pass(&r, 1) && take_extensions(&r, out))
            return RC_OK;
    }
    if (!r.bad)
        return RC_NOT_FOUND;
    memset(out, 0, sizeof *out);
    return RC_PROTOCOL;
}
