/* net/smtp_data.c: where a message ends, and what its bytes are, however the input is cut. Every known smuggling variant of
 * the end of data is a line of the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/strbuf.h"
#include "net/smtp_data.h"

struct result {
    enum smtp_data_event event;
    char text[512];
    struct strbuf out;
    size_t taken;
};

static void run(struct smtp_data *d, struct span in, size_t chunk, struct result *r)
{
    r->out = STRBUF(r->text);
    r->taken = 0;
    r->event = SMTP_DATA_MORE;
    while (r->taken < in.len && r->event == SMTP_DATA_MORE) {
        struct span piece = span_sub(in, r->taken, chunk), left = piece, out;
        while ((r->event = smtp_data_next(d, &left, &out)) == SMTP_DATA_BYTES)
            strbuf_add(&r->out, out);
        r->taken += piece.len - left.len;
    }
    assert_false(r->out.overflow);
    if (r->event == SMTP_DATA_END) { /* whatever is asked then: nothing more belongs to the message */
        struct span next = SPAN("RSET\r\n"), out;
        assert_int_equal(smtp_data_next(d, &next, &out), SMTP_DATA_END);
        assert_int_equal(next.len, 6);
        assert_int_equal(out.len, 0);
    }
}

struct data_case {
    struct span in;
    enum smtp_data_event rejected; /* under SMTP_BARE_REJECT */
    enum smtp_data_event event;    /* under SMTP_BARE_NORMALISE */
    struct span out;               /* normalised */
    size_t rest;                   /* bytes left behind an end */
};

#define MORE SMTP_DATA_MORE
#define END SMTP_DATA_END
#define CR SMTP_DATA_BARE_CR
#define LF SMTP_DATA_BARE_LF

static const struct data_case data_cases[] = {
    { SPAN(".\r\n"), END, END, SPAN(""), 0 },
    { SPAN("a\r\n.\r\nRSET\r\n"), END, END, SPAN("a\r\n"), 6 },
    { SPAN("\r\n.\r\n"), END, END, SPAN("\r\n"), 0 },
    { SPAN("..\r\n.a\r\n...\r\n.\r\n"), END, END, SPAN(".\r\na\r\n..\r\n"), 0 },
    { SPAN("a.\r\n.b.\r\n.\r\n"), END, END, SPAN("a.\r\nb.\r\n"), 0 },
    { SPAN("a\r\n\xff\x80\r\n.\r\n"), END, END, SPAN("a\r\n\xff\x80\r\n"), 0 },
    { SPAN("a\r\n."), MORE, MORE, SPAN("a\r\n"), 0 },
    { SPAN("a\r\n.\r"), MORE, MORE, SPAN("a\r\n"), 0 },
    /* Ends for somebody else, never for us. */
    { SPAN("a\n.\nMAIL\r\n"), LF, MORE, SPAN("a\r\n.\r\nMAIL\r\n"), 0 },
    { SPAN("a\r\n.\nMAIL\r\n"), LF, MORE, SPAN("a\r\n.\r\nMAIL\r\n"), 0 },
    { SPAN("a\n.\r\nMAIL\r\n"), LF, MORE, SPAN("a\r\n.\r\nMAIL\r\n"), 0 },
    { SPAN("a\r.\r\nMAIL\r\n"), CR, MORE, SPAN("a\r\n.\r\nMAIL\r\n"), 0 },
    { SPAN("a\r.\rMAIL\r\n"), CR, MORE, SPAN("a\r\n.\r\nMAIL\r\n"), 0 },
    { SPAN("a\r\n.\rMAIL\r\n"), CR, MORE, SPAN("a\r\n.\r\nMAIL\r\n"), 0 },
    { SPAN("a\r\n.\r\rMAIL\r\n"), CR, MORE, SPAN("a\r\n.\r\n\r\nMAIL\r\n"), 0 },
    { SPAN("a\r\n.\r\r\nMAIL\r\n"), CR, MORE, SPAN("a\r\n.\r\n\r\nMAIL\r\n"), 0 },
    { SPAN("a\r\r\n.\r\n"), CR, END, SPAN("a\r\n\r\n"), 0 },
    { SPAN("a\n\r.\n\rMAIL\r\n"), LF, MORE, SPAN("a\r\n\r\n.\r\n\r\nMAIL\r\n"), 0 },
    { SPAN("a\n\n.\n\nMAIL\r\n"), LF, MORE, SPAN("a\r\n\r\n.\r\n\r\nMAIL\r\n"), 0 },
    { SPAN("a\r\r.\r\rMAIL\r\n"), CR, MORE, SPAN("a\r\n\r\n.\r\n\r\nMAIL\r\n"), 0 },
    { SPAN("a\n.\r\n.\r\n"), LF, END, SPAN("a\r\n.\r\n"), 0 },
    { SPAN("a\n..\n\r\n.\r\n"), LF, END, SPAN("a\r\n..\r\n\r\n"), 0 },
    { SPAN("a\r\n..\nb\r\n.\r\n"), LF, END, SPAN("a\r\n.\r\nb\r\n"), 0 },
    { SPAN("\n.\r\n"), LF, MORE, SPAN("\r\n.\r\n"), 0 },
    { SPAN(".\nb\r\n"), LF, MORE, SPAN(".\r\nb\r\n"), 0 },
    { SPAN(".\rb\r\n"), CR, MORE, SPAN(".\r\nb\r\n"), 0 },
    /* NUL is refused under both rules. */
    { SPAN("a\r\n\0.\r\nMAIL\r\n"), SMTP_DATA_NUL, SMTP_DATA_NUL, SPAN("a\r\n"), 10 },
    { SPAN("a\r\n.\0\r\n"), SMTP_DATA_NUL, SMTP_DATA_NUL, SPAN("a\r\n"), 3 },
    { SPAN("\0"), SMTP_DATA_NUL, SMTP_DATA_NUL, SPAN(""), 1 },
};

