/* The spool's scripted day for power-cut tests: several writers and carriers at once, and the ledger that they keep of what was
 * acknowledged to them, in memory that the processes of a test share. Included by one test. */
#ifndef TESTS_POWERCUT_SPOOL_DAY_H
#define TESTS_POWERCUT_SPOOL_DAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <unistd.h>

#include "firmware/spool.h"
#include "tests/powercut/dice.h"
#include "tests/support/flash_sim.h"

#define BLOCK 4096u
#define SEGMENT (32u * 1024)
#define SEGMENTS 11u
#define FLASH_BYTES (SEGMENT * SEGMENTS)
#define MAILS_MAX 400
#define RECIPIENTS_MAX 3
#define WRITERS 4
#define CARRIERS 2
#define SYNCS_MAX 8

/* --- the ledger, in memory that all processes share --- */

struct mail {
    uint32_t seed, id; /* id 0: not acknowledged */
    uint32_t bytes;
    uint8_t recipients;
    bool acked, settle_begun, settled;
    uint8_t outcome[RECIPIENTS_MAX]; /* acknowledged; SPOOL_WAITING: none */
    bool outcome_begun[RECIPIENTS_MAX];
    bool defer_begun;
    int64_t next_try; /* acknowledged */
};

struct shared {
    uint8_t image[FLASH_BYTES];
    struct mail mails[MAILS_MAX];
    unsigned count;
    uint64_t operations, reclaimed, compacted;
    unsigned sync_count;
    uint64_t sync_at[SYNCS_MAX]; /* of commits */
    uint32_t highest_id;
    uint64_t worn_block; /* and 1; 0: none */
    char why[300];
};
static struct shared *shared, *aged;

__attribute__((format(printf, 1, 2), noreturn)) static void broken(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(shared->why, sizeof shared->why, format, ap);
    va_end(ap);
    _exit(1);
}

static void must(enum rc rc, const char *what)
{
    if (rc != RC_OK)
        broken("%s: %s", what, rc_name(rc));
}

/* --- what a mail looks like --- */

static uint8_t body_byte(uint32_t seed, uint32_t i)
{
    uint32_t x = i * 2654435761u ^ (seed + 1) * 40503u;
    x ^= x >> 15;
    x *= 2246822519u;
    return (uint8_t)(x >> 24 | 1);
}

static struct mail make_mail(uint32_t seed)
{
    static const uint32_t sizes[] = { 40, 700, 2500, 3900, 4100, 9000, 14000 };
    return (struct mail){ .seed = seed, .bytes = sizes[seed % 7] + seed % 13, .recipients = (uint8_t)(1 + seed % RECIPIENTS_MAX) };
}

static struct spool_envelope make_envelope(uint32_t seed)
{
    struct spool_envelope e = { .received = seed, .origin = SPOOL_FROM_INSIDE };
    snprintf(e.sender, sizeof e.sender, "from-%u-end@example.org", (unsigned)seed);
    return e;
}

static struct spool_recipient make_recipient(uint32_t seed, unsigned index)
{
    struct spool_recipient r = { 0 };
    snprintf(r.address, sizeof r.address, "to-%u-%u-end@example.net", (unsigned)seed, index);
    snprintf(r.domain, sizeof r.domain, "example.net");
    return r;
}

static struct mail *mail_of(uint32_t seed)
{
    for (unsigned i = 0; i < shared->count; i++)
        if (shared->mails[i].seed == seed)
            return &shared->mails[i];
    return NULL;
}

static struct mail *mail_of_id(uint32_t id)
{
    for (unsigned i = 0; i < shared->count; i++)
        if (shared->mails[i].id == id)
            return &shared->mails[i];
    return NULL;
}

/* --- the day --- */

static unsigned running;
static uint32_t next_seed, mails_to_write;
static int64_t evening; /* what is due by then is tried before the day ends */

static enum rc write_mail(struct spool_writer *w, uint8_t *chunk, const struct mail *m)
{
    struct spool_envelope e = make_envelope(m->seed);
    enum rc rc = spool_begin(w, chunk, &e, m->seed % 2 ? m->bytes : 0);
    for (unsigned i = 0; rc == RC_OK && i < m->recipients; i++) {
        struct spool_recipient r = make_recipient(m->seed, i);
        rc = spool_add_recipient(w, &r);
    }
    for (uint32_t at = 0; rc == RC_OK && at < m->bytes;) {
        uint8_t piece[500];
        uint32_t n = m->bytes - at < sizeof piece ? m->bytes - at : sizeof piece;
        for (uint32_t i = 0; i < n; i++)
            piece[i] = body_byte(m->seed, at + i);
        rc = spool_write(w, span_bytes(piece, n));
        at += n;
        if (dice(3) == 0 && task_yield() != RC_OK)
            broken("cancelled");
    }
    return rc;
}

