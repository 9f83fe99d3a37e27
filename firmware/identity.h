/* The box's own key and certificate: made self-signed on first boot, replaced by an operator's (and later by ACME's), chosen by SNI,
 * swapped while sessions run. In the settings log: "tls/key.N" and "tls/chain.N" in PEM, N = 0 the main one. */
#ifndef FIRMWARE_IDENTITY_H
#define FIRMWARE_IDENTITY_H

#include "net/tls.h"

/* At boot, after settings, clock and tls_init: loads the stored pair; makes one when there is none, or when the stored one was made here
 * and is broken or no longer names host.name. An operator's pair that cannot be loaded is kept and an alert is raised; so is one made
 * here that only memory or a failing read keeps from loading. Until the next start a temporary pair is shown then. Yields. */
void identity_init(void);
/* For struct tls_params.select. NULL while there is none (no entropy). */
struct tls_credentials *identity_select(void *ctx, const char *sni);
bool identity_ready(void);
/* Facts for `cert info`; false while there is none. */
bool identity_info(struct tls_leaf_info *out);
/* Puts in an own pair: the certificates that chain_pem holds, leaf first, and the key in key_pem, which may be one text: checked whole, stored durably as one batch, then used by the next handshake.
 * RC_INVALID with words in why; RC_BUSY: another import. Yields. */
enum rc identity_import(struct span chain_pem, struct span key_pem, struct strbuf *why) MUST_CHECK;
/* One large memory for PEM text on its way between flash, parser and console: RAM is dear. NULL while somebody else has it. Given
 * back, it is wiped. */
#define IDENTITY_PEM_BYTES \
    10240 /* a chain that fits a handshake message of ours (4 KiB, 5.5 as text), a key of RSA-4096 (3.2), words */
char *identity_pem_take(void);
void identity_pem_give(void);

#endif
