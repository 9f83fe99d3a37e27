/* One conversation with a certificate authority: from the directory to the pair in use (net/acme.h marries settings, keys and challenges here).
 * Knows no schedule. All of its texts lie in identity_pem_take's memory, which the caller has taken and gives back afterwards. */
#ifndef FIRMWARE_CERT_DIALOGUE_H
#define FIRMWARE_CERT_DIALOGUE_H

#include "firmware/cert_store.h"
#include "net/acme.h"

/* What is asked for now: CRC of host.name, acme.names, acme.profile and acme.directory. A certificate issued for another is renewed. */
uint32_t cert_wanted(void);
/* The n-th name that a certificate has to have: host.name, then those of acme.names. False: no more. */
bool cert_wanted_name(unsigned n, struct strbuf *name);
/* The n-th TXT record that acme.challenge wants in the DNS. False: no more, or the account for it has yet to be made. */
bool cert_wanted_record(unsigned n, struct strbuf *owner, struct strbuf *data);

/* The directory at acme.directory, asked with the account's key. *why: words. Yields. */
enum rc cert_dialogue_open(struct http_client *http, char *memory, struct strbuf *why) MUST_CHECK;
/* After open: the authority's window for the certificate in use, if that one is issued. RC_UNSUPPORTED: it has none. Yields. */
enum rc cert_dialogue_window(struct acme_renewal *out, struct strbuf *why) MUST_CHECK;
/* After open: account, order, challenges, certificate; stored with the state *fresh, and in use. new_key: with the next key, which takes the
 * current one's place; so also where that one cannot be asked for. On error the pair is as it was. Yields. */
enum rc cert_dialogue_issue(const struct cert_state *fresh, bool new_key, struct strbuf *why) MUST_CHECK;
/* After open: revokes the certificate in use. Yields. */
enum rc cert_dialogue_revoke(bool stolen, struct strbuf *why) MUST_CHECK;
/* After open: closes the account, or gives it the next account key, and stores that. Also good after a try whose answer was lost: then the authority
 * knows the key in use no more. RC_REFUSED: for good; RC_BUSY: it may be tried again. Yields. */
enum rc cert_dialogue_account(bool close, struct strbuf *why) MUST_CHECK;
/* How long the server asked to wait in its last answer; -1: it did not. */
int64_t cert_dialogue_retry_after_s(void);

#endif
