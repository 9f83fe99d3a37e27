#include "hal/crypto/der_cert.h"

#define TAG_INTEGER 0x02
#define TAG_SEQUENCE 0x30
#define TAG_VERSION 0xa0 /* [0] EXPLICIT, absent in v1 certificates */

bool der_take(struct span *rest, uint8_t tag, struct span *whole, struct span *body)
{
    const uint8_t *p = (const uint8_t *)rest->p;
    if (rest->len < 2 || p[0] != tag)
        return false;
    size_t header = 2, len = p[1];
    if (len >= 0x80) {
        size_t bytes = len & 0x7f;
        if (bytes == 0 || bytes > 3 || rest->len < 2 + bytes || p[2] == 0)
            return false;
        len = 0;
        for (size_t i = 0; i < bytes; i++)
            len = len << 8 | p[2 + i];
        if (len < 0x80)
            return false;
        header += bytes;
    }
    if (len > rest->len - header)
        return false;
    *whole = span_sub(*rest, 0, header + len);
    *body = span_sub(*rest, header, len);
    *rest = span_from(*rest, header + len);
    return true;
}

/* Certificate ::= SEQUENCE { tbs SEQUENCE { [0] version, serial, algorithm, issuer, validity, subject, ... }, ... } */
static bool walk(struct span der, struct span *issuer, struct span *subject)
{
    struct span whole, body, tbs, validity;
    if (!der_take(&der, TAG_SEQUENCE, &whole, &body) || der.len != 0)
        return false;
    if (!der_take(&body, TAG_SEQUENCE, &whole, &tbs))
        return false;
    if (tbs.len > 0 && (uint8_t)tbs.p[0] == TAG_VERSION && !der_take(&tbs, TAG_VERSION, &whole, &body))
        return false;
    return der_take(&tbs, TAG_INTEGER, &whole, &body) && der_take(&tbs, TAG_SEQUENCE, &whole, &body) &&
           der_take(&tbs, TAG_SEQUENCE, issuer, &body) && der_take(&tbs, TAG_SEQUENCE, &validity, &body) &&
           der_take(&tbs, TAG_SEQUENCE, subject, &body);
}

enum rc x509_subject_dn(struct span der, struct span *dn)
{
    struct span issuer;
    if (walk(der, &issuer, dn))
        return RC_OK;
    *dn = (struct span){ 0 };
    return RC_INVALID;
}

enum rc x509_issuer_dn(struct span der, struct span *dn)
{
    struct span subject;
    if (walk(der, dn, &subject))
        return RC_OK;
    *dn = (struct span){ 0 };
    return RC_INVALID;
}