static void writer(void *arg)
{
    static uint8_t chunks[WRITERS][SPOOL_CHUNK_BYTES];
    uint8_t *chunk = chunks[(size_t)(uintptr_t)arg];
    while (mails_to_write > 0) {
        mails_to_write--;
        struct mail *m = &shared->mails[shared->count++];
        *m = make_mail(next_seed++);
        struct spool_writer w;
        enum rc rc = write_mail(&w, chunk, m);
        uint32_t id;
        if (rc == RC_OK && m->seed % 11 == 0)
            rc = RC_CANCELLED; /* the sender went away */
        if (rc == RC_OK)
            rc = spool_commit(&w, &id);
        else
            spool_abort(&w);
        if (rc == RC_OK) {
            m->id = id;
            m->acked = true;
            if (id > shared->highest_id)
                shared->highest_id = id;
        } else if (rc != RC_CANCELLED && rc != RC_FULL) {
            broken("commit of %u: %s", (unsigned)m->seed, rc_name(rc));
        }
    }
    running--;
}

static void read_whole(const struct mail *m, uint32_t id)
{
    struct spool_reader r;
    uint8_t buf[600];
    uint32_t at = 0;
    size_t got = 1;
    must(spool_body_open(&r, id), "body open");
    while (got > 0) {
        enum rc rc = spool_body_read(&r, buf, sizeof buf, &got);
        if (rc != RC_OK)
            broken("mail %u id %u: body at %u: %s", (unsigned)m->seed, (unsigned)id, (unsigned)at, rc_name(rc));
        for (size_t i = 0; i < got; i++)
            if (buf[i] != body_byte(m->seed, at + (uint32_t)i))
                broken("mail %u id %u: body differs at %u", (unsigned)m->seed, (unsigned)id, (unsigned)(at + i));
        at += (uint32_t)got;
    }
    if (at != m->bytes)
        broken("mail %u id %u: %u bytes of %u", (unsigned)m->seed, (unsigned)id, (unsigned)at, (unsigned)m->bytes);
}

/* The text of an outcome is the mail's own, so that what is left of it can be found. */
static struct span outcome_text(uint32_t seed, char text[40])
{
    snprintf(text, 40, "said-of-%u-end", (unsigned)seed);
    return span_of(text);
}

/* One attempt: some recipients are delivered, some wait on; every fifth mail stays for days. */
static void attempt(struct mail *m, const struct spool_entry *e)
{
    static const uint8_t enhanced[3] = { 2, 0, 0 };
    read_whole(m, e->id);
    char text[40];
    unsigned waiting = e->waiting;
    bool old = m->seed % 5 == 0 && e->attempts < 1 + m->seed % 2;
    for (unsigned i = 0; i < m->recipients; i++) {
        struct spool_recipient r;
        must(spool_read_recipient(e->id, i, &r), "recipient");
        if (r.state != SPOOL_WAITING)
            continue;
        bool lasts = (old && i == 0) || dice(4) == 0;
        enum spool_state state = lasts ? SPOOL_WAITING : dice(5) == 0 ? SPOOL_BOUNCED : SPOOL_DELIVERED;
        m->outcome_begun[i] = m->outcome_begun[i] || state != SPOOL_WAITING;
        must(spool_outcome(e->id, i, state, 250, enhanced, outcome_text(m->seed, text), 7), "outcome");
        m->outcome[i] = (uint8_t)state;
        waiting -= state != SPOOL_WAITING;
    }
    if (waiting == 0) {
        m->settle_begun = true;
        must(spool_settle(e->id), "settle");
        m->settled = true;
        return;
    }
    m->defer_begun = true;
    int64_t next_try = old ? 5000 + e->attempts : 100 + e->attempts;
    must(spool_defer(e->id, next_try, (uint16_t)(e->attempts + 1)), "defer");
    m->next_try = next_try;
    m->defer_begun = false;
    if (dice(8) == 0) {
        must(spool_hold(e->id, true), "hold");
        must(spool_hold(e->id, false), "release");
    }
    spool_release(e->id);
}

static void carrier(void *arg)
{
    (void)arg;
    struct spool_entry e;
    for (unsigned idle = 0; idle < 40 || running > CARRIERS;) {
        if (!spool_take_due(idle > 20 ? evening : 99, &e)) {
            idle++;
            if (task_yield() != RC_OK)
                broken("cancelled");
            continue;
        }
        idle = 0;
        struct mail *m = mail_of_id(e.id);
        if (m == NULL) { /* committed, but its writer has not been told yet */
            spool_release(e.id);
            if (task_yield() != RC_OK)
                broken("cancelled");
            continue;
        }
        attempt(m, &e);
    }
    running--;
}

static void poll(void)
{
    flash_poll();
    tasks_run();
}

/* The spool's own task ends its work: a segment that is to be erased may still hold what was settled. */
static void finish_housekeeping(void)
{
    for (unsigned quiet = 0; quiet < 20; quiet++) {
        poll();
        if (flash_busy())
            quiet = 0;
    }
}

static void run_day(uint32_t mails, int64_t until)
{
    static struct task tasks[WRITERS + CARRIERS];
    static uint8_t stacks[WRITERS + CARRIERS][48 * 1024] __attribute__((aligned(16)));
    mails_to_write = mails;
    evening = until;
    next_seed = shared->count > 0 ? shared->mails[shared->count - 1].seed + 1 : 1;
    running = WRITERS + CARRIERS;
    for (size_t i = 0; i < WRITERS + CARRIERS; i++)
        task_start(&tasks[i], "day", stacks[i], sizeof stacks[i], i < WRITERS ? writer : carrier, (void *)(uintptr_t)i);
    while (running > 0)
        poll();
    finish_housekeeping();
}

#endif
