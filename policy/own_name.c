#include "policy/own_name.h"

#include <string.h>

#include "hal/base/packed_text.h"

/* --- addresses --- */

static bool is_inner(const struct ip_addr_any *a)
{
    static const struct {
        uint8_t family, first, mask, second;
    } ranges[] = { /* the first byte, and the second's bits under the mask */
                   { IP_V4, 10, 0, 0 },       { IP_V4, 127, 0, 0 },      { IP_V4, 172, 0xf0, 16 },
                   { IP_V4, 192, 0xff, 168 }, { IP_V4, 169, 0xff, 254 }, { IP_V4, 100, 0xc0, 64 },
                   { IP_V6, 0xfc, 0, 0 },     { IP_V6, 0xfd, 0, 0 },     { IP_V6, 0xfe, 0xc0, 0x80 }
    };
    for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (a->family == (enum ip_family)ranges[i].family && a->b[0] == ranges[i].first &&
            (a->b[1] & ranges[i].mask) == ranges[i].second)
            return true;
    return false;
}

enum own_address own_address_kind(const struct ip_addr_any *a, const struct ip_addr_any *own, unsigned count)
{
    enum own_address kind = OWN_ADDRESS_BEYOND;
    if (is_inner(a))
        return OWN_ADDRESS_INNER;
    for (unsigned i = 0; i < count; i++) {
        if (ip_eq(a, &own[i]))
            return OWN_ADDRESS_ITS;
        if (own[i].family == a->family && !is_inner(&own[i]))
            kind = OWN_ADDRESS_OTHER;
    }
    return kind;
}

/* --- who answers there --- */

enum own_finding own_judge(const struct own_facts *f)
{
    bool ours = f->our_leaf && f->tls == TLS_UP;
    if (!ours && f->address == OWN_ADDRESS_OTHER && !f->later)
        return OWN_ELSEWHERE;
    if (!f->answered)
        return f->later ? OWN_BUSY : OWN_UNREACHED;
    if (!ours && !f->our_greeting)
        return OWN_STRANGER;
    if (f->tls == TLS_NOT_OFFERED || f->tls == TLS_STRIPPED || f->tls == TLS_REFUSED_BY_SERVER)
        return OWN_STRIPPED;
    if (f->tls != TLS_UP)
        return OWN_HANDSHAKE;
    if (!ours)
        return OWN_CERTIFICATE;
    if (f->no_clock)
        return OWN_NO_CLOCK;
    if (!f->name_matches)
        return OWN_NAME;
    if (!f->chain_valid)
        return OWN_CHAIN;
    return f->address == OWN_ADDRESS_INNER ? OWN_INNER : OWN_FINE;
}

/* --- words --- */

const char *own_finding_name(enum own_finding f)
{
    static const char *const names[OWN_FINDINGS] = { "unknown",  "fine",      "inner", "unreached", "busy",     "no-dns",
                                                     "no-clock", "name",      "chain", "handshake", "stripped", "certificate",
                                                     "stranger", "elsewhere", "mx",    "no-address" };
    return names[f];
}

/* What was found, and behind the detail what to do. */
static const char *words_of(enum own_finding f)
{
    switch (f) {
    case OWN_FINE:
        return PACKED("%s: seen from outside all is well%s%s%s");
    case OWN_INNER:
        return PACKED("%s: well, but by an inner address%s%s%s: how outsiders see it could not be checked");
    case OWN_UNREACHED:
        return PACKED("%s: could not be checked from inside: no connection%s%s%s. Most routers do not lead back in; no fault");
    case OWN_BUSY:
        return PACKED("%s: not checked%s%s%s: mail needs the box now");
    case OWN_NO_DNS:
        return PACKED("%s: not checked%s%s%s: the DNS does not answer");
    case OWN_NO_CLOCK:
        return PACKED("%s: not checked%s%s%s: the box does not know the time");
    case OWN_NAME:
        return PACKED("%s: the certificate does not name it%s%s%s: set host.name, or 'cert renew'");
    case OWN_CHAIN:
        return PACKED("%s: others do not trust the certificate%s%s%s: 'cert renew', or 'cert import' with the whole chain");
    case OWN_HANDSHAKE:
        return PACKED("%s: TLS fails on the way in%s%s%s: look at router and firewall");
    case OWN_STRIPPED:
        return PACKED("%s: STARTTLS is taken away on the way in%s%s%s: switch off SMTP inspection in router or firewall");
    case OWN_CERTIFICATE:
        return PACKED("%s: it shows a certificate that is not this box's%s%s%s: who answers there in its name?");
    case OWN_STRANGER:
        return PACKED("%s: another server answers%s%s%s: lead port 25 to this box, or mend the DNS");
    case OWN_ELSEWHERE:
        return PACKED("%s: that is not this box's address%s%s%s: mend the DNS record");
    case OWN_MX:
        return PACKED("%s: no MX record names this box%s%s%s: its mail goes elsewhere. Mend the DNS, or host.name");
    case OWN_NO_ADDRESS:
        return PACKED("%s: the DNS knows no address%s%s%s: publish an A record");
    default:
        return "";
    }
}

void own_finding_words(struct strbuf *out, enum own_finding f, const char *subject, const char *detail)
{
    bool any = text_length(detail, 1) > 0; /* it may be packed */
    (strbuf_printf)(out, words_of(f), subject, any ? " (" : "", detail, any ? ")" : "");
}

/* --- TLSA --- */

static bool is_hash(struct span data, const uint8_t hash[32])
{
    return data.len == 32 && memcmp(data.p, hash, 32) == 0;
}

void own_tlsa_add(struct own_tlsa *t, struct span record, const struct own_keys *k)
{
    uint8_t usage = record.len > 3 ? (uint8_t)record.p[0] : 0;
    if (usage != 2 && usage != 3)
        return;
    struct span data = span_from(record, 3);
    if (usage == 2 || record.p[1] > 1 || record.p[2] != 1)
        t->others++;
    else if (is_hash(data, record.p[1] == 1 ? k->spki_sha256 : k->leaf_sha256))
        t->fits++;
    else if (record.p[1] == 1 && k->has_next && is_hash(data, k->next_spki_sha256))
        t->next++;
    else
        t->strange++;
}

const char *own_tlsa_fault(const struct own_tlsa *t)
{
    if (t->fits + t->others == 0 && t->next + t->strange > 0)
        return PACKED("no TLSA record fits the key in use: senders with DANE do not deliver; publish those of 'cert info'");
    return t->strange > 0 ? PACKED("a TLSA record fits neither the key in use nor the next one: take it away") : NULL;
}
