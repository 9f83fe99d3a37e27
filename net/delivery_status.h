/* What a result means for a mail. Codes in replies (RFC 5321 4.2) and enhanced codes (RFC 3463) become scope and permanence in ONE
 * place: delivery_status.c. */
#ifndef NET_DELIVERY_STATUS_H
#define NET_DELIVERY_STATUS_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

enum delivery_scope {
    SCOPE_RECIPIENT, /* this recipient alone */
    SCOPE_MESSAGE,   /* all recipients of this message at this host */
    SCOPE_HOST,      /* this MX host: try the next one */
    SCOPE_DOMAIN,    /* no host of the domain will do now */
};
enum delivery_result { DELIVERY_DONE, DELIVERY_WAIT, DELIVERY_BOUNCE };

#define DELIVERY_TEXT_MAX 256

struct delivery_status {
    enum delivery_result result;
    enum delivery_scope scope;
    uint16_t code;                /* SMTP reply code, 0 when no reply was had */
    uint8_t enhanced[3];          /* class, subject, detail; 0.0.0 none */
    char text[DELIVERY_TEXT_MAX]; /* printable, says who said what */
};

/* From a reply of the peer. step: "MAIL", "RCPT", "DATA", "end of data", "greeting", ... (constant). A 4yz code waits, a 5yz bounces,
 * 2yz/3yz is done; the scope follows from the step; greeting, EHLO and 421 anywhere are SCOPE_HOST (a 5yz greeting waits there). */
void delivery_status_from_reply(struct delivery_status *out, const char *step, uint16_t code, const uint8_t enhanced[3],
                                struct span text);
/* From a failure of ours or of the connection. */
void delivery_status_from_rc(struct delivery_status *out, const char *step, enum rc rc);
/* One of our own making, printf-like text. */
void delivery_status_set(struct delivery_status *out, enum delivery_result result, enum delivery_scope scope, uint16_t code,
                         const char *enhanced, const char *format, ...);
#define delivery_status_set(out, result, scope, code, enhanced, ...) \
    (delivery_status_set)(out, result, scope, code, enhanced, PACKED_FORMAT(__VA_ARGS__))

#endif
