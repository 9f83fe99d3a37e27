#include "firmware/self_check.h"

#include "firmware/alerts.h"
#include "firmware/attempt.h"
#include "firmware/cert_store.h"
#include "firmware/errand.h"
#include "firmware/identity.h"
#include "firmware/intake.h"
#include "firmware/network.h"
#include "firmware/setting_value.h"
#include "firmware/settings.h"
#include "firmware/wallclock.h"
#include "hal/base/crc32.h"
#include "hal/base/log.h"
#include "hal/base/packed_text.h"
#include "hal/random.h"
#include "policy/sts_policy.h"

#define FIRST_S 120 /* after boot, and as much jitter */
#define EVERY_S (24 * 3600)
#define FAULT_S 3600
#define AGAIN_S 600 /* what could not be asked, or not now */
#define LOOKUP_MS 15000
#define ADDRESSES_MAX 4
#define SUBJECT_MAX (NAME_SHOWN + 3 + IP_TEXT_MAX)
#define NAME_SHOWN 60
#define STS_FILE_BYTES (IDENTITY_PEM_BYTES - sizeof(struct sts_policy))

static struct self_check check;
static uint32_t about;  /* sum of what it is about, */
static uint32_t logged; /* of the words that the log has */
static bool asked;      /* by the operator, since this look began */
static struct errand errand;

/* One look: a handshake follows, and the stack is small. */
struct look {
    char name[DOMAIN_TEXT_MAX];
    char query[DOMAIN_TEXT_MAX];
    struct own_keys keys;
    bool self_signed;
    bool again; /* something could not be asked */
    bool policy_fault;
};

static void found(enum own_finding f, const char *subject, const char *detail)
{
    if (f <= check.finding)
        return;
    struct strbuf words = STRBUF(check.words);
    check.finding = f;
    own_finding_words(&words, f, subject, detail);
}

/* --- the DNS --- */

/* prefix and name. False: no answer. */
static bool ask(struct look *l, const char *prefix, const char *name, enum dns_type type)
{
    struct strbuf query = STRBUF(l->query);
    strbuf_printf(&query, "%s%s", prefix, name);
    bool answered = !query.overflow && dns_lookup(strbuf_span(&query), type, errand_dns(), deadline_in_ms(LOOKUP_MS)) == RC_OK;
    if (!answered)
        found(OWN_NO_DNS, l->query, "");
    return answered;
}

static void look_at_mx(struct look *l, const char *domain)
{
    const struct dns_answer *a = errand_dns();
    if (!ask(l, "", domain, DNS_MX))
        return;
    bool named = a->outcome == DNS_NODATA && span_is(span_of(domain), l->name); /* no MX: the domain itself (RFC 5321 5.1) */
    for (unsigned i = 0; i < a->count && !named; i++)
        named = span_is(dns_record_data(a, i), l->name);
    if (!named)
        found(OWN_MX, domain, "");
}

/* --- who answers on port 25 --- */

static void take_tls(struct own_facts *f, const struct look *l, struct errand_smtp *s)
{
    enum rc rc;
    const struct tls_facts *t = s->tls->facts;
    f->tls = attempt_start_tls(s->client, s->tls, &rc);
    f->our_leaf = memcmp(t->leaf_sha256, l->keys.leaf_sha256, sizeof t->leaf_sha256) == 0;
    f->no_clock = t->cause == TLS_CAUSE_CLOCK_UNKNOWN;
    f->chain_valid = t->chain_valid;
    f->name_matches = t->name_matches;
}

static const char *detail_of(enum own_finding f, const struct errand_smtp *s, enum rc rc)
{
    const struct tls_facts *t = s->tls->facts;
    if (f == OWN_STRANGER)
        return s->client->greeting;
    if (f == OWN_UNREACHED)
        return rc_name(rc);
    if (f == OWN_NAME || f == OWN_CERTIFICATE)
        return t->names;
    return t->cause == TLS_CAUSE_NONE ? "" : tls_cause_text(t->cause);
}

static enum own_address kind_of(const struct ip_addr_any *a)
{
    struct ip_addr_any own[1 + LINK_ADDRESSES_MAX];
    struct link_status link;
    link_status(&link);
    own[0] = link.address.addr;
    memcpy(own + 1, link.address6, sizeof link.address6);
    return own_address_kind(a, own, 1 + link.address6_count);
}

