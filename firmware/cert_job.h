/* The box gets and renews its own certificate from the authority at acme.directory (RFC 8555), whenever policy/renewal.h says so. An errand with
 * a schedule of its own, kept in the settings log ("acme/state", firmware/cert_store.h): counted as failed before it begins, so that no restart
 * and no power cut makes the box a pest. Every decision to wait, to try or to rest is a log line with its reason and the next time.
 *
 * A certificate that the operator has put in is left alone until he asks for one (cert_job_ask). The key is kept on renewal; the next one is made
 * beforehand, so that its TLSA record can be published before it is used. */
#ifndef FIRMWARE_CERT_JOB_H
#define FIRMWARE_CERT_JOB_H

#include "firmware/cert_store.h"

/* At boot, after errand_init and identity_init. */
void cert_job_init(void);
/* Each minute: raises and clears the alerts about the certificate's life and its renewal. Does not yield. */
void cert_job_watch(void);
/* The operator wants a new certificate, now: CERT_ASKED and what else of CERT_* he wants; or one of CERT_OF_ACCOUNT alone. RC_INVALID: there is nobody to ask, why has words.
 * Yields. */
enum rc cert_job_ask(unsigned flags, struct strbuf *why) MUST_CHECK;

struct cert_job_view {
    const char *idle; /* why nothing is done; NULL: the rest counts */
    bool running;
    struct renewal_plan plan;
    const struct cert_state *state;
};
void cert_job_look(struct cert_job_view *out);

#endif
