/* Delivery status notifications (RFC 3464 in RFC 6522's multipart/report), written straight into the spool as mail of our own. Never one
 * about a mail whose reverse-path is null, but for the operator's postmaster. */
#ifndef FIRMWARE_DSN_H
#define FIRMWARE_DSN_H

#include "firmware/spool.h"
#include "net/delivery_status.h"

enum dsn_action { DSN_FAILED, DSN_RELAYED, DSN_DELAYED };

struct dsn_recipient {
    const struct spool_recipient *to;
    const struct delivery_status *status;
};

struct dsn {
    enum dsn_action action;
    uint32_t id; /* of the mail that it is about */
    const struct spool_envelope *envelope;
    const struct dsn_recipient *recipient;
    unsigned count;
    const char *host_name;  /* host.name */
    const char *postmaster; /* where a double bounce goes; "" nowhere */
    uint8_t *chunk;         /* SPOOL_CHUNK_BYTES for the writer */
    int64_t now;
    int64_t until; /* DSN_DELAYED: when the mail is given up; 0 unknown */
};

/* True if the envelope's sender and the recipient's NOTIFY want one. Where NOTIFY says nothing, failures are told to all, and delays to
 * senders inside alone: who sends from outside has a server that tells its own, or has forged the address. */
bool dsn_wanted(enum dsn_action action, const struct spool_envelope *e, const struct spool_recipient *to, const char *postmaster);
/* Writes and commits it; *id names it. Only then may the recipients be settled. Yields. */
enum rc dsn_write(const struct dsn *d, uint32_t *id) MUST_CHECK;

#endif
