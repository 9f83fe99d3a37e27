#include "net/x509_text.h"

#include <string.h>

#include <mbedtls/oid.h>
#include <mbedtls/sha256.h>

#include "hal/base/datetime.h"
#include "hal/base/ipaddr.h"
#include "net/tls_name.h"

#define ATTRIBUTE_TEXT_MAX 60
#define NAME_TEXT_MAX 256

static bool add_attribute(struct strbuf *out, const mbedtls_x509_name *name, const char *oid, size_t oid_len, const char *label)
{
    for (; name != NULL; name = name->next) {
        if (name->oid.len != oid_len || memcmp(name->oid.p, oid, oid_len) != 0)
            continue;
        if (out->len > 0)
            strbuf_puts(out, ", ");
        strbuf_puts(out, label);
        strbuf_add_printable(out, span_bytes(name->val.p, name->val.len), ATTRIBUTE_TEXT_MAX);
        return true;
    }
    return false;
}

void x509_dn_text(struct strbuf *out, const mbedtls_x509_name *name)
{
    bool any = add_attribute(out, name, MBEDTLS_OID_AT_CN, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_CN), "CN=");
    any |= add_attribute(out, name, MBEDTLS_OID_AT_ORGANIZATION, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_ORGANIZATION), "O=");
    any |= add_attribute(out, name, MBEDTLS_OID_AT_ORG_UNIT, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_ORG_UNIT), "OU=");
    if (!any)
        strbuf_puts(out, "(empty)");
}

static int san_type(const mbedtls_x509_sequence *san)
{
    return san->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK;
}

static bool san_address(const mbedtls_x509_sequence *san, struct ip_addr_any *out)
{
    if (san_type(san) != MBEDTLS_X509_SAN_IP_ADDRESS || (san->buf.len != 4 && san->buf.len != 16))
        return false;
    memset(out, 0, sizeof *out);
    out->family = san->buf.len == 4 ? IP_V4 : IP_V6;
    memcpy(out->b, san->buf.p, san->buf.len);
    return true;
}

/* One SAN as text; false for kinds that name no host. */
static bool san_text(struct strbuf *out, const mbedtls_x509_sequence *san)
{
    struct ip_addr_any address;
    if (san_type(san) == MBEDTLS_X509_SAN_DNS_NAME)
        strbuf_add_printable(out, span_bytes(san->buf.p, san->buf.len), NAME_TEXT_MAX);
    else if (san_address(san, &address))
        ip_format(out, &address);
    else
        return false;
    return true;
}

void x509_names_text(struct strbuf *out, const mbedtls_x509_crt *crt)
{
    for (const mbedtls_x509_sequence *san = &crt->subject_alt_names; san != NULL; san = san->next) {
        char one_text[NAME_TEXT_MAX + 1];
        struct strbuf one = STRBUF(one_text);
        if (san->buf.p == NULL || !san_text(&one, san))
            continue;
        size_t room = out->cap - 1 - out->len;
        size_t keep = sizeof ",..." - 1; /* so that the mark of a cut always fits */
        if (room < one.len + 1 + keep) {
            strbuf_puts(out, out->len > 0 ? ",..." : "...");
            return;
        }
        if (out->len > 0)
            strbuf_putc(out, ',');
        strbuf_add(out, strbuf_span(&one));
    }
}

int64_t x509_unix_time(const mbedtls_x509_time *t)
{
    struct civil_time c = { .year = t->year, .month = t->mon, .day = t->day, .hour = t->hour, .minute = t->min, .second = t->sec };
    return unix_from_civil(&c);
}

bool x509_self_issued(const mbedtls_x509_crt *crt)
{
    return span_eq(span_bytes(crt->issuer_raw.p, crt->issuer_raw.len), span_bytes(crt->subject_raw.p, crt->subject_raw.len));
}

bool x509_names_host(const mbedtls_x509_crt *crt, const char *host)
{
    struct span name = span_of(host);
    struct ip_addr_any want, have;
    bool is_address = ip_parse(name, &want) == RC_OK;
    for (const mbedtls_x509_sequence *san = &crt->subject_alt_names; san != NULL; san = san->next) {
        if (san->buf.p == NULL)
            continue;
        if (is_address ? san_address(san, &have) && ip_eq(&want, &have)
                       : san_type(san) == MBEDTLS_X509_SAN_DNS_NAME && tls_name_matches(name, span_bytes(san->buf.p, san->buf.len)))
            return true;
    }
    return false;
}

void x509_fingerprints(const mbedtls_x509_crt *crt, uint8_t cert[32], uint8_t spki[32])
{
    if (mbedtls_sha256(crt->raw.p, crt->raw.len, cert, 0) != 0)
        memset(cert, 0, 32);
    if (mbedtls_sha256(crt->pk_raw.p, crt->pk_raw.len, spki, 0) != 0)
        memset(spki, 0, 32);
}
