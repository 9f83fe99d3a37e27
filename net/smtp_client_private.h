/* What the files smtp_client*.c share; for these alone.
 * A command line is put together piece by piece; the first failure sticks and comes out of smtp_client_end. Each function that
 * gives an error has filled c->status. */
#ifndef NET_SMTP_CLIENT_PRIVATE_H
#define NET_SMTP_CLIENT_PRIVATE_H

#include "net/smtp_client.h"

void smtp_client_begin(struct smtp_client *c, uint64_t ms);     /* a step that ends within ms */
void smtp_client_put(struct smtp_client *c, struct span piece); /* a control character in it ends the session: RC_INVALID */
void smtp_client_puts(struct smtp_client *c, const char *text);
void smtp_client_put_u64(struct smtp_client *c, uint64_t value);
enum rc smtp_client_end(struct smtp_client *c, const char *step) MUST_CHECK; /* CRLF */
/* The next reply, within the step. A 421 is RC_REFUSED here, whatever was asked. */
enum rc smtp_client_reply(struct smtp_client *c, const char *step) MUST_CHECK;
/* A whole command with its reply. */
enum rc smtp_client_command(struct smtp_client *c, const char *step, const char *line) MUST_CHECK;
enum rc smtp_client_hello(struct smtp_client *c) MUST_CHECK; /* EHLO, or HELO */
/* Turns c->reply, or a failure of the connection, into c->status. smtp_client_lost makes c dead and gives rc. */
enum rc smtp_client_refused(struct smtp_client *c,
                            const char *step) MUST_CHECK; /* RC_REFUSED; RC_PROTOCOL for a 2yz or 3yz reply */
enum rc smtp_client_lost(struct smtp_client *c, const char *step, enum rc rc) MUST_CHECK;
/* The same in the middle of a message: the connection is cut, so that the server drops what it has. */
enum rc smtp_client_cut_short(struct smtp_client *c, enum rc rc) MUST_CHECK;
/* How long a reply that begins before the message's end may take. */
#define SMTP_CLIENT_EARLY_REPLY_MS 10000

/* MAIL and RCPT with the parameters that the server's extensions allow, without the line's end. */
void smtp_client_put_mail(struct smtp_client *c, const struct smtp_message *m, bool eightbit, bool utf8);
void smtp_client_put_rcpt(struct smtp_client *c, const struct smtp_recipient *r);

/* Bits of c->xclient. */
enum { XCLIENT_ADDR = 1, XCLIENT_NAME = 2, XCLIENT_PROTO = 4, XCLIENT_HELO = 8 };

#endif
