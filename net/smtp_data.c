/* Two small machines over message bytes, see the header. Both let runs of plain bytes through as views of the input; what
 * may be half of something (a CR, a dot that begins a line) is held back as state until its successor is known. */
#include "net/smtp_data.h"

static const struct span crlf = { "\r\n", 2 };
static const struct span dot_crlf = { ".\r\n", 3 };
static const struct span dot = { ".", 1 };

static struct span take(struct span *in, size_t n)
{
    struct span taken = span_sub(*in, 0, n);
    *in = span_from(*in, n);
    return taken;
}

void smtp_data_init(struct smtp_data *d, enum smtp_line_ends line_ends, bool dots)
{
    *d = (struct smtp_data){ .line_ends = line_ends, .dots = dots, .state = SMTP_AT_LINE_START };
}

/* A bare line end, which consumes n bytes: as text of its own line it becomes as_data. */
static enum smtp_data_event bare(struct smtp_data *d, enum smtp_data_event refused, struct span *in, size_t n, struct span as_data,
                                 struct span *out)
{
    if (d->line_ends == SMTP_BARE_REJECT)
        return refused;
    (void)take(in, n);
    *out = as_data;
    d->state = SMTP_AT_TEXT; /* not a line start: what follows is never an end and never unstuffed */
    return SMTP_DATA_BYTES;
}

/* The length of the run that is message bytes as it stands, and the state after it. */
static size_t run_length(struct smtp_data *d, struct span in)
{
    size_t i = 0;
    while (i < in.len) {
        char c = in.p[i];
        if (c == '\0' || c == '\n' || (c == '.' && d->dots && d->state == SMTP_AT_LINE_START))
            break;
        if (c == '\r') {
            if (i + 1 >= in.len || in.p[i + 1] != '\n')
                break;
            i += 2;
            d->state = SMTP_AT_LINE_START;
            continue;
        }
        d->state = SMTP_AT_TEXT;
        i++;
    }
    return i;
}

static enum smtp_data_event after_cr(struct smtp_data *d, struct span *in, struct span *out)
{
    if (in->p[0] != '\n')
        return bare(d, SMTP_DATA_BARE_CR, in, 0, crlf, out);
    (void)take(in, 1);
    *out = crlf;
    d->state = SMTP_AT_LINE_START;
    return SMTP_DATA_BYTES;
}

static enum smtp_data_event after_dot_cr(struct smtp_data *d, struct span *in, struct span *out)
{
    if (in->p[0] != '\n')
        return bare(d, SMTP_DATA_BARE_CR, in, 0, dot_crlf, out);
    (void)take(in, 1);
    d->state = SMTP_AT_END;
    return SMTP_DATA_END;
}

/* One byte that no run could take, or that meets a state with something held back. SMTP_DATA_MORE: go on. */
static enum smtp_data_event step(struct smtp_data *d, struct span *in, struct span *out)
{
    char c = in->p[0];
    switch (d->state) {
    case SMTP_AT_END:
        return SMTP_DATA_END;
    case SMTP_AT_CR:
        return after_cr(d, in, out);
    case SMTP_AT_DOT_CR:
        return after_dot_cr(d, in, out);
    case SMTP_AT_DOT:
        if (c == '\n')
            return bare(d, SMTP_DATA_BARE_LF, in, 1, dot_crlf, out);
        if (c == '\r') {
            (void)take(in, 1);
            d->state = SMTP_AT_DOT_CR;
            return SMTP_DATA_MORE;
        }
        d->state = SMTP_AT_TEXT; /* the dot was stuffing */
        return SMTP_DATA_MORE;
    default:
        break;
    }
    if (c == '\0')
        return SMTP_DATA_NUL;
    if (c == '\n')
        return bare(d, SMTP_DATA_BARE_LF, in, 1, crlf, out);
    d->state = c == '\r' ? SMTP_AT_CR : SMTP_AT_DOT;
    (void)take(in, 1);
    return SMTP_DATA_MORE;
}

enum smtp_data_event smtp_data_next(struct smtp_data *d, struct span *in, struct span *out)
{
    *out = (struct span){ "", 0 };
    while (in->len > 0) {
        if (d->state == SMTP_AT_LINE_START || d->state == SMTP_AT_TEXT) {
            size_t n = run_length(d, *in);
            if (n > 0) {
                *out = take(in, n);
                return SMTP_DATA_BYTES;
            }
        }
        enum smtp_data_event e = step(d, in, out);
        if (e != SMTP_DATA_MORE)
            return e;
    }
    return d->state == SMTP_AT_END ? SMTP_DATA_END : SMTP_DATA_MORE;
}

enum smtp_data_event smtp_data_finish(struct smtp_data *d, struct span *out)
{
    *out = (struct span){ "", 0 };
    if (d->state != SMTP_AT_CR) {
        d->state = SMTP_AT_END;
        return SMTP_DATA_END;
    }
    struct span none = *out;
    return bare(d, SMTP_DATA_BARE_CR, &none, 0, crlf, out);
}

void smtp_stuff_init(struct smtp_stuff *u)
{
    u->state = SMTP_AT_LINE_START;
}

/* Up to and without the next dot that begins a line, a bare line end, or a CR whose successor is not here yet. */
static size_t plain_length(struct smtp_stuff *u, struct span in)
{
    size_t i = 0;
    while (i < in.len) {
        char c = in.p[i];
        if (c == '\0' || c == '\n' || (c == '.' && u->state == SMTP_AT_LINE_START))
            break;
        if (c == '\r') {
            if (i + 1 >= in.len || in.p[i + 1] != '\n')
                break;
            i += 2;
            u->state = SMTP_AT_LINE_START;
            continue;
        }
        u->state = SMTP_AT_TEXT;
        i++;
    }
    return i;
}

enum smtp_data_event smtp_stuff_next(struct smtp_stuff *u, struct span *in, struct span *out)
{
    *out = (struct span){ "", 0 };
    if (in->len == 0)
        return SMTP_DATA_MORE;
    if (u->state == SMTP_AT_CR) {
        if (in->p[0] != '\n')
            return SMTP_DATA_BARE_CR;
        (void)take(in, 1);
        *out = crlf;
        u->state = SMTP_AT_LINE_START;
        return SMTP_DATA_BYTES;
    }
    size_t n = plain_length(u, *in);
    if (n > 0) {
        *out = take(in, n);
        return SMTP_DATA_BYTES;
    }
    if (in->p[0] == '.') {
        *out = dot; /* the one in the input follows as text */
        u->state = SMTP_AT_TEXT;
        return SMTP_DATA_BYTES;
    }
    if (in->p[0] != '\r')
        return in->p[0] == '\0' ? SMTP_DATA_NUL : SMTP_DATA_BARE_LF;
    if (in->len > 1)
        return SMTP_DATA_BARE_CR;
    (void)take(in, 1);
    u->state = SMTP_AT_CR;
    return SMTP_DATA_MORE;
}

enum smtp_data_event smtp_stuff_finish(struct smtp_stuff *u, struct span *out)
{
    static const char end[] = "\r\n.\r\n";
    *out = (struct span){ "", 0 };
    if (u->state == SMTP_AT_CR)
        return SMTP_DATA_BARE_CR;
    *out = span_of(u->state == SMTP_AT_LINE_START ? end + 2 : end);
    return SMTP_DATA_END;
}
