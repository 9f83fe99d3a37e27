/* The box's own key and certificate: made self-signed on first boot, replaced by an operator's or by an authority's (firmware/cert_job.h),
 * swapped while sessions run. In the settings log: "tls/key.0" and "tls/chain.0" in PEM, and whose they are: "tls/self" ("1") marks a pair
 * made here, "tls/acme" (u32, little-endian: what cert_job asked for) one that was issued; neither, an operator's. */
#ifndef FIRMWARE_IDENTITY_H
#define FIRMWARE_IDENTITY_H

#include "net/tls.h"

/* At boot, after settings, clock and tls_init: loads the stored pair; makes one when there is none, or when the stored one was made here
 * and is broken or no longer names host.name. An operator's pair that cannot be loaded is kept and an alert is raised; so is one made
 * here that only memory or a failing read keeps from loading. Until the next start a temporary pair is shown then. Yields. */
void identity_init(void);
#define IDENTITY_CHAIN_KEY "tls/chain.0"
enum identity_origin { IDENTITY_NONE, IDENTITY_SELF_MADE, IDENTITY_ISSUED, IDENTITY_IMPORTED };
/* Of the stored pair. *issued_for: with IDENTITY_ISSUED, what identity_issue was given; else 0. May be NULL. */
enum identity_origin identity_origin(uint32_t *issued_for);
bool identity_names(const char *host); /* the certificate in use names it */
/* For struct tls_params.select. NULL while there is none (no entropy). */
struct tls_credentials *identity_select(void *ctx, const char *sni);
bool identity_ready(void);
/* Facts for `cert info`; false while there is none. */
bool identity_info(struct tls_leaf_info *out);
/* What others will hold against the certificate in use, in words that go on from "but"; false, and *words empty, if nothing of that kind. */
enum identity_fault { IDENTITY_FAULT_TIME, IDENTITY_FAULT_NAME, IDENTITY_FAULT_ISSUER, IDENTITY_FAULTS };
bool identity_fault(enum identity_fault kind, struct strbuf *words);
/* Puts in an own pair: the certificates that chain_pem holds, leaf first, and the key in key_pem, which may be one text: checked whole,
 * stored durably as one batch, then used by the next handshake. RC_INVALID with words in why; RC_BUSY: another import. Yields. */
enum rc identity_import(struct span chain_pem, struct span key_pem, struct strbuf *why) MUST_CHECK;
/* Puts in what an authority has issued, for what cert_wanted was then. more: records that hold or fall together with it; a value without
 * bytes (p NULL) is deleted. Otherwise as identity_import; also RC_INVALID: it lacks a name that is still wanted. Yields. */
struct identity_record {
    const char *key;
    struct span value;
};
struct identity_issued {
    struct span chain_pem, key_pem;
    uint32_t issued_for;
    const struct identity_record *more;
    unsigned more_count;
};
enum rc identity_issue(const struct identity_issued *i, struct strbuf *why) MUST_CHECK;
/* One large memory for PEM text on its way between flash, parser and console: RAM is dear. NULL while somebody else has it. Given
 * back, it is wiped. */
#define IDENTITY_PEM_BYTES \
    10240 /* a chain that fits a handshake message of ours (4 KiB, 5.5 as text), a key of RSA-4096 (3.2), words */
char *identity_pem_take(void);
void identity_pem_give(void);

#endif
