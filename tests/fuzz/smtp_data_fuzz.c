/* Message bytes in both directions. First byte: how the input is cut. */

#include "hal/base/strbuf.h"
#include "net/smtp_data.h"
#include "tests/fuzz/demand.h"

static char out_text[2][16384], wire_text[16384];

static enum smtp_data_event decode(struct span in, size_t chunk, enum smtp_line_ends line_ends, bool dots, struct strbuf *out,
                                   size_t *taken)
{
    struct smtp_data d;
    struct span piece;
    enum smtp_data_event e = SMTP_DATA_MORE;
    smtp_data_init(&d, line_ends, dots);
    *taken = 0;
    while (*taken < in.len && e == SMTP_DATA_MORE) {
        struct span part = span_sub(in, *taken, chunk), left = part;
        while ((e = smtp_data_next(&d, &left, &piece)) == SMTP_DATA_BYTES)
            strbuf_add(out, piece);
        *taken += part.len - left.len;
    }
    if (e == SMTP_DATA_MORE && !dots)
        while ((e = smtp_data_finish(&d, &piece)) == SMTP_DATA_BYTES)
            strbuf_add(out, piece);
    return e;
}

static bool has_bare(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')) || (s.p[i] == '\r' && (i + 1 == s.len || s.p[i + 1] != '\n')) ||
            s.p[i] == '\0')
            return true;
    return false;
}

static void check_decode(struct span in, size_t chunk, enum smtp_line_ends line_ends, bool dots)
{
    struct strbuf a = STRBUF(out_text[0]), b = STRBUF(out_text[1]);
    size_t taken, taken_again;
    enum smtp_data_event e = decode(in, SIZE_MAX, line_ends, dots, &a, &taken);
    demand(decode(in, chunk, line_ends, dots, &b, &taken_again) == e && taken == taken_again);
    demand(!a.overflow && span_eq(strbuf_span(&a), strbuf_span(&b)));
    if (e == SMTP_DATA_END)
        demand(!has_bare(strbuf_span(&a)));
    if (e == SMTP_DATA_END && dots)
        demand(taken >= 3 && memcmp(in.p + taken - 3, ".\r\n", 3) == 0 && (taken == 3 || memcmp(in.p + taken - 5, "\r\n", 2) == 0));
}

/* What we send comes out as it was, with the last line ended. */
static void check_round_trip(struct span in, size_t chunk)
{
    struct strbuf wire = STRBUF(wire_text), back = STRBUF(out_text[0]);
    struct smtp_stuff u;
    struct span piece;
    enum smtp_data_event e = SMTP_DATA_MORE;
    smtp_stuff_init(&u);
    for (size_t at = 0; at < in.len && e == SMTP_DATA_MORE; at += chunk) {
        struct span left = span_sub(in, at, chunk);
        while ((e = smtp_stuff_next(&u, &left, &piece)) == SMTP_DATA_BYTES)
            strbuf_add(&wire, piece);
    }
    if (e == SMTP_DATA_MORE && (e = smtp_stuff_finish(&u, &piece)) == SMTP_DATA_END)
        strbuf_add(&wire, piece);
    demand((e == SMTP_DATA_END) == !has_bare(in));
    if (e != SMTP_DATA_END)
        return;
    size_t taken;
    demand(decode(strbuf_span(&wire), chunk, SMTP_BARE_REJECT, true, &back, &taken) == SMTP_DATA_END && taken == wire.len);
    demand(span_eq(span_sub(strbuf_span(&back), 0, in.len), in));
    demand(back.len == in.len || (back.len == in.len + 2 && in.p[in.len - 1] != '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 5000)
        return 0;
    struct span in = span_bytes(data + 1, size - 1);
    size_t chunk = 1 + data[0];
    for (int dots = 0; dots < 2; dots++) {
        check_decode(in, chunk, SMTP_BARE_REJECT, dots);
        check_decode(in, chunk, SMTP_BARE_NORMALISE, dots);
    }
    check_round_trip(in, chunk);
    return 0;
}
