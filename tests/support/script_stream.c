#include "tests/support/script_stream.h"

#include <stdio.h>
#include <string.h>

static void fail(struct script_stream *p, const char *what, struct span shown)
{
    if (p->error[0] != '\0')
        return;
    struct strbuf b = STRBUF(p->error);
    strbuf_printf(&b, "script line %u: %s: ", p->line, what);
    strbuf_add_printable(&b, shown, 200);
}

static unsigned hex(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

/* Decodes one line of the script behind its mark into p->data. */
static void load_text(struct script_stream *p, const char *from, const char *end, bool crlf)
{
    struct strbuf b = STRBUF(p->data);
    p->rest = p->kind == SCRIPT_EXPECT && end > from && end[-1] == '*';
    for (end -= p->rest; from < end; from++) {
        char c = *from;
        if (c == '\\') {
            c = *++from;
            c = c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c == '0' ? '\0' : c;
            if (c == 'x') {
                c = (char)(hex(from[1]) * 16 + hex(from[2]));
                from += 2;
            }
        }
        strbuf_putc(&b, c);
    }
    if (crlf && !p->rest)
        strbuf_puts(&b, "\r\n");
    p->len = b.len;
    p->at = 0;
    if (b.overflow)
        fail(p, "line too long for the test", SPAN(""));
}

static void next_item(struct script_stream *p)
{
    static const struct {
        const char *word;
        enum script_kind kind;
    } words[] = {
        { "close", SCRIPT_CLOSE }, { "reset", SCRIPT_RESET },       { "timeout", SCRIPT_TIMEOUT },
        { "tls", SCRIPT_TLS },     { "tls-fail", SCRIPT_TLS_FAIL },
    };
    p->kind = SCRIPT_END;
    while (*p->text != '\0' && p->kind == SCRIPT_END) {
        const char *line = p->text, *end = strchr(line, '\n');
        end = end != NULL ? end : line + strlen(line);
        p->text = *end == '\n' ? end + 1 : end;
        p->line++;
        if (line[0] == '>' || line[0] == '<') {
            p->kind = line[0] == '>' ? SCRIPT_SEND : SCRIPT_EXPECT;
            bool crlf = line[1] != '_' && line[1] != '~';
            p->late = line[1] == '~';
            load_text(p, line + (line + 1 < end ? 2 : 1), end, crlf);
            continue;
        }
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            if (span_is(span_bytes(line, (size_t)(end - line)), words[i].word))
                p->kind = words[i].kind;
        if (p->kind == SCRIPT_END && line != end && line[0] != '#')
            fail(p, "not understood", span_bytes(line, (size_t)(end - line)));
    }
}

static enum rc script_read(void *ctx, void *buf, size_t cap, size_t *got, struct deadline d)
{
    struct script_stream *p = ctx;
    p->wait_ms = deadline_left_ms(d);
    *got = 0;
    if (p->chunk != 0 && cap > p->chunk)
        cap = p->chunk;
    while (p->kind == SCRIPT_SEND && *got < cap) {
        size_t n = p->len - p->at < cap - *got ? p->len - p->at : cap - *got;
        memcpy((char *)buf + *got, p->data + p->at, n);
        *got += n;
        p->at += n;
        if (p->at == p->len)
            next_item(p);
    }
    if (*got > 0)
        return RC_OK;
    switch (p->kind) {
    case SCRIPT_RESET:
        next_item(p);
        return RC_RESET;
    case SCRIPT_TIMEOUT:
        next_item(p);
        return RC_TIMEOUT;
    case SCRIPT_EXPECT:
        fail(p, "a read, while this was due", span_bytes(p->data + p->at, p->len - p->at));
        return RC_RESET;
    case SCRIPT_TLS:
    case SCRIPT_TLS_FAIL:
        fail(p, "a read, while a handshake was due", SPAN(""));
        return RC_RESET;
    case SCRIPT_CLOSE:
        next_item(p);
        return RC_CLOSED;
    default:
        return RC_CLOSED;
    }
}

/* One byte of output against the script. */
static void expect_byte(struct script_stream *p, char c, struct span all)
{
    while (p->kind == SCRIPT_SEND && p->late)
        next_item(p);
    if (p->kind != SCRIPT_EXPECT) {
        fail(p, "output that is not due", all);
        return;
    }
    if (p->at < p->len) {
        if (p->data[p->at] != c) {
            fail(p, "other output than written here", all);
            return;
        }
        p->at++;
        if (p->at == p->len && !p->rest)
            next_item(p);
    } else if (c == '\n') {
        next_item(p);
    }
}

static enum rc script_write(void *ctx, struct span data, struct deadline d)
{
    struct script_stream *p = ctx;
    (void)d;
    if (p->write_rc != RC_OK)
        return p->write_rc;
    for (size_t i = 0; i < data.len && p->error[0] == '\0'; i++)
        expect_byte(p, data.p[i], span_from(data, i));
    return p->error[0] == '\0' ? RC_OK : RC_RESET;
}

static bool script_readable(void *ctx)
{
    const struct script_stream *p = ctx;
    return p->kind == SCRIPT_SEND || p->kind == SCRIPT_CLOSE || p->kind == SCRIPT_RESET;
}

static void script_close(void *ctx, bool abort)
{
    struct script_stream *p = ctx;
    p->closed = true;
    p->aborted = p->aborted || abort;
}

static const struct stream_ops script_ops = { script_read, script_write, script_readable, script_close };

void script_stream_init(struct stream *s, struct script_stream *p, const char *script, size_t chunk)
{
    memset(p, 0, sizeof *p);
    p->text = script;
    p->chunk = chunk;
    stream_init(s, &script_ops, p);
    next_item(p);
}

bool script_stream_tls(struct script_stream *p, bool *failing)
{
    *failing = p->kind == SCRIPT_TLS_FAIL;
    if (p->kind != SCRIPT_TLS && p->kind != SCRIPT_TLS_FAIL) {
        fail(p, "a handshake that is not due", SPAN(""));
        return false;
    }
    next_item(p);
    return true;
}

const char *script_stream_verdict(struct script_stream *p)
{
    if (p->error[0] == '\0' && p->kind != SCRIPT_END)
        fail(p, "never reached", span_bytes(p->data, p->len));
    return p->error;
}
