#include "net/dns_facts.h"

#include <string.h>

#include "hal/base/bytes.h"

void dns_facts_read(const struct dns_response *r, struct dns_facts *out)
{
    unsigned answers = r->answers, before_additional = answers + r->authorities, total = before_additional;
    bool signature = false, denial = false;
    *out = (struct dns_facts){ .rcode = r->rcode, .truncated = r->truncated };
    if (r->truncated || r->records_at == 0)
        return;
    size_t at = r->records_at;
    total += get_be16((const uint8_t *)r->message.p + 10);
    for (unsigned i = 0; i < total; i++) {
        struct dns_rr rr;
        if (dns_rr_next(r->message, &at, &rr) != RC_OK)
            return;
        if (i < answers)
            out->signed_answer = out->signed_answer || rr.type == DNS_RRSIG;
        else if (i >= before_additional)
            out->edns = out->edns || rr.type == DNS_TYPE_OPT;
        else if (rr.type == DNS_RRSIG)
            signature = true;
        else if (rr.type == DNS_NSEC || rr.type == DNS_NSEC3)
            denial = true;
    }
    out->denial = denial && signature;
}
