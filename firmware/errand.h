/* The box's own errands: what it fetches for itself from servers that it knows by URL (lists, certificates). One task with one TLS
 * session runs them in turn, because a small board has memory for one. Each has its time; a failed one is put off for 1, 10 and 100 minutes,
 * then half a day, all jittered. When each is due and how often it has failed is in the settings log as "errand/NAME" and survives a reboot:
 * u8 failures, 7 bytes 0, i64 unix time when it is due (little-endian; 0: the clock was unknown). An errand with a schedule of its own keeps
 * its own books. */
#ifndef FIRMWARE_ERRAND_H
#define FIRMWARE_ERRAND_H

#include "net/dns.h"
#include "net/http_client.h"
#include "net/smtp_client.h"

#define ERRAND_EVERY_MAX_S (48 * 3600) /* no errand waits longer, whatever a server or a clock says */
#define ERRAND_LOOK_S 60               /* the clock may jump */

struct errand {
    const char *name;    /* a constant, for log and settings log */
    const char *setting; /* the URL's key: unset, it is not run; changed, it is due at once */
    const char *roots;   /* the key of its choice public|inside; NULL: public */
    /* Does it, with a client of its own for the time. RC_OK: *next_s is set. Else: *next_s is 0, or at least how long to wait; why has words.
     * Yields. */
    enum rc (*run)(struct http_client *http, uint32_t *next_s, struct strbuf *why);
    /* Its own schedule: seconds until it is due. Asked at every look, at least every ERRAND_LOOK_S, and the engine then puts nothing off and keeps
     * nothing. NULL: the engine's. Must not yield. */
    uint32_t (*due_in_s)(void);
    unsigned failures; /* in a row */
    /* errand.c's own */
    uint64_t due_ms; /* on clock_ms's scale */
    uint32_t url_sum;
    bool running;
    struct errand *next;
};

/* At boot, after the network; each errand lives as long as the box. */
void errand_init(void);
void errand_add(struct errand *e);
/* Runs it soon, whatever its time (with a schedule of its own: asks that again). False: its setting is unset. */
bool errand_now(struct errand *e);
/* The clock was set: schedules are asked again. */
void errand_look(void);
/* Seconds until it is due: 0 while it runs. */
uint32_t errand_due_in_s(const struct errand *e);

/* The Date of the answer that http has just read, if it is one that counts: from the very host that the errand's URL names, over a connection
 * whose certificate was valid then. Else 0. */
int64_t errand_verified_date(const struct http_client *http);

/* For an errand that is not about the web: its memory for DNS answers, while no connection is open, ... */
struct dns_answer *errand_dns(void);
/* ... and a session with a mail server on port 25, in http's place, from errand_smtp_open to errand_smtp_close, whatever the first gave:
 * errors of tcp_stream_connect and smtp_client_greet. name: our own for EHLO, and the one to look for in the certificate. Yields. */
struct errand_smtp {
    struct smtp_client *client;
    struct tls_params *tls; /* for smtp_client_starttls */
};
enum rc errand_smtp_open(struct errand_smtp *s, const struct ip_addr_any *to, const char *name) MUST_CHECK;
void errand_smtp_close(void);

#endif
