/* What the office server must show: pins of its key (mail.inside_tls=pin) and the office's own CA (=ca). In the settings log: "pin/HOST"
 * (32 bytes, SHA-256 of the SubjectPublicKeyInfo) and "tls/inside_ca.N" (DER, N from 0). */
#ifndef FIRMWARE_INSIDE_TRUST_H
#define FIRMWARE_INSIDE_TRUST_H

#include "net/tls.h"

/* Roots of the office's own CA; finds nothing when none was put in. */
const struct tls_trust *inside_trust(void);
/* Puts the CA in, in the place of the one before: one to INSIDE_CA_MAX certificates in PEM, decoded where they lie, so that the text is
 * used up. RC_INVALID with words in why. Yields. */
#define INSIDE_CA_MAX 4
enum rc inside_trust_import(char *pem, size_t pem_bytes, struct strbuf *why) MUST_CHECK;
/* Trust on first use: true if the pin of host is this key, or there was none; keep: then it is stored now. A different key raises an alert. Yields. */
bool inside_pin_check(const char *host, const uint8_t spki_sha256[32], bool keep);
/* Forgets host's pin, after its key was changed on purpose. RC_NOT_FOUND. Yields. */
enum rc inside_pin_forget(struct span host) MUST_CHECK;

#endif
