/* The server side of an SMTP session: one dialogue from greeting to close (RFC 5321 with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, CHUNKING,
 * ENHANCEDSTATUSCODES, DSN, STARTTLS, AUTH). Knows no policy: it asks its owner through struct smtp_server_ops.
 * Bounds on time, lines, errors and recipients are in struct smtp_server_limits. */
#ifndef NET_SMTP_SERVER_H
#define NET_SMTP_SERVER_H

#include "net/smtp_address.h"
#include "net/smtp_client.h"
#include "net/smtp_data.h"
#include "net/tls.h"

#define SMTP_ANSWER_TEXT_MAX 280 /* holds the longest host name and a word */
struct smtp_answer {
    uint16_t code;
    char enhanced[10]; /* "2.1.5", or "" */
    char text[SMTP_ANSWER_TEXT_MAX];
    bool close; /* the session ends after this reply */
};
void smtp_answer(struct smtp_answer *a, uint16_t code, const char *enhanced, const char *format, ...);
#define smtp_answer(a, code, enhanced, ...) (smtp_answer)(a, code, enhanced, PACKED_FORMAT(__VA_ARGS__))

enum smtp_service { SMTP_SERVICE_MX, SMTP_SERVICE_SUBMISSION, SMTP_SERVICE_SUBMISSIONS /* TLS from the first byte */ };

struct smtp_server_limits {
    uint32_t command_ms;        /* for the next command line, RFC 5321: 5 min */
    uint32_t data_block_ms;     /* for the next bytes of DATA, 3 min */
    uint32_t session_ms;        /* from the start to MAIL, from MAIL to the message, and from a mail taken to the next */
    uint32_t least_bytes_per_s; /* in DATA and BDAT after grace_ms, counting only the time spent waiting; 0: none */
    uint32_t grace_ms;
    uint32_t handshake_ms;
    unsigned errors_max;        /* bad commands, then 421 and close */
    unsigned recipients_max;    /* at least 100; more get 452 4.5.3, and ten times as many RCPTs 421 */
    unsigned idle_commands_max; /* NOOP, RSET, VRFY, HELO... without a mail, then 421 */
    uint64_t size_max;          /* bytes; 0: none */
};

struct smtp_server_mail { /* MAIL FROM */
    struct smtp_address sender;
    uint64_t declared_bytes; /* SIZE=, 0 when none */
    enum smtp_body body;
    bool utf8;
    char envid[101]; /* xtext as given */
    uint8_t ret;     /* 0, 'F', 'H' */
};
struct smtp_server_rcpt {
    struct smtp_address address;
    uint8_t notify;
    char orcpt[321]; /* as given; "" also for one that is longer: it only informs */
};

struct smtp_server;

/* The owner's answers. All may yield. Each fills *a; a code >= 400 refuses. *a comes with a 451, which stays for who fills nothing. */
struct smtp_server_ops {
    void (*mail)(void *ctx, struct smtp_server *s, const struct smtp_server_mail *m, struct smtp_answer *a);
    void (*rcpt)(void *ctx, struct smtp_server *s, const struct smtp_server_rcpt *r, struct smtp_answer *a);
    /* Before 354 (or the first BDAT chunk): opens the message; 354 on success. */
    void (*data)(void *ctx, struct smtp_server *s, struct smtp_answer *a);
    /* Message bytes as they go on: CRLF lines, dots unstuffed. An error makes the end refuse; the rest is read and dropped, and
     * abort is called at once. RC_FULL refuses with 452 4.3.1, RC_TOO_LONG with 552 5.3.4, RC_REFUSED with 554 5.4.6 (a mail
     * loop), RC_INVALID with 550 5.6.0, all else with 451 4.3.0. */
    enum rc (*write)(void *ctx, struct span bytes);
    /* The end: 250 only if the message is safe. */
    void (*done)(void *ctx, struct smtp_server *s, struct smtp_answer *a);
    /* A transaction that mail accepted ended without done: RSET, EHLO, disconnect, refusal. At most once a transaction. */
    void (*abort)(void *ctx);
    /* Decides the line-end rule for this peer. */
    enum smtp_line_ends (*line_ends)(void *ctx);
    /* AUTH PLAIN/LOGIN, offered over TLS on submission when not NULL. */
    void (*auth)(void *ctx, struct smtp_server *s, struct span user, struct span password, struct smtp_answer *a);
};

struct smtp_server_params {
    enum smtp_service service;
    const char *host_name; /* in the greeting and EHLO */
    struct smtp_server_limits limits;
    const struct smtp_server_ops *ops;
    void *ctx;
    struct tls_params *tls; /* NULL: STARTTLS is not offered; facts in tls->facts */
    bool busy;              /* greet with 421 and close: no slot */
};

struct smtp_server {
    struct stream *stream;
    const struct smtp_server_params *params;
    bool esmtp, tls, authenticated;
    char helo[DOMAIN_TEXT_MAX]; /* sanitised; "" before HELO/EHLO */
    bool mail_open;             /* MAIL accepted */
    unsigned recipients, errors, idle_commands, mails_taken;
    bool in_data;
    uint64_t data_bytes;
    uint64_t last_activity_ms; /* for "the idlest session gives way" */
    /* private to smtp_server*.c from here */
    union {
        struct {
            struct smtp_server_mail mail; /* of the transaction */
            struct smtp_server_rcpt rcpt;
        };
        char data[2048]; /* AUTH's credentials; what is read only to be dropped. Both come outside a transaction */
    };
    struct smtp_answer answer;
    struct smtp_data decoder;
    struct deadline session;
    bool chunking;   /* BDAT, not DATA, carries this message */
    bool owner_open; /* mail() accepted, neither done() nor abort() called */
    bool drop;       /* the message is refused already; answer says why */
    bool ending, linger;
    enum rc end;
    unsigned rcpt_commands; /* in this transaction */
    uint64_t data_received, data_dropped, data_waited_ms;
    char line[2048 + 2]; /* command line bound: RFC 5321 4.5.3.1.4 says 512, extensions and SMTPUTF8 add; longer: 500 */
};

/* How fast the peer sends its message, in bytes a second of the time spent waiting for it, this moment's wait included. Only for a
 * session in_data. *waited_ms: that time. */
uint64_t smtp_server_data_rate(const struct smtp_server *s, uint64_t *waited_ms);

/* Runs the whole session on an open stream and closes it; *s needs no preparation. The result says how it ended: RC_OK on QUIT,
 * RC_CLOSED, RC_TIMEOUT, RC_TOO_SLOW, RC_PROTOCOL (too many errors, bare line ends, injection, talking before the greeting),
 * RC_REFUSED (an answer of the owner closed it), RC_BUSY, RC_CANCELLED (421 was said), RC_TLS (handshake). Yields. */
enum rc smtp_server_run(struct smtp_server *s, struct stream *stream, const struct smtp_server_params *p);

#endif
