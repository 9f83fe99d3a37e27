/* One delivery session's slot, and one attempt: a batch of recipients of one domain to one host, under the verdict's demands. */
#ifndef FIRMWARE_ATTEMPT_H
#define FIRMWARE_ATTEMPT_H

#include "board/plan_sizes.h"
#include "firmware/next_hop.h"
#include "firmware/slot_use.h"
#include "firmware/spool.h"
#include "hal/crypto/sha256.h"
#include "net/smtp_client.h"
#include "net/tcp.h"
#include "policy/verdict.h"

#define HURRIED_MS 5000

struct batch_recipient {
    unsigned index; /* in the message */
    bool open;      /* not decided by any host yet */
    struct spool_recipient to;
};

/* What a slot does that is lent to an inbound session (firmware/cut_through.h), or to the console. Its worker opens and ends the
 * connection, for that takes a deep stack; the session speaks on it. */
enum slot_lent {
    LENT_NOT,
    LENT_WANTED, /* the worker is to open a connection to the office's server */
    LENT_OPENING,
    LENT_OPEN,   /* the session's */
    LENT_FAILED, /* the session is to give it back */
    LENT_KEPT,   /* open, for the session's next mail, until kept_until_ms */
    LENT_BACK,   /* the worker is to end it */
    LENT_CHECK,  /* the worker looks at a domain's servers (firmware/domain_check.h) */
    LENT_SEEN,   /* it waits until the console has shown what it saw */
};

enum host_answer {
    HOST_NOT_ASKED, /* no connection was opened */
    HOST_SILENT,    /* it did not answer as a mail server does */
    HOST_GREETED,
};

struct delivery_slot {
    struct task task;
    bool working; /* on a mail of the queue */
    enum slot_lent lent;
    bool line_open;      /* a lent slot's connection is there */
    struct event opened; /* or failed */
    uint64_t kept_until_ms;
    struct cut_through *keeper; /* whose it is while KEPT */
    struct tcp_conn conn;
    struct stream stream;
    struct smtp_client client;
    struct tls_params tls;
    struct tls_facts facts;
    struct arena arena;
    struct spool_entry entry;
    struct spool_envelope envelope;
    struct spool_reader body;
    struct smtp_message message;
    char host_name[DOMAIN_TEXT_MAX]; /* ours */
    char domain[DOMAIN_TEXT_MAX];    /* the batch's */
    unsigned count;
    struct batch_recipient batch[PLAN_DELIVERY_BATCH];
    bool hurried; /* each step up to the message is given HURRIED_MS: too many others wait for servers that say nothing */
    bool cut;     /* a hop that lives broke off this mail's session */
    enum host_answer answer; /* of the host tried last */
    struct {
        bool up;
        uint8_t mails;
        uint16_t hop; /* delivery.c's */
        enum verdict_tls_result tls;
        uint8_t host[SHA256_BYTES]; /* whose it is: of name, port and kind of next hop */
        struct deadline end, idle_end;
    } session;                                       /* kept after a transaction, for a next mail to the same host */
    struct smtp_recipient wire[PLAN_DELIVERY_BATCH]; /* those of the batch that are open, while a session runs */
    struct delivery_status status[PLAN_DELIVERY_BATCH];
    struct next_hop hop;
    struct ip_addr_any address[NEXT_HOP_ADDRESSES_MAX];
    struct verdict_domain known;
    struct list_entry list_entry;
    struct verdict verdict;
    struct verdict_outcome outcome;
    union {
        struct dns_answer dns;                      /* before a transaction */
        uint8_t scratch[SMTP_CLIENT_SCRATCH_BYTES]; /* during one */
    };
    union {
        uint8_t ring[TCP_RING_BYTES];                                  /* while a session is up */
        uint8_t chunk[SPOOL_CHUNK_BYTES] __attribute__((aligned(16))); /* of a report, after attempt_end */
    };
    uint8_t stack[PLAN_SESSION_STACK_BYTES] __attribute__((aligned(16)));
    uint8_t tls_memory[PLAN_DELIVERY_ARENA_BYTES] __attribute__((aligned(16)));
};

extern struct slot_use delivery_memory; /* defined in delivery.c */

/* What the slot calls the box from now on. */
void attempt_own_name(struct delivery_slot *s);
/* Tries the slot's batch at one host, all its addresses; first in the session that is up, if it is this host's, shows what the verdict on
 * this mail demands, and has not had its share of mails. One that ended meanwhile is no failure: a new one is opened. Fills status[] of every recipient that is still open and clears `open` of those that
 * are decided (done, bounced, or waiting for a reason that another host would not change). RC_CANCELLED, else RC_OK. Yields. */
enum rc attempt_host(struct delivery_slot *s, const struct next_hop_host *host) MUST_CHECK;
/* For a lent slot: the same up to the transaction, which is the caller's; s->line_open says whether a connection stands. */
enum rc attempt_open(struct delivery_slot *s) MUST_CHECK;
/* Ends the session that attempt_host may have left up. Yields. */
void attempt_end(struct delivery_slot *s);
/* STARTTLS where it is offered; what came of it. tls has facts. *rc: of the call, RC_OK if none was made. Yields. */
enum verdict_tls_result attempt_start_tls(struct smtp_client *c, struct tls_params *tls, enum rc *rc);
/* What is known of a domain, for the verdict: exceptions, list, the operator's next hop. hop may be NULL (no DNS asked yet). */
void attempt_known(struct verdict_domain *v, struct list_entry *entry, struct span domain, const struct next_hop *hop);

#endif
