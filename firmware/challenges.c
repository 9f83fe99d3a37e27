#include "firmware/challenges.h"

enum kind { UNUSED = 0, HTTP_01, TLS_ALPN_01 };

static struct entry {
    enum kind kind;
    const char *identifier, *token, *key_authorization;
} table[CHALLENGES_MAX];

static struct entry *find(enum kind kind, struct span identifier)
{
    for (unsigned i = 0; i < CHALLENGES_MAX; i++)
        if (table[i].kind == kind && (kind == UNUSED || span_is_nocase(identifier, table[i].identifier)))
            return &table[i];
    return NULL;
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
    *e = (struct entry){ kind, identifier, token, key_authorization };
    return RC_OK;
}

void challenges_clear(void)
{
    for (unsigned i = 0; i < CHALLENGES_MAX; i++)
        table[i] = (struct entry){ .kind = UNUSED };
}

struct span challenges_http(struct span host, struct span token)
{
    const struct entry *e = find(HTTP_01, host);
    return span_of(e && span_is(token, e->token) ? e->key_authorization : "");
}
