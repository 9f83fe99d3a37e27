/* What `postern-image rescue` makes of the flash that a cut has left, beside the ledger: each mail that still waits comes out once, whole, with
 * its unsettled recipients and no others. */
#ifndef TESTS_POWERCUT_SPOOL_RESCUE_H
#define TESTS_POWERCUT_SPOOL_RESCUE_H

#include "firmware/flash_map.h"
#include "tests/powercut/spool_day.h"
#include "toolchain/tools/common/rescued_mail.h"

#define DUMP_BYTES (18u << 20) /* a device of blocks of 4 KiB, which has segments of 32 KiB */

static void check_rescued_recipients(const struct mail *m, const struct rescued_mail *r)
{
    for (unsigned i = 0; i < m->recipients; i++) {
        const struct spool_recipient *to = &r->recipients[i].is;
        struct spool_recipient want = make_recipient(m->seed, i);
        if (strcmp(to->address, want.address) != 0)
            broken("mail %u: recipient %u differs in its rescue", (unsigned)m->seed, i);
        if (to->state != m->outcome[i] && !m->outcome_begun[i])
            broken("mail %u: recipient %u is rescued with an outcome that nobody gave", (unsigned)m->seed, i);
        if (to->state == SPOOL_WAITING && m->outcome[i] != SPOOL_WAITING)
            broken("mail %u: recipient %u is settled, and would get it again by a rescue", (unsigned)m->seed, i);
    }
}

static void check_rescued(const struct rescued_mail *r, bool *seen)
{
    const struct mail *m = mail_of_id(r->id);
    if (!rescued_mail_whole(r)) {
        if (m != NULL)
            broken("mail %u id %u is rescued with damage", (unsigned)m->seed, (unsigned)r->id);
        return; /* its COMMIT was kept without all that it is about: it was never acknowledged */
    }
    m = mail_of((uint32_t)r->envelope.received);
    if (m == NULL || (m->acked && m->id != r->id))
        broken("id %u is rescued, and nobody put it there", (unsigned)r->id);
    if (m->settled || seen[m - shared->mails])
        broken("mail %u id %u: %s", (unsigned)m->seed, (unsigned)r->id, m->settled ? "settled, and rescued" : "rescued twice");
    seen[m - shared->mails] = true;
    struct spool_envelope want = make_envelope(m->seed);
    if (strcmp(r->envelope.sender, want.sender) != 0 || r->recipient_count != m->recipients || r->body.len != m->bytes)
        broken("mail %u id %u: its rescue differs", (unsigned)m->seed, (unsigned)r->id);
    for (uint32_t i = 0; i < m->bytes; i++)
        if ((uint8_t)r->body.p[i] != body_byte(m->seed, i))
            broken("mail %u id %u: its rescue differs at %u", (unsigned)m->seed, (unsigned)r->id, (unsigned)i);
    check_rescued_recipients(m, r);
}

/* Somebody waits for it for certain, or for the bounce that may not have been written. */
static bool must_be_rescued(const struct mail *m)
{
    bool wanted = false;
    for (unsigned i = 0; i < m->recipients; i++)
        wanted = wanted || m->outcome[i] == SPOOL_BOUNCED || (m->outcome[i] == SPOOL_WAITING && !m->outcome_begun[i]);
    return wanted && m->acked && !m->settle_begun;
}

/* The box's flash as a dump of all of it, with the spool where a board of that size has it. */
static uint8_t dump[DUMP_BYTES];

/* Once, before the processes that share its pages. */
static void dump_prepare(void)
{
    memset(dump, 0xff, sizeof dump);
}

static struct span dump_of_the_box(void)
{
    struct flash_map map;
    const struct flash_geometry g = { DUMP_BYTES, BLOCK, 4 };
    must(flash_map_compute(&g, &map), "flash map");
    memcpy(dump + map.spool.addr, shared->image, FLASH_BYTES);
    return span_bytes(dump, sizeof dump);
}

static void rescue(void)
{
    static bool seen[MAILS_MAX];
    struct spool_scan s;
    enum rc rc = spool_scan(&s, dump_of_the_box()); /* RC_NOT_FOUND: no segment was opened yet */
    for (size_t from = 0, to; rc == RC_OK && from < s.count; from = to) {
        struct rescued_mail r;
        for (to = from + 1; to < s.count && s.records[to].h.id == s.records[from].h.id;)
            to++;
        rescued_mail_read(&r, s.records + from, to - from);
        if (r.kind == RESCUE_QUEUED)
            check_rescued(&r, seen);
        rescued_mail_free(&r);
    }
    for (unsigned i = 0; i < shared->count; i++)
        if (must_be_rescued(&shared->mails[i]) && !seen[i])
            broken("mail %u id %u was acknowledged and is not rescued", (unsigned)shared->mails[i].seed,
                   (unsigned)shared->mails[i].id);
    _exit(0);
}

#endif
