/* The trace field's text, and the loop counter that reads such fields back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/mail_scan.h"
#include "firmware/received.h"

static void a_tls_session_is_told_whole(void **state)
{
    (void)state;
    char memory[RECEIVED_MAX];
    struct strbuf out = STRBUF(memory);
    struct tls_facts tls = { .version = "TLSv1.3", .suite = "TLS_AES_128_GCM_SHA256", .key_bits = 128 };
    struct ip_endpoint client = { ip_v4(192, 0, 2, 9), 4711 };
    const struct received_facts f = { .helo = "mx.sender.example",
                                      .ptr = "out.sender.example",
                                      .client = &client,
                                      .by = "mail.office.example",
                                      .tls = &tls,
                                      .esmtp = true,
                                      .id = 0x2a,
                                      .only_recipient = "anna@office.example",
                                      .now = 1590000000 };
    received_format(&out, &f);
    assert_false(out.overflow);
    assert_string_equal(memory, "Received: from mx.sender.example (out.sender.example [192.0.2.9])\r\n"
                                "\t(using TLSv1.3 with cipher TLS_AES_128_GCM_SHA256 (128 bits))\r\n"
                                "\tby mail.office.example (Postern) with ESMTPS id 0000002A\r\n"
                                "\tfor <anna@office.example>;\r\n"
                                "\tWed, 20 May 2020 18:40:00 +0000\r\n");
}

static void foreign_text_cannot_break_out(void **state)
{
    (void)state;
    char memory[RECEIVED_MAX];
    struct strbuf out = STRBUF(memory);
    struct ip_endpoint client = { ip_v4(192, 0, 2, 9), 4711 };
    const struct received_facts f = {
        .helo = "evil)\r\nX-Injected: (yes", .ptr = "", .client = &client, .by = "mail.office.example"
    };
    received_format(&out, &f);
    assert_null(strstr(memory, "\r\nX-"));
    assert_null(strstr(memory, "evil)"));
}

static unsigned hops(const char *text, size_t chunk)
{
    struct mail_scan m;
    struct span all = span_of(text);
    mail_scan_init(&m);
    for (size_t at = 0; at < all.len; at += chunk)
        mail_scan_feed(&m, span_sub(all, at, chunk));
    return m.received;
}

static void received_fields_are_counted_in_the_header_alone(void **state)
{
    (void)state;
    static const char mail[] = "Received: from a\r\n\tby b\r\nrECEIVED: from c\r\nX-Received: no\r\nSubject: Received:\r\n"
                               " Received: folded, no field\r\n\r\nReceived: in the body\r\n";
    for (size_t chunk = 1; chunk < sizeof mail; chunk++)
        assert_int_equal(hops(mail, chunk), 2);
}

static void eight_bit_is_seen_anywhere(void **state)
{
    (void)state;
    struct mail_scan m;
    mail_scan_init(&m);
    mail_scan_feed(&m, SPAN("Subject: x\r\n\r\nplain"));
    assert_false(m.eight_bit);
    mail_scan_feed(&m, SPAN("gr\xc3\xbc\xc3\x9f\x65"));
    assert_true(m.eight_bit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tls_session_is_told_whole),
        cmocka_unit_test(foreign_text_cannot_break_out),
        cmocka_unit_test(received_fields_are_counted_in_the_header_alone),
        cmocka_unit_test(eight_bit_is_seen_anywhere),
    };
    return cmocka_run_group_tests_name("received", tests, NULL, NULL);
}
