/* The account: found or made, bound to another, its key changed, closed. */
#include <string.h>

#include "net/acme_private.h"

static enum rc add_binding(struct acme *a, const struct acme_binding *binding, struct strbuf *payload)
{
    char key[JWK_MAX];
    size_t half = a->memory_bytes / 2, quarter = half / 2;
    struct strbuf jwk = STRBUF(key), jws = strbuf_on(a->memory + half, quarter);
    struct strbuf scratch = strbuf_on(a->memory + half + quarter, quarter);
    enum rc rc = jwk_write(a->account_key, &jwk);
    if (rc == RC_OK)
        rc = jws_bind(binding->kid, binding->mac_key, span_of(acme_url(a, ACME_NEW_ACCOUNT)), strbuf_span(&jwk), &scratch, &jws);
    if (rc != RC_OK)
        return acme_say(a, rc, PACKED("the request could not be signed"));
    strbuf_puts(payload, ",\"externalAccountBinding\":");
    strbuf_add(payload, strbuf_span(&jws));
    return RC_OK;
}

enum rc acme_account(struct acme *a, struct span contact, const struct acme_binding *binding, bool only_existing)
{
    struct strbuf payload = acme_payload(a);
    struct json_view v;
    a->step = "account";
    if (a->binding_required && !binding && !only_existing)
        return acme_say(a, RC_REFUSED, PACKED("the server wants an external account binding"));
    if (span_find(contact, 0, '"') != SIZE_MAX || span_find(contact, 0, '\\') != SIZE_MAX)
        return acme_say(a, RC_INVALID, PACKED("the contact is no mail address"));
    strbuf_puts(&payload, only_existing ? "{\"onlyReturnExisting\":true" : "{\"termsOfServiceAgreed\":true");
    if (contact.len)
        strbuf_printf(&payload, ",\"contact\":[\"mailto:%.*s\"]", (int)contact.len, contact.p);
    enum rc rc = binding ? add_binding(a, binding, &payload) : RC_OK;
    strbuf_putc(&payload, '}');
    if (rc == RC_OK)
        rc = acme_post(a, ACME_NEW_ACCOUNT, &payload, a->account_key, &v);
    if (rc == RC_OK && !acme_url(a, ACME_LOCATION)[0])
        rc = acme_lacks(a, "account");
    return rc == RC_OK ? acme_keep_location(a, ACME_ACCOUNT) : rc;
}

struct span acme_account_url(const struct acme *a)
{
    return span_of(acme_url(a, ACME_ACCOUNT));
}

/* The new key signs that it will be this account's, and the old one signs that (RFC 8555 7.3.5). */
enum rc acme_change_key(struct acme *a, struct span new_key)
{
    char key[JWK_MAX];
    size_t quarter = a->memory_bytes / 4;
    struct strbuf jwk = STRBUF(key), payload = acme_payload(a), inner = strbuf_on(a->memory + 2 * quarter, quarter);
    struct strbuf scratch = strbuf_on(a->memory + 3 * quarter, quarter);
    const struct jws_header h = { .url = span_of(acme_url(a, ACME_KEY_CHANGE)) };
    a->step = "account";
    if (!h.url.len)
        return acme_say(a, RC_UNSUPPORTED, PACKED("the server changes no keys"));
    enum rc rc = jwk_write(a->account_key, &jwk);
    strbuf_printf(&inner, "{\"account\":\"%s\",\"oldKey\":%s}", acme_url(a, ACME_ACCOUNT), key);
    if (rc == RC_OK)
        rc = jws_sign(&h, new_key, strbuf_span(&inner), &scratch, &payload);
    if (rc != RC_OK)
        return acme_say(a, rc, PACKED("the new key cannot be used"));
    rc = acme_post(a, ACME_KEY_CHANGE, &payload, SPAN(""), NULL);
    if (rc == RC_OK)
        a->account_key = new_key;
    return rc;
}

enum rc acme_deactivate(struct acme *a)
{
    struct strbuf payload = acme_payload(a);
    a->step = "account";
    strbuf_puts(&payload, "{\"status\":\"deactivated\"}");
    return acme_post(a, ACME_ACCOUNT, &payload, SPAN(""), NULL);
}
