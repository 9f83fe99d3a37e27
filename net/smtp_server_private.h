/* What smtp_server.c, smtp_server_mail.c and smtp_server_auth.c share; for these three alone.
 * A command's handler gives RC_OK and the session goes on, unless s->ending is set; an error ends it with that error. */
#ifndef NET_SMTP_SERVER_PRIVATE_H
#define NET_SMTP_SERVER_PRIVATE_H

#include "net/smtp_server.h"

/* Reads one line into s->line, within what the session may still take; answers overlong and bare-LF lines itself: then
 * line->p is NULL. */
enum rc smtp_server_line(struct smtp_server *s, struct span *line) MUST_CHECK;
/* Sends an answer; a->close ends the session. */
enum rc smtp_server_say(struct smtp_server *s, const struct smtp_answer *a) MUST_CHECK;
enum rc smtp_server_reply(struct smtp_server *s, uint16_t code, const char *enhanced, const char *text) MUST_CHECK;
/* A reply to something wrong: counts. */
enum rc smtp_server_refuse(struct smtp_server *s, uint16_t code, const char *enhanced, const char *text) MUST_CHECK;
/* The last reply of a session: it ends with rc. linger: the peer may still be sending, so that a reset would take the reply
 * away from it; read on for a moment. */
enum rc smtp_server_last(struct smtp_server *s, enum rc rc, bool linger, uint16_t code, const char *enhanced,
                         const char *text) MUST_CHECK;
/* Says 421 where a wait ended with rc (timeout, too slow, cancelled) and ends the session with it. */
enum rc smtp_server_gone(struct smtp_server *s, enum rc rc) MUST_CHECK;
/* Until when to wait for the peer's next bytes, at most ms; and the account of having waited since a time. */
struct deadline smtp_server_patience(const struct smtp_server *s, uint32_t ms);
void smtp_server_waited(struct smtp_server *s, uint64_t since_ms);
/* RC_TIMEOUT becomes RC_TOO_SLOW when the least data rate was what ran out. */
enum rc smtp_server_wait_result(const struct smtp_server *s, enum rc rc);
/* Forgets the transaction; tells the owner if it was not told yet. */
void smtp_server_reset(struct smtp_server *s);

enum rc smtp_server_mail(struct smtp_server *s, struct span args) MUST_CHECK;
enum rc smtp_server_rcpt(struct smtp_server *s, struct span args) MUST_CHECK;
enum rc smtp_server_data(struct smtp_server *s, struct span args) MUST_CHECK;
enum rc smtp_server_bdat(struct smtp_server *s, struct span args) MUST_CHECK;
bool smtp_server_offers_auth(const struct smtp_server *s);
enum rc smtp_server_auth(struct smtp_server *s, struct span args) MUST_CHECK;

#endif
