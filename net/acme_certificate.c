/* The certificate: finalize, download with the choice of a chain, revocation, and when to renew (RFC 9773). */
#include <string.h>

#include "hal/base/base64.h"
#include "hal/base/datetime.h"
#include "hal/base/pem.h"
#include "hal/crypto/der_cert.h"
#include "net/acme_private.h"
#include "net/x509_key.h"

#define RENEWAL_LEAST_S 60
#define RENEWAL_MOST_S (24 * 3600)
#define RENEWAL_USUAL_S (6 * 3600)
#define CERTIFICATE_LABEL "CERTIFICATE"

/* --- chains --- */

/* Certificates and nothing else. *last: the base64 of the last one. */
static bool is_chain(struct span text, struct span *last)
{
    struct span label;
    enum rc rc;
    if (!span_starts(text, "-----BEGIN CERTIFICATE-----"))
        return false;
    while ((rc = pem_block(&text, &label, last)) == RC_OK)
        if (!span_is(label, CERTIFICATE_LABEL))
            return false;
    return rc == RC_NOT_FOUND;
}

/* The common name in a Name is this one. */
static bool has_common_name(struct span dn, struct span name)
{
    struct span whole, rest, set, pair, oid;
    if (!der_take(&dn, 0x30, &whole, &rest))
        return false;
    while (der_take(&rest, 0x31, &whole, &set))
        if (der_take(&set, 0x30, &whole, &pair) && der_take(&pair, 0x06, &whole, &oid) && span_is(oid, "\x55\x04\x03") &&
            pair.len && der_take(&pair, (uint8_t)pair.p[0], &whole, &set) && span_eq(set, name))
            return true;
    return false;
}

/* The chain in the answer leads to this issuer: its last certificate names it. */
static bool leads_to(const struct acme *a, struct span last, struct span issuer)
{
    uint8_t *der = (uint8_t *)a->answer.p + a->answer.len + 1;
    struct span dn;
    size_t len;
    return pem_decode(last, der, a->answer.cap - a->answer.len - 1, &len) == RC_OK &&
           x509_issuer_dn(span_bytes(der, len), &dn) == RC_OK && has_common_name(dn, issuer);
}

/* RC_NOT_FOUND: a chain, but not to this issuer. alternate: which further one's address is taken besides. */
static enum rc fetch_chain(struct acme *a, enum acme_url i, unsigned alternate, struct span issuer)
{
    struct span last = { 0 };
    a->alternate = alternate;
    enum rc rc = acme_post(a, i, NULL, SPAN(""), NULL);
    a->alternate = 0;
    if (rc == RC_OK && !is_chain(strbuf_span(&a->answer), &last))
        rc = acme_lacks(a, "certificate");
    return rc == RC_OK && issuer.len && !leads_to(a, last, issuer) ? RC_NOT_FOUND : rc;
}

