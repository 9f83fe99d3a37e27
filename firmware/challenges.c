#include "firmware/challenges.h"

#include "hal/base/log.h"

enum kind { UNUSED = 0, HTTP_01, TLS_ALPN_01 };

static struct entry {
    enum kind kind;
    const char *identifier, *token, *key_authorization;
    struct tls_credentials *credentials; /* made when first asked for */
} table[CHALLENGES_MAX];

/* name: the identifier; in an SNI an address is its reverse name. */
static bool is_for(const struct entry *e, struct span name)
{
    struct ip_addr_any address;
    char text[sizeof "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"];
    struct strbuf reverse = STRBUF(text);
    if (span_is_nocase(name, e->identifier))
        return true;
    if (e->kind != TLS_ALPN_01 || ip_parse(span_of(e->identifier), &address) != RC_OK)
        return false;
    ip_reverse_name(&reverse, &address);
    return span_is_nocase(name, text);
}

static struct entry *find(enum kind kind, struct span name)
{
    for (unsigned i = 0; i < CHALLENGES_MAX; i++)
        if (table[i].kind == kind && (kind == UNUSED || is_for(&table[i], name)))
            return &table[i];
    return NULL;
}

static void empty(struct entry *e)
{
    tls_credentials_release(e->credentials);
    *e = (struct entry){ .kind = UNUSED };
}

enum rc challenges_put(const char *type, const char *identifier, const char *token, const char *key_authorization)
{
    struct span t = span_of(type);
    enum kind kind = span_is(t, "http-01") ? HTTP_01 : span_is(t, "tls-alpn-01") ? TLS_ALPN_01 : UNUSED;
    if (kind == UNUSED)
        return RC_UNSUPPORTED;
    if (!identifier[0] || !token[0] || !key_authorization[0])
        return RC_INVALID;
    struct entry *e = find(kind, span_of(identifier));
    if (!e)
        e = find(UNUSED, span_of(""));
    if (!e)
        return RC_FULL;
    empty(e);
    *e = (struct entry){ kind, identifier, token, key_authorization, NULL };
    return RC_OK;
}

void challenges_clear(void)
{
    for (unsigned i = 0; i < CHALLENGES_MAX; i++)
        empty(&table[i]);
}

struct span challenges_http(struct span host, struct span token)
{
    const struct entry *e = find(HTTP_01, host);
    return span_of(e && span_is(token, e->token) ? e->key_authorization : "");
}

struct tls_credentials *challenges_tls_alpn(struct span sni)
{
    struct entry *e = find(TLS_ALPN_01, sni);
    if (!e)
        return NULL;
    if (!e->credentials) {
        enum rc rc = x509_acme_identifier(e->identifier, span_of(e->key_authorization), &e->credentials);
        if (rc != RC_OK) {
            log_event_at(LOG_WARN, LOG_CERT, "challenge-unmade", "name=%s rc=%s", e->identifier, rc_name(rc));
            return NULL;
        }
    }
    tls_credentials_hold(e->credentials);
    return e->credentials;
}
