/* The client side of one SMTP (or LMTP-less) session as a sequence of calls (RFC 5321, 3207, 2920, 1870, 6152, 6531, 3030, 3461, 4954).
 * Knows no policy: the caller reads the facts between the steps and decides whether to go on. */
#ifndef NET_SMTP_CLIENT_H
#define NET_SMTP_CLIENT_H

#include "net/delivery_status.h"
#include "net/smtp_data.h"
#include "net/smtp_reply.h"
#include "net/tls.h"

enum smtp_extension { /* bits of smtp_client.extensions */
                      SMTP_STARTTLS = 1 << 0,
                      SMTP_PIPELINING = 1 << 1,
                      SMTP_SIZE = 1 << 2,
                      SMTP_8BITMIME = 1 << 3,
                      SMTP_SMTPUTF8 = 1 << 4,
                      SMTP_CHUNKING = 1 << 5,
                      SMTP_ENHANCED = 1 << 6,
                      SMTP_DSN = 1 << 7,
                      SMTP_AUTH_PLAIN = 1 << 8,
                      SMTP_AUTH_LOGIN = 1 << 9,
                      SMTP_XCLIENT = 1 << 10,
                      SMTP_REQUIRETLS = 1 << 11,
                      SMTP_STRIPPED =
                          1
                          << 12, /* a keyword line of X or other filler in STARTTLS's place: "XXXXXXXX", "XXXXXXXA" (middlebox sign) */
};

struct smtp_client {
    struct stream *stream;
    const char *helo;              /* our name */
    uint32_t extensions;           /* of the last EHLO; 0 after HELO */
    uint64_t size_max;             /* 0: not said */
    bool tls;                      /* STARTTLS done */
    struct smtp_reply reply;       /* the last one */
    struct delivery_status status; /* of the last failed call, SCOPE_HOST where the session cannot go on */
    char greeting[128];            /* printable */
    uint32_t most_ms; /* bounds each step where it is shorter than the RFC's time; 0: it does not. Set before greet; the end of
                                    * a message that smtp_client_send sends has its full time again, and all after it: else it would go twice */
    /* private to smtp_client*.c from here */
    bool dead;            /* no command can be sent any more */
    uint8_t xclient;      /* attributes that the server takes */
    enum rc put;          /* first failure while a command line is put together */
    struct deadline step; /* bounds the step under way */
};

/* Timeouts of RFC 5321 4.5.3.2, shortened where that is safe; each bounds a whole step. */
#define SMTP_CLIENT_GREETING_MS (5 * 60 * 1000)
#define SMTP_CLIENT_COMMAND_MS (5 * 60 * 1000)
#define SMTP_CLIENT_DATA_INIT_MS (2 * 60 * 1000)
#define SMTP_CLIENT_DATA_BLOCK_MS (3 * 60 * 1000)
#define SMTP_CLIENT_DATA_DONE_MS (10 * 60 * 1000)
#define SMTP_CLIENT_QUIT_MS (5 * 1000)
#define SMTP_CLIENT_LEAST_BYTES_PER_MS 4 /* the whole body: DATA_DONE_MS and a ms for each of these; 20 MB within 95 min */

/* Every call yields and returns RC_OK, or an error with c->status filled. helo lasts as long as c. */
enum rc smtp_client_greet(struct smtp_client *c, struct stream *s, const char *helo) MUST_CHECK; /* greeting, EHLO or HELO */
/* STARTTLS, handshake, EHLO again. RC_REFUSED: not offered, or the server said no (the session is still good in plaintext unless
 * status.scope is SCOPE_HOST); RC_PROTOCOL: bytes came with the 220; RC_TLS: p->facts says why (also a handshake that was cut or
 * took too long). What the first EHLO offered is forgotten. */
