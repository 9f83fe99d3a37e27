/* Fields of an X.509 certificate (RFC 5280 section 4.1) found by walking its DER, without parsing the rest: for stores of
 * roots that are searched by subject. Judges nothing. Pure. */
#ifndef HAL_CRYPTO_DER_CERT_H
#define HAL_CRYPTO_DER_CERT_H

#include "hal/base/rc.h"
#include "hal/base/span.h"

/* Takes one element off *rest when it has this tag: *whole with its header, *body without. DER lengths only (definite, in the shortest form,
 * below 16 MiB). False: nothing is taken. */
bool der_take(struct span *rest, uint8_t tag, struct span *whole, struct span *body);

/* The subject's and the issuer's Name with tag and length, as views into der; compare them bytewise. der is one whole
 * certificate: RC_INVALID when it is not, or when bytes follow it; *dn is then empty. */
enum rc x509_subject_dn(struct span der, struct span *dn) MUST_CHECK;
enum rc x509_issuer_dn(struct span der, struct span *dn) MUST_CHECK;

#endif
