/* Mail from outside goes straight through to the office's server while that answers: what it says at RCPT and at the final dot is what the
 * sender is told, and nothing is written to flash. So a filter inside refuses at the source, and this box has no bounces to send.
 *
 * The spool serves instead when the server cannot be asked (off by mail.cut_through, not reached, no session free, 421), when recipients go
 * to different servers, and when the server lacks an extension that this mail needs. That can happen up to the message's first byte; the
 * owner keeps envelope and recipients in a spool writer until then, which costs no flash. Once the message is under way it is nowhere but on
 * its way: a break is answered 451, and the sender tries again. A copy on flash would save the sender that one retry, and cost each
 * mail a write.
 *
 * 250 is said after the server's 250, so a break in between gives a second copy, never a loss.
 *
 * The connection uses a delivery slot that is idle, TLS or not: a plan of its own would cost a small board an eighth of its memory. At
 * most half of the slots are lent, and never the last idle one: outgoing mail always finds a session. Between the mails of one session the
 * connection is kept for moments, under the same sender's address. */
#ifndef FIRMWARE_CUT_THROUGH_H
#define FIRMWARE_CUT_THROUGH_H

#include "net/smtp_server.h"

enum cut_state {
    CUT_OFF,      /* this mail is for the spool */
    CUT_START,    /* the server was told nothing yet, or refused MAIL */
    CUT_ENVELOPE, /* it took MAIL */
    CUT_BODY,     /* it waits for the message's bytes */
    CUT_REFUSED,  /* it spoke before the end: the rest is dropped */
    CUT_BROKEN,   /* the connection broke in the message: the rest is dropped */
};

struct delivery_slot;
struct cut_through { /* of one inbound session; zeroed at its start */
    enum cut_state state;
    bool dirty;  /* the kept connection wants RSET first */
    bool asking; /* waits for the office's server: the sender is not idle */
    uint64_t body_bytes;
    struct smtp_stuff stuff;
    struct delivery_slot *line; /* the connection, or NULL */
};

struct cut_mail {
    const struct smtp_server *server; /* MAIL's parameters and the sender's name */
    const struct ip_endpoint *peer;   /* the sender */
    uint32_t id;                      /* for the log */
};

/* A mail begins. */
void cut_through_begin(struct cut_through *c, bool from_outside);
/* True while the office's server is asked, or will be: the spool's room does not matter. */
bool cut_through_wanted(const struct cut_through *c);
/* One recipient that the rules let in. True: *a has the answer, which is left as it is where the server says yes. False: the spool serves
 * this mail from here on. Yields. */
bool cut_through_rcpt(struct cut_through *c, const struct cut_mail *m, const struct smtp_recipient *r, const char *domain,
                      struct smtp_answer *a);
/* The same for DATA: true with 354 and the message is under way, or with the server's refusal. Yields. */
bool cut_through_data(struct cut_through *c, uint32_t id, struct smtp_answer *a);
/* True while the message goes through. */
bool cut_through_is_open(const struct cut_through *c);
/* The message's bytes; a break shows at its end. Yields. */
void cut_through_write(struct cut_through *c, struct span bytes);
/* The end: the server's word, or 451. Yields. */
void cut_through_end(struct cut_through *c, struct smtp_answer *a);
/* The mail was given up: the server drops what it has. */
void cut_through_abort(struct cut_through *c);
/* The session ends. */
void cut_through_leave(struct cut_through *c);

/* The server was reached, or the operator wants it tried: no need to wait. */
void cut_through_try_now(void);
const char *cut_through_now(void); /* for `status`: "on", "off", "waits" */

/* For the delivery workers: does what is asked of a lent slot. False: it is the worker's own. Yields. */
bool cut_through_serve(struct delivery_slot *s);
void cut_through_slot_is_idle(void);

#endif