enum rc smtp_client_starttls(struct smtp_client *c, struct tls_params *p) MUST_CHECK;
/* AUTH PLAIN or LOGIN; refuses (RC_REFUSED, nothing sent) outside TLS. */
enum rc smtp_client_auth(struct smtp_client *c, struct span user, struct span password) MUST_CHECK;
/* XCLIENT ADDR= NAME= PROTO= HELO= (Postfix), then the greeting again. RC_REFUSED if not offered. */
struct smtp_client_origin {
    struct ip_endpoint peer;
    const char *name, *helo, *proto;
};
enum rc smtp_client_xclient(struct smtp_client *c, const struct smtp_client_origin *o) MUST_CHECK;

enum smtp_body { SMTP_BODY_7BIT, SMTP_BODY_8BITMIME };
enum { DSN_NOTIFY_NEVER = 1, DSN_NOTIFY_SUCCESS = 2, DSN_NOTIFY_FAILURE = 4, DSN_NOTIFY_DELAY = 8 };

struct smtp_recipient {
    struct span address;           /* without brackets */
    uint8_t notify;                /* DSN_NOTIFY_*, 0: not given */
    struct span orcpt;             /* as given on RCPT ("rfc822;..." xtext), may be empty */
    struct delivery_status status; /* out */
};

struct smtp_message {
    struct span sender;  /* without brackets; empty: <> */
    uint64_t size_bytes; /* exactly what read will give; 0: not known */
    enum smtp_body body;
    bool utf8;         /* SMTPUTF8 was asked on MAIL */
    struct span envid; /* xtext as given; empty: none */
    uint8_t ret;       /* 0 none, 'F' FULL, 'H' HDRS */
    /* The message's next bytes, CRLF lines, no dot-stuffing: *got 0 at the end. May yield. */
    enum rc (*read)(void *ctx, void *buf, size_t cap, size_t *got);
    enum rc (*rewind)(void *ctx);
    void *read_ctx;
};

/* One transaction: MAIL, RCPT..., then DATA or BDAT; pipelined when offered. Every recipient gets its status, whatever happens. A body
 * that the server cannot take (8-bit without 8BITMIME, UTF-8 without SMTPUTF8, over SIZE) bounces without being sent; what was only
 * declared so, but is all ASCII, goes. A message that holds a bare CR, a bare LF or a NUL is never sent: it bounces, and the session
 * ends. No reply to the end of the message: it waits, and may arrive twice. RC_OK: the session is good for another transaction;
 * else only for smtp_client_quit. scratch: at least SMTP_CLIENT_SCRATCH_BYTES. */
#define SMTP_CLIENT_SCRATCH_BYTES 2048
enum rc smtp_client_send(struct smtp_client *c, struct smtp_message *m, struct smtp_recipient *r, unsigned count, void *scratch,
                         size_t scratch_bytes) MUST_CHECK;

/* The same step by step, for a mail that is still coming in: MAIL, RCPT..., DATA, its bytes, the end; one call, one reply, which is in
 * c->reply. RC_OK: a reply of 2yz, 4yz or 5yz (to DATA: 354, 4yz or 5yz); the session goes on. Else it is lost, or said 421 (RC_REFUSED):
 * only smtp_client_quit is left. size_bytes of m is only told, read and rewind are not asked. What the extensions do not offer is not
 * sent: it is for the caller to look before. */
enum rc smtp_client_pass_mail(struct smtp_client *c, const struct smtp_message *m) MUST_CHECK;
enum rc smtp_client_pass_rcpt(struct smtp_client *c, const struct smtp_recipient *r) MUST_CHECK;
enum rc smtp_client_pass_data(struct smtp_client *c, struct smtp_stuff *stuff) MUST_CHECK;
/* RC_REFUSED: the server spoke before the end, c->reply says what; the session is lost. */
enum rc smtp_client_pass_write(struct smtp_client *c, struct smtp_stuff *stuff, struct span bytes) MUST_CHECK;
enum rc smtp_client_pass_end(struct smtp_client *c, struct smtp_stuff *stuff) MUST_CHECK;
enum rc smtp_client_pass_reset(struct smtp_client *c) MUST_CHECK; /* RSET; RC_OK: 250 */
void smtp_client_cut(struct smtp_client *c); /* ends the connection at once, so that the server drops what it has */

void smtp_client_quit(struct smtp_client *c); /* QUIT, short wait, close; always ends the stream */

#endif
