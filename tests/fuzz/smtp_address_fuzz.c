/* Paths with the parameters behind them, and xtext. */

#include "hal/base/utf8.h"
#include "net/smtp_address.h"
#include "tests/fuzz/demand.h"

static void check_clean(const char *text)
{
    struct span s = span_of(text);
    demand(utf8_valid(s));
    for (size_t i = 0; i < s.len; i++)
        demand((unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f);
}

/* What was accepted means the same when it is read again as we would send it on. */
static void check_again(const struct smtp_address *a)
{
    static char memory[SMTP_PATH_MAX + 2];
    static struct smtp_address b;
    struct strbuf text = STRBUF(memory);
    struct span rest;
    const char *why;
    strbuf_printf(&text, "<%s>", a->full);
    demand(!text.overflow && smtp_path_parse(strbuf_span(&text), &b, &rest, &why) == RC_OK && rest.len == 0);
    demand(strcmp(a->local, b.local) == 0 && strcmp(a->domain, b.domain) == 0 && strcmp(a->full, b.full) == 0);
    demand(a->utf8 == b.utf8 && a->null == b.null && a->literal == b.literal && !b.source_route);
}

static void check_xtext(struct span text)
{
    static char decoded[4096], encoded[4096], again[4096];
    struct strbuf d = STRBUF(decoded), e = STRBUF(encoded), g = STRBUF(again);
    if (xtext_decode(text, &d) != RC_OK)
        return;
    xtext_encode(&e, strbuf_span(&d));
    demand(e.overflow || (xtext_decode(strbuf_span(&e), &g) == RC_OK && span_eq(strbuf_span(&d), strbuf_span(&g))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct smtp_address a;
    struct span text = span_bytes(data, size), rest, keyword, value;
    const char *why;
    bool bad;
    enum rc rc = smtp_path_parse(text, &a, &rest, &why);
    demand((rc == RC_OK) == (why == NULL));
    if (rc != RC_OK)
        return 0;
    check_clean(a.local);
    check_clean(a.domain);
    check_clean(a.full);
    check_again(&a);
    (void)smtp_local_is(&a, "postmaster");
    (void)smtp_local_is_routing(&a);
    while (smtp_param_next(&rest, &keyword, &value, &bad)) {
        demand(keyword.len > 0 && !bad);
        check_xtext(value);
    }
    return 0;
}