static void look_at_address(const struct look *l, const struct ip_addr_any *a)
{
    struct own_facts f = { .address = kind_of(a) };
    struct errand_smtp s;
    char memory[SUBJECT_MAX];
    struct strbuf subject = STRBUF(memory);
    strbuf_printf(&subject, "%.*s [", NAME_SHOWN, l->name);
    ip_format(&subject, a);
    strbuf_putc(&subject, ']');
    enum rc rc = errand_smtp_open(&s, a, l->name);
    f.answered = rc == RC_OK;
    f.later = rc == RC_REFUSED && s.client->reply.code / 100 == 4;
    f.our_greeting = span_starts(span_of(s.client->greeting), l->name);
    if (f.answered)
        take_tls(&f, l, &s);
    enum own_finding seen = own_judge(&f);
    found(seen, memory, detail_of(seen, &s, rc));
    errand_smtp_close();
}

static void look_at_addresses(const struct look *l)
{
    struct ip_addr_any address[ADDRESSES_MAX];
    unsigned count = 0;
    enum rc rc = network_resolve(span_of(l->name), address, ADDRESSES_MAX, &count, errand_dns(), deadline_in_ms(LOOKUP_MS));
    if (count == 0)
        found(rc == RC_OK ? OWN_NO_ADDRESS : OWN_NO_DNS, l->name, "");
    for (unsigned i = 0; i < count; i++)
        look_at_address(l, &address[i]);
}

/* --- TLSA --- */

static void look_at_tlsa(struct look *l)
{
    const struct dns_answer *a = errand_dns();
    struct own_tlsa t = { 0 };
    if (!ask(l, "_25._tcp.", l->name, DNS_TLSA))
        return;
    for (unsigned i = 0; i < a->count; i++)
        own_tlsa_add(&t, dns_record_data(a, i), &l->keys);
    const char *fault = own_tlsa_fault(&t);
    if (fault)
        alert_raise(ALERT_TLSA, "%.*s: %s%s", NAME_SHOWN, l->query, fault, a->security == DNS_SECURE ? "" : " (unvalidated)");
    else
        alert_clear(ALERT_TLSA);
}

/* --- MTA-STS --- */

/* RC_OK: the domain's policy lies in *p. RC_NOT_FOUND: it has none. RC_INVALID: others will not understand it. Else it could not be asked. */
static enum rc fetch_policy(struct look *l, struct http_client *http, const char *domain, struct sts_policy *p, const char **why)
{
    struct strbuf text = strbuf_on((char *)(p + 1), STS_FILE_BYTES);
    const struct dns_answer *a = errand_dns();
    struct sts_records records = { 0 };
    if (!ask(l, "_mta-sts.", domain, DNS_TXT))
        return RC_TIMEOUT;
    for (unsigned i = 0; i < a->count; i++)
        sts_records_add(&records, dns_record_data(a, i));
    *why = PACKED("its TXT record breaks the rules");
    enum rc rc = sts_records_result(&records);
    if (rc != RC_OK)
        return rc;
    strbuf_printf(&text, "https://mta-sts.%s/.well-known/mta-sts.txt", domain);
    const struct http_request r = { .method = HTTP_GET, .url = strbuf_span(&text), .body_max = STS_FILE_BYTES };
    bool got = http_request(http, &r) == RC_OK && http->head.status == 200;
    strbuf_clear(&text);
    got = got && http_read_all(http, &text) == RC_OK;
    http_client_close(http); /* its ring is where the next answer of the DNS goes */
    return got ? sts_policy_parse(strbuf_span(&text), p, why) : RC_UNREACHABLE;
}

static bool certificate_fails(const struct look *l)
{
    char words[64];
    struct strbuf why = STRBUF(words);
    bool fails = l->self_signed;
    for (unsigned i = 0; i < IDENTITY_FAULTS && !fails; i++)
        fails = identity_fault((enum identity_fault)i, &why);
    return fails;
}

/* Words about what does not fit; NULL: nothing. */
static const char *policy_fault(const struct look *l, const struct sts_policy *p)
{
    if (p->mode == STS_NONE)
        return NULL;
    if (!sts_policy_allows(p, span_of(l->name)))
        return PACKED("it does not list this box as mx");
    return p->mode == STS_ENFORCE && certificate_fails(l) ? PACKED("it enforces TLS, and this box's certificate does not hold")
                                                          : NULL;
}

static void look_at_policy(struct look *l, struct http_client *http, const char *domain, char *memory)
{
    struct sts_policy *p = (struct sts_policy *)(void *)memory;
    const char *why = NULL;
    enum rc rc = fetch_policy(l, http, domain, p, &why);
    if (rc == RC_OK)
        why = policy_fault(l, p);
    else if (rc != RC_INVALID) {
        l->again = l->again || rc != RC_NOT_FOUND;
        return;
    }
    if (!why || l->policy_fault)
        return;
    l->policy_fault = true;
    alert_raise(ALERT_STS, "the MTA-STS policy of %.*s keeps mail away: %s", NAME_SHOWN, domain, why);
}