static void data_ends_only_at_crlf_dot_crlf(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof data_cases / sizeof data_cases[0]; i++) {
        const struct data_case *c = &data_cases[i];
        for (size_t chunk = 1; chunk <= c->in.len; chunk++) {
            struct smtp_data d;
            struct result r;
            smtp_data_init(&d, SMTP_BARE_REJECT, true);
            run(&d, c->in, chunk, &r);
            assert_int_equal(r.event, c->rejected);
            smtp_data_init(&d, SMTP_BARE_NORMALISE, true);
            run(&d, c->in, chunk, &r);
            assert_int_equal(r.event, c->event);
            assert_memory_equal(r.text, c->out.p, c->out.len);
            assert_int_equal(r.out.len, c->out.len);
            assert_int_equal(c->in.len - r.taken, c->rest);
        }
    }
}

static void a_refused_state_stays_refused(void **state)
{
    (void)state;
    struct smtp_data d;
    struct span in = SPAN("a\n.\r\n"), out;
    smtp_data_init(&d, SMTP_BARE_REJECT, true);
    assert_int_equal(smtp_data_next(&d, &in, &out), SMTP_DATA_BYTES);
    assert_int_equal(smtp_data_next(&d, &in, &out), SMTP_DATA_BARE_LF);
    assert_int_equal(smtp_data_next(&d, &in, &out), SMTP_DATA_BARE_LF);
}

static void bdat_knows_no_dots(void **state)
{
    (void)state;
    struct span in = SPAN("..a\r\n.\r\n.b\r\nno end of line");
    for (size_t chunk = 1; chunk <= in.len; chunk++) {
        struct smtp_data d;
        struct result r;
        struct span out;
        smtp_data_init(&d, SMTP_BARE_REJECT, false);
        run(&d, in, chunk, &r);
        assert_int_equal(r.event, SMTP_DATA_MORE);
        assert_memory_equal(r.text, in.p, in.len);
        assert_int_equal(r.out.len, in.len);
        assert_int_equal(smtp_data_finish(&d, &out), SMTP_DATA_END);
    }
}

static void bdat_ending_in_cr(void **state)
{
    (void)state;
    struct smtp_data d;
    struct result r;
    struct span out;
    smtp_data_init(&d, SMTP_BARE_REJECT, false);
    run(&d, SPAN("a\r"), 2, &r);
    assert_int_equal(r.event, SMTP_DATA_MORE);
    assert_int_equal(smtp_data_finish(&d, &out), SMTP_DATA_BARE_CR);
    smtp_data_init(&d, SMTP_BARE_NORMALISE, false);
    run(&d, SPAN("a\r"), 2, &r);
    assert_int_equal(smtp_data_finish(&d, &out), SMTP_DATA_BYTES);
    assert_true(span_eq(out, SPAN("\r\n")));
    assert_int_equal(smtp_data_finish(&d, &out), SMTP_DATA_END);
}

struct stuff_case {
    struct span in, out;
    enum smtp_data_event event;
};

static const struct stuff_case stuff_cases[] = {
    { SPAN(""), SPAN(".\r\n"), END },
    { SPAN("a\r\n"), SPAN("a\r\n.\r\n"), END },
    { SPAN("a"), SPAN("a\r\n.\r\n"), END },
    { SPAN(".\r\n"), SPAN("..\r\n.\r\n"), END },
    { SPAN("."), SPAN("..\r\n.\r\n"), END },
    { SPAN("a.\r\n..b\r\n\r\n.c"), SPAN("a.\r\n...b\r\n\r\n..c\r\n.\r\n"), END },
    { SPAN("a\n"), SPAN("a"), LF },
    { SPAN("a\r"), SPAN("a"), CR },
    { SPAN("a\rb\r\n"), SPAN("a"), CR },
    { SPAN("\r\r\n"), SPAN(""), CR },
    { SPAN("a\0b"), SPAN("a"), SMTP_DATA_NUL },
};

static void stuffing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stuff_cases / sizeof stuff_cases[0]; i++) {
        const struct stuff_case *c = &stuff_cases[i];
        for (size_t chunk = 1; chunk <= c->in.len + 1; chunk++) {
            char memory[128];
            struct strbuf text = STRBUF(memory);
            struct smtp_stuff u;
            struct span out;
            enum smtp_data_event e = SMTP_DATA_MORE;
            smtp_stuff_init(&u);
            for (size_t at = 0; at < c->in.len && e == SMTP_DATA_MORE; at += chunk) {
                struct span left = span_sub(c->in, at, chunk);
                while ((e = smtp_stuff_next(&u, &left, &out)) == SMTP_DATA_BYTES)
                    strbuf_add(&text, out);
            }
            if (e == SMTP_DATA_MORE) {
                e = smtp_stuff_finish(&u, &out);
                strbuf_add(&text, out);
            }
            assert_int_equal(e, c->event);
            assert_int_equal(text.len, c->out.len);
            assert_memory_equal(memory, c->out.p, c->out.len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_ends_only_at_crlf_dot_crlf),
        cmocka_unit_test(a_refused_state_stays_refused),
        cmocka_unit_test(bdat_knows_no_dots),
        cmocka_unit_test(bdat_ending_in_cr),
        cmocka_unit_test(stuffing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
