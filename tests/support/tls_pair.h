/* Our TLS client and our TLS server as two tasks over memory, with the certificates of make_pki.py and a clock that jumps
 * when all wait. One pair at a time. Brings a board of its own: clock, entropy, panic. */
#ifndef TESTS_SUPPORT_TLS_PAIR_H
#define TESTS_SUPPORT_TLS_PAIR_H

#include "hal/task.h"
#include "net/tls_session.h"
#include "tests/support/pipe_stream.h"

#define PAIR_NOW 1780272000 /* 2026-06-01: inside the life of what has no fault of time */
#define PAIR_HOST "mx.example.test"
#define PAIR_ARENA_BYTES (96u * 1024)

struct side {
    struct task task;
    struct stream s;
    struct tls_params params;
    struct tls_facts facts;
    struct arena arena;
    struct deadline deadline; /* of the handshake */
    enum rc rc;               /* of stream_starttls */
    /* Runs in the side's task in place of the handshake, or after it was done. NULL: nothing. */
    void (*instead)(struct side *self);
    void (*after)(struct side *self);
    enum rc read_rc; /* for after() */
    char text[200];
};

extern struct side pair_server, pair_client;
extern struct pipe_end pair_server_end, pair_client_end;
extern struct tls_credentials *pair_served;
extern char pair_asked_sni[DOMAIN_TEXT_MAX]; /* what select was asked for; "-": no SNI */
extern uint64_t pair_now_us;
extern bool pair_entropy_works;

struct deadline pair_soon(void); /* 5 s */

/* Reads build/tests/pki/LABEL.SUFFIX into memory of TLS_PEM_MAX bytes; a missing file ends the program. */
struct span pair_read_file(const char *label, const char *suffix, char *memory);
void pair_hold_root(const char *label); /* PEM file; NULL drops all */
struct tls_credentials *pair_load(const char *label);

/* Fresh streams and arenas, parameters for a handshake that works; then change what the test is about. */
void pair_prepare(void);
/* Runs both tasks to their end; watch, if set, is called whenever both have yielded. */
void pair_run(void);
extern void (*pair_watch)(void);
/* prepare, serve label, run. */
void pair_serve(const char *label);

#endif
