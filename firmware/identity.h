/* The box's own key and certificate: made self-signed on first boot, replaced by an operator's (and later by ACME's), chosen by SNI,
 * swapped while sessions run. In the settings log: "tls/key.N" and "tls/chain.N" in PEM, N = 0 the main one. */
#ifndef FIRMWARE_IDENTITY_H
#define FIRMWARE_IDENTITY_H

#include "net/tls.h"

/* At boot, after settings, clock and tls_init: loads the stored pair; makes one when there is none, or when a self-signed one no longer
 * names host.name. Yields. */
void identity_init(void);
/* For struct tls_params.select. NULL while there is none (no entropy). */
struct tls_credentials *identity_select(void *ctx, const char *sni);
bool identity_ready(void);
/* Facts for `cert info`; false while there is none. */
bool identity_info(struct tls_leaf_info *out);
/* Puts in an own pair: checked whole, stored durably as one batch, then used by the next handshake. RC_INVALID with words in why. Yields. */
enum rc identity_import(struct span chain_pem, struct span key_pem, struct strbuf *why) MUST_CHECK;
/* The memory in which PEM text stands here on its way between flash and parser, for who collects a pasted text before identity_import
 * or inside_trust_import: RAM is dear. Nothing here uses it while the console reads lines, but whoever makes a certificate of its own
 * accord must leave a paste alone. The text is gone after the next load; the user wipes it. */
char *identity_paste_memory(size_t *bytes);

#endif