/* Alternates one by one. A broken one is as good as none: the first chain is a good one, too. */
static enum rc download(struct acme *a, struct span issuer)
{
    enum rc rc = fetch_chain(a, ACME_WORK, 1, issuer);
    for (unsigned n = 2; rc == RC_NOT_FOUND && n < ACME_ALTERNATES_MAX + 2 && acme_url(a, ACME_LOCATION)[0]; n++) {
        rc = acme_keep_location(a, ACME_CHALLENGE);
        if (rc == RC_OK && fetch_chain(a, ACME_CHALLENGE, 0, issuer) == RC_OK)
            return RC_OK;
        rc = fetch_chain(a, ACME_WORK, n, issuer);
    }
    if (rc == RC_NOT_FOUND)
        a->dropped |= ACME_DROPPED_ISSUER;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc send_request(struct acme *a, struct span key, struct json_view *order)
{
    struct strbuf payload = acme_payload(a);
    size_t half = a->memory_bytes / 2;
    struct strbuf csr = strbuf_on(a->memory + half, half);
    enum rc rc = x509_csr(key, a->names, a->count, &csr);
    if (rc != RC_OK)
        return acme_say(a, rc, PACKED("the certificate could not be requested"));
    strbuf_puts(&payload, "{\"csr\":\"");
    base64url_encode(&payload, strbuf_span(&csr));
    strbuf_puts(&payload, "\"}");
    return acme_post(a, ACME_WORK, &payload, SPAN(""), order);
}

enum rc acme_finalize(struct acme *a, struct span key, struct span issuer, struct span *chain)
{
    struct json_view v, done;
    enum rc rc = acme_wait_for(a, ACME_ORDER, ACME_UNTIL_READY, &v);
    a->step = "certificate";
    if (rc == RC_OK && json_view_member(&v, "certificate", &done) != RC_OK) {
        rc = acme_take_url(a, &v, "finalize", true, ACME_WORK);
        if (rc == RC_OK)
            rc = send_request(a, key, &v);
        if (rc == RC_OK)
            rc = acme_wait_for(a, ACME_ORDER, ACME_ANSWERED, &v);
    }
    if (rc == RC_OK)
        rc = acme_take_url(a, &v, "certificate", true, ACME_WORK);
    if (rc == RC_OK)
        rc = download(a, issuer);
    *chain = rc == RC_OK ? strbuf_span(&a->answer) : SPAN("");
    return rc;
}

/* --- revocation --- */

enum rc acme_revoke(struct acme *a, struct span chain_pem, unsigned reason, struct span key)
{
    struct strbuf payload = acme_payload(a);
    struct span label, body;
    a->step = "revocation";
    if (!acme_url(a, ACME_REVOKE_CERT)[0])
        return acme_say(a, RC_UNSUPPORTED, PACKED("the server revokes nothing"));
    if (pem_block(&chain_pem, &label, &body) != RC_OK || !span_is(label, CERTIFICATE_LABEL))
        return acme_say(a, RC_INVALID, PACKED("this is no certificate"));
    strbuf_puts(&payload, "{\"certificate\":\"");
    for (size_t i = 0; i < body.len; i++)
        if (base64_sextet(body.p[i]) >= 0)
            strbuf_putc(&payload, body.p[i] == '+' ? '-' : body.p[i] == '/' ? '_' : body.p[i]);
    strbuf_printf(&payload, "\",\"reason\":%u}", reason);
    enum rc rc = acme_post(a, ACME_REVOKE_CERT, &payload, key, NULL);
    return rc == RC_REFUSED && acme_problem_is(a, "alreadyRevoked") ? RC_OK : rc;
}

/* --- renewal info --- */

/* The value of the extension authorityKeyIdentifier: OCTET STRING { SEQUENCE { [0] key identifier, ... } }. */
static bool issuer_key_id(struct span extensions, struct span *id)
{
    struct span whole, list, one, oid, value;
    if (!der_take(&extensions, 0x30, &whole, &list))
        return false;
    while (der_take(&list, 0x30, &whole, &one))
        if (der_take(&one, 0x06, &whole, &oid) && span_is(oid, "\x55\x1d\x23")) {
            (void)der_take(&one, 0x01, &whole, &value); /* critical */
            return der_take(&one, 0x04, &whole, &value) && der_take(&value, 0x30, &whole, &one) && der_take(&one, 0x80, &whole, id);
        }
    return false;
}

enum rc acme_renewal_id(struct span der, struct strbuf *out)
{
    struct span whole, rest, serial, body, id = { 0 };
    bool good = der_take(&der, 0x30, &whole, &rest) && der_take(&rest, 0x30, &whole, &body) &&
                der_take(&body, 0xa0, &whole, &rest) && der_take(&body, 0x02, &whole, &serial);
    strbuf_clear(out);
    while (good && body.len) {
        bool extensions = (uint8_t)body.p[0] == 0xa3;
        good = der_take(&body, (uint8_t)body.p[0], &whole, &rest) && (!extensions || issuer_key_id(rest, &id));
    }
    if (good && id.len) {
        base64url_encode(out, id);
        strbuf_putc(out, '.');
        base64url_encode(out, serial);
    }
    if (!out->overflow && out->len)
        return RC_OK;
    strbuf_clear(out);
    return RC_INVALID;
}

static bool take_time(const struct json_view *window, const char *name, int64_t *out)
{
    char memory[48];
    struct strbuf text = STRBUF(memory);
    return json_view_member_text(window, name, &text) == RC_OK && rfc3339_parse(strbuf_span(&text), out) == RC_OK;
}

enum rc acme_renewal_info(struct acme *a, struct span id, struct acme_renewal *out)
{
    char memory[ACME_URL_MAX + 1];
    struct strbuf url = STRBUF(memory), page = STRBUF(out->explanation);
    struct json_view v, window;
    a->step = "renewal info";
    strbuf_printf(&url, "%s/%.*s", acme_url(a, ACME_RENEWAL_INFO), (int)id.len, id.p);
    if (memory[0] == '/')
        return acme_say(a, RC_UNSUPPORTED, PACKED("the server suggests no times to renew"));
    if (url.overflow)
        return acme_say(a, RC_TOO_LONG, PACKED("the address of the renewal info is too long"));
    enum rc rc = acme_get(a, strbuf_span(&url), &v);
    if (rc == RC_OK && (json_view_member(&v, "suggestedWindow", &window) != RC_OK || !take_time(&window, "start", &out->start) ||
                        !take_time(&window, "end", &out->end) || out->end <= out->start))
        rc = acme_lacks(a, "suggestedWindow");
    int64_t s = a->retry_after_s < 0 ? RENEWAL_USUAL_S : a->retry_after_s;
    out->again_s = (uint32_t)(s < RENEWAL_LEAST_S ? RENEWAL_LEAST_S : s > RENEWAL_MOST_S ? RENEWAL_MOST_S : s);
    if (rc == RC_OK && (json_view_member_text(&v, "explanationURL", &url) != RC_OK ||
                        url_canonical(strbuf_span(&url), &page) != RC_OK || !span_starts(strbuf_span(&page), "https:")))
        strbuf_clear(&page);
    return rc;
}
