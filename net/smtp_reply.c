/* Replies as they come in. A reply is untrusted text of any length: the code must be three digits and the same on every
 * line, the number of lines is bounded, text is made printable here and cut at its bound. */
#include "net/smtp_reply.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The code, or 0 when the line does not begin with one that is followed by its end, a blank or a hyphen. */
static unsigned line_code(struct span line)
{
    if (line.len < 3 || line.p[0] < '2' || line.p[0] > '5' || !is_digit(line.p[1]) || !is_digit(line.p[2]))
        return 0;
    if (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-')
        return 0;
    return (unsigned)(line.p[0] - '0') * 100 + (unsigned)(line.p[1] - '0') * 10 + (unsigned)(line.p[2] - '0');
}

/* "5.1.1 text": the enhanced code's parts, and the length to leave out; 0 when there is none. */
static size_t enhanced_length(struct span text, unsigned code, uint8_t out[3])
{
    unsigned part = 0, value = 0, digits = 0;
    for (size_t i = 0; i <= text.len; i++) {
        char c = i < text.len ? text.p[i] : ' ';
        if (is_digit(c) && digits < 3) {
            value = value * 10 + (unsigned)(c - '0');
            digits++;
            continue;
        }
        if (digits == 0 || value > UINT8_MAX || c != (part < 2 ? '.' : ' '))
            return 0;
        out[part++] = (uint8_t)value;
        value = digits = 0;
        if (part == 3)
            return out[0] == code / 100 ? (i < text.len ? i + 1 : i) : 0;
    }
    return 0;
}

static void take_text(struct smtp_reply *reply, struct strbuf *out, struct span text, unsigned code)
{
    uint8_t enhanced[3] = { 0 };
    size_t skip = enhanced_length(text, code, enhanced);
    if (skip > 0 && reply->lines == 1)
        memcpy(reply->enhanced, enhanced, sizeof enhanced);
    if (reply->lines > 1)
        strbuf_puts(out, " / ");
    strbuf_add_printable(out, span_from(text, skip), SIZE_MAX);
}

/* On an error the text tells what came, for the log; everything else is gone. */
static enum rc give_up(struct smtp_reply *reply, enum rc rc)
{
    reply->code = 0;
    memset(reply->enhanced, 0, sizeof reply->enhanced);
    reply->truncated = false;
    reply->lines = 0;
    return rc;
}

static enum rc malformed(struct smtp_reply *reply, struct span line, const char *what)
{
    struct strbuf out = STRBUF(reply->text);
    strbuf_puts(&out, what);
    strbuf_puts(&out, ": ");
    strbuf_add_printable(&out, line, 200);
    return give_up(reply, RC_PROTOCOL);
}

enum rc smtp_reply_read(struct stream *s, struct smtp_reply *reply, smtp_reply_line on_line, void *ctx, struct deadline d)
{
    char memory[SMTP_REPLY_LINE_MAX + 1];
    memset(reply, 0, sizeof *reply);
    struct strbuf text = STRBUF(reply->text);
    for (;;) {
        struct strbuf buf = STRBUF(memory);
        bool bare_lf = false;
        enum rc rc = stream_read_line(s, &buf, &bare_lf, d);
        if (rc != RC_OK && rc != RC_TOO_LONG)
            return give_up(reply, rc);
        struct span line = strbuf_span(&buf);
        unsigned code = line_code(line);
        if (bare_lf)
            return malformed(reply, line, PACKED("a reply line that ends in a bare LF"));
        if (code == 0)
            return malformed(reply, line, PACKED("not an SMTP reply"));
        if (reply->lines > 0 && code != reply->code)
            return malformed(reply, line, PACKED("codes differ between the lines of a reply"));
        if (++reply->lines > SMTP_REPLY_LINES_MAX)
            return malformed(reply, line, PACKED("a reply without end"));
        reply->code = (uint16_t)code;
        bool last = line.len <= 3 || line.p[3] == ' ';
        take_text(reply, &text, span_from(line, 4), code);
        reply->truncated = text.overflow; /* a line that was too long is longer than the text */
        if (on_line != NULL)
            on_line(ctx, span_from(line, 4), last);
        if (last)
            return RC_OK;
    }
}
