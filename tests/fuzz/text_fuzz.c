/* The base's text parsers on any bytes. What parses must also hold together: its own text parses to the same again. The
 * first byte chooses the parser. */
#include <stdlib.h>
#include <string.h>

#include "hal/base/base64.h"
#include "hal/base/datetime.h"
#include "hal/base/domain.h"
#include "hal/base/ipaddr.h"
#include "hal/base/utf8.h"
#include "tests/fuzz/demand.h"

static void fuzz_address(struct span s)
{
    char text[IP_TEXT_MAX], reverse[80];
    struct strbuf out = STRBUF(text), name = STRBUF(reverse);
    struct ip_addr_any a, again;
    struct ip_net net;
    if (ip_parse(s, &a) == RC_OK) {
        ip_format(&out, &a);
        demand(!out.overflow && ip_parse(strbuf_span(&out), &again) == RC_OK && ip_eq(&a, &again));
        ip_reverse_name(&name, &a);
        demand(!name.overflow);
    }
    if (ip_net_parse(s, &net) == RC_OK && net.addr.family == IP_V4)
        demand(net.prefix_bits <= 32 && ip_net_contains(&net, &net.addr));
}

static void fuzz_endpoint(struct span s)
{
    char text[IP_ENDPOINT_TEXT_MAX];
    struct strbuf out = STRBUF(text);
    struct ip_endpoint e, again;
    if (ip_endpoint_parse(s, 25, &e) != RC_OK)
        return;
    ip_endpoint_format(&out, &e);
    demand(!out.overflow && ip_endpoint_parse(strbuf_span(&out), 1, &again) == RC_OK);
    demand(ip_eq(&e.addr, &again.addr) && e.port == again.port);
}

static void fuzz_domain(struct span s)
{
    char text[DOMAIN_TEXT_MAX], twice[DOMAIN_TEXT_MAX];
    struct strbuf out = STRBUF(text), again = STRBUF(twice);
    bool is_hostname = domain_is_hostname(s);
    if (domain_canonical(s, &out) != RC_OK) {
        demand(out.len == 0 && !is_hostname);
        return;
    }
    demand(!out.overflow && domain_labels(strbuf_span(&out)) > 0);
    demand(domain_canonical(strbuf_span(&out), &again) == RC_OK && strcmp(text, twice) == 0);
    for (size_t i = 0; i < out.len; i++)
        demand(text[i] > 0x20 && text[i] < 0x7f && !(text[i] >= 'A' && text[i] <= 'Z'));
}

static void fuzz_time(struct span s)
{
    char text[40];
    struct strbuf out = STRBUF(text);
    int64_t unix_s, again;
    if (http_date_parse(s, &unix_s) != RC_OK && rfc3339_parse(s, &unix_s) != RC_OK)
        return;
    rfc3339_format(&out, unix_s);
    demand(!out.overflow && rfc3339_parse(strbuf_span(&out), &again) == RC_OK && again == unix_s);
}

static void fuzz_base64(struct span s)
{
    static char text[8192];
    static uint8_t bytes[4096];
    struct strbuf out = STRBUF(text);
    size_t len;
    if (base64_decode(s, bytes, sizeof bytes, &len) != RC_OK)
        return;
    base64_encode(&out, span_bytes(bytes, len));
    demand(span_eq(strbuf_span(&out), s));
}

static void fuzz_show(struct span s)
{
    static char text[65536];
    struct strbuf out = STRBUF(text);
    strbuf_add_json(&out, s);
    demand(!out.overflow && utf8_valid(strbuf_span(&out)));
    strbuf_clear(&out);
    strbuf_add_printable(&out, s, 100);
    demand(out.len <= 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parsers[])(struct span) = { fuzz_address, fuzz_endpoint, fuzz_domain, fuzz_time, fuzz_base64, fuzz_show };
    if (size == 0 || size > 4096)
        return 0;
    /* A copy of its own: the sanitizer sees what lies beyond it. */
    char *copy = malloc(size);
    if (copy == NULL)
        return 0;
    memcpy(copy, data, size);
    parsers[data[0] % (sizeof parsers / sizeof *parsers)](span_bytes(copy + 1, size - 1));
    free(copy);
    return 0;
}
