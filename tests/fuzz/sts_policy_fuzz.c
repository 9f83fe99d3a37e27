/* Any bytes as TXT records of MTA-STS (the first byte is even; records stand in lines) or as a policy file (odd). What is taken keeps the
 * promises of the header, and a policy that is written out again is taken as the same. */
#include <stdlib.h>
#include <string.h>

#include "policy/sts_policy.h"
#include "tests/fuzz/demand.h"

static void try_records(struct span text)
{
    struct sts_records r = { 0 };
    struct span line;
    bool more = true;
    while (span_split(&text, &more, '\n', &line))
        sts_records_add(&r, line);
    if (sts_records_result(&r) == RC_OK)
        demand(r.found == 1 && strlen(r.id) >= 1 && strlen(r.id) <= STS_ID_MAX);
}

static void write_out(const struct sts_policy *p, struct strbuf *b)
{
    static const char *const modes[] = { "none", "testing", "enforce" };
    const char *mx;
    strbuf_printf(b, "version: STSv1\nmode: %s\nmax_age: %u\n", modes[p->mode], (unsigned)p->max_age_s);
    for (unsigned i = 0; (mx = sts_policy_mx(p, i)) != NULL; i++)
        strbuf_printf(b, "mx: %s%s\n", mx[0] == '.' ? "*" : "", mx);
}

static void try_policy(struct span file)
{
    struct sts_policy p, again;
    const char *why;
    char memory[4096];
    struct strbuf b = STRBUF(memory);
    if (sts_policy_parse(file, &p, &why) != RC_OK) {
        demand(text_length(why, 1) == 1 && p.mx_count == 0);
        return;
    }
    demand(p.max_age_s <= STS_MAX_AGE_S && p.mx_count <= STS_MX_MAX && (p.mx_count > 0 || p.mode == STS_NONE));
    (void)sts_policy_allows(&p, SPAN("mx.example.com"));
    write_out(&p, &b);
    demand(!b.overflow && sts_policy_parse(strbuf_span(&b), &again, NULL) == RC_OK && memcmp(&p, &again, sizeof p) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    char *copy = malloc(size); /* of its exact size, so that a read beyond it is seen */
    demand(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    if (data[0] % 2 == 0)
        try_records(span_bytes(copy, size - 1));
    else
        try_policy(span_bytes(copy, size - 1));
    free(copy);
    return 0;
}