/* --- a look --- */

/* The n-th of mail.domains as they are now: each look at one yields. False: no more. */
static bool domain_at(unsigned n, struct strbuf *domain)
{
    struct span rest = span_of(settings_get("mail.domains")), item;
    bool more = rest.len > 0;
    while (setting_list_next(&rest, &more, &item))
        if (n-- == 0) {
            strbuf_clear(domain);
            strbuf_add(domain, item);
            return true;
        }
    return false;
}

static void look_at_domains(struct look *l, struct http_client *http)
{
    char text[DOMAIN_TEXT_MAX], *memory = identity_pem_take();
    struct strbuf domain = STRBUF(text);
    l->again = !memory;
    for (unsigned i = 0; domain_at(i, &domain); i++) {
        look_at_mx(l, text);
        if (memory)
            look_at_policy(l, http, text, memory);
    }
    if (memory)
        identity_pem_give();
    if (!l->policy_fault && !l->again)
        alert_clear(ALERT_STS);
}

static void put_off(uint32_t seconds)
{
    check.next = deadline_in_ms((seconds - random_below(seconds / 4 + 1)) * 1000ull);
}

static void conclude(const struct look *l)
{
    enum own_finding f = check.finding;
    uint32_t words = crc32_update(0, check.words, strlen(check.words));
    if (words != logged)
        log_event_at(f >= OWN_FAULTS ? LOG_WARN : LOG_INFO, LOG_CERT, "outside", "result=%s words=\"%s\"", own_finding_name(f),
                     check.words);
    logged = words;
    if (f >= OWN_FAULTS && !(f == OWN_CHAIN && l->self_signed)) /* that has an alert of its own */
        alert_raise(ALERT_OUTSIDE, "%s", check.words);
    else if (f < OWN_BUSY || f == OWN_CHAIN)
        alert_clear(ALERT_OUTSIDE);
    put_off(asked ? 0 : f >= OWN_FAULTS ? FAULT_S : f >= OWN_BUSY || l->again ? AGAIN_S : EVERY_S);
}

static void learn_keys(struct look *l)
{
    struct tls_leaf_info leaf;
    (void)identity_info(&leaf);
    l->self_signed = leaf.self_signed;
    memcpy(l->keys.spki_sha256, leaf.spki_sha256, sizeof leaf.spki_sha256);
    memcpy(l->keys.leaf_sha256, leaf.sha256, sizeof leaf.sha256);
    l->keys.has_next = cert_store_next_pin(l->keys.next_spki_sha256) == RC_OK;
}

static enum rc run(struct http_client *http, uint32_t *next_s, struct strbuf *why)
{
    struct look l = { .again = false };
    *next_s = 0;
    (void)why;
    put_off(AGAIN_S);
    asked = false;
    if (!identity_ready())
        return RC_OK;
    strbuf_copy(l.name, sizeof l.name, settings_get("host.name"));
    check.running = true;
    check.finding = OWN_UNKNOWN;
    learn_keys(&l);
    if (intake_has_room()) {
        look_at_addresses(&l);
        look_at_tlsa(&l);
        look_at_domains(&l, http);
    } else {
        found(OWN_BUSY, l.name, "");
    }
    conclude(&l);
    check.running = false;
    check.at = wallclock_now();
    check.looks++;
    return RC_OK;
}

/* --- when --- */

static uint32_t sum(void)
{
    static const char *const keys[] = { "host.name", "mail.domains" };
    struct tls_leaf_info leaf;
    memset(leaf.sha256, 0, sizeof leaf.sha256);
    (void)identity_info(&leaf);
    return settings_sum(crc32_update(0, leaf.sha256, sizeof leaf.sha256), keys, sizeof keys / sizeof keys[0]);
}

static uint32_t due_in_s(void)
{
    uint32_t now = sum();
    if (now != about)
        put_off(0);
    about = now;
    return deadline_passed(check.next) ? 0 : (uint32_t)(deadline_left_ms(check.next) / 1000 + 1);
}

bool self_check_now(void)
{
    dns_cache_clear();
    asked = true;
    put_off(0);
    return identity_ready() && errand_now(&errand);
}

const struct self_check *self_check(void)
{
    return &check;
}

static struct errand errand = { .name = "outside", .setting = "host.name", .run = run, .due_in_s = due_in_s };

void self_check_init(void)
{
    about = sum();
    check.next = deadline_in_ms((FIRST_S + random_below(FIRST_S)) * 1000ull);
    errand_add(&errand);
}
