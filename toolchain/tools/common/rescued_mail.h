/* One message of a dead box's spool: what its records say together. */
#ifndef TOOLS_RESCUED_MAIL_H
#define TOOLS_RESCUED_MAIL_H

#include "toolchain/tools/common/byte_buffer.h"
#include "toolchain/tools/common/spool_scan.h"

enum rescue_kind {
    RESCUE_QUEUED,     /* somebody waits for it, or for a bounce that may be missing */
    RESCUE_SETTLED,    /* all is done, but for wiping it */
    RESCUE_UNFINISHED, /* without a COMMIT: its sender was never told that it was accepted */
};

struct rescued_recipient {
    struct spool_recipient is;
    bool known; /* false: its record cannot be read */
};

struct rescued_mail {
    uint32_t id;
    enum rescue_kind kind;
    struct spool_envelope envelope;
    struct rescued_recipient *recipients;
    unsigned recipient_count, waiting; /* waiting: also those that are not known */
    struct status_payload status;      /* the newest */
    struct byte_buffer body;           /* CRLF lines, as it was to be sent */
    uint64_t missing_bytes;            /* of the body */
    bool held;
    /* what is wrong with it */
    bool no_commit, no_envelope, body_differs; /* body_differs: a piece fails its CRC, or all of it does */
    unsigned lost_recipients;
};

/* From records, which are all of one message. *m owns what it has until freed. */
void rescued_mail_read(struct rescued_mail *m, const struct scan_record *records, size_t count);
bool rescued_mail_whole(const struct rescued_mail *m);
void rescued_mail_free(struct rescued_mail *m);

#endif
