/* net/tls_name.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/tls_name.h"

static void names(void **state)
{
    (void)state;
    static const struct {
        struct span host, dns_name;
        bool matches;
    } cases[] = {
        { SPAN("mx.example.org"), SPAN("mx.example.org"), true },
        { SPAN("MX.Example.ORG"), SPAN("mx.EXAMPLE.org"), true },
        { SPAN("mx.example.org."), SPAN("mx.example.org"), true },
        { SPAN("mx.example.org"), SPAN("mx.example.org."), false },
        { SPAN("mx.example.org.."), SPAN("mx.example.org"), false },
        { SPAN("mx.example.org"), SPAN("example.org"), false },
        { SPAN("example.org"), SPAN("mx.example.org"), false },
        { SPAN("xmx.example.org"), SPAN("mx.example.org"), false },
        { SPAN("mx.example.org"), SPAN("*.example.org"), true },
        { SPAN("mx.example.org."), SPAN("*.EXAMPLE.org"), true },
        { SPAN("example.org"), SPAN("*.example.org"), false },
        { SPAN(".example.org"), SPAN("*.example.org"), false },
        { SPAN("a.mx.example.org"), SPAN("*.example.org"), false },
        { SPAN("mx.example.org"), SPAN("m*.example.org"), false },
        { SPAN("mx.example.org"), SPAN("*x.example.org"), false },
        { SPAN("mx.example.org"), SPAN("mx.*.org"), false },
        { SPAN("mx.example.org"), SPAN("*.*.org"), false },
        { SPAN("mx.example.org"), SPAN("*"), false },
        { SPAN("mx.example.org"), SPAN("*."), false },
        { SPAN("example.org"), SPAN("*.org"), false },
        { SPAN("org"), SPAN("*"), false },
        { SPAN("xn--mx-fka.example.org"), SPAN("*.example.org"), true },
        { SPAN("xn--mller-kva.example"), SPAN("m\xc3\xbcller.example"), false },
        { SPAN("m\xc3\xbcller.example"), SPAN("m\xc3\xbcller.example"), false },
        { SPAN("mx.example.org"), SPAN("mx.example.org\0.evil.test"), false },
        { SPAN("mx.example.org\0.evil.test"), SPAN("*.evil.test"), false },
        { SPAN("mx.example.org"), SPAN("mx..example.org"), false },
        { SPAN("mx example.org"), SPAN("mx example.org"), false },
        { SPAN("_mx.example.org"), SPAN("_mx.example.org"), true },
        { SPAN(""), SPAN(""), false },
        { SPAN("."), SPAN(""), false },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (tls_name_matches(cases[i].host, cases[i].dns_name) != cases[i].matches)
            fail_msg("case %u: %s against %s", i, cases[i].host.p, cases[i].dns_name.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(names) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
