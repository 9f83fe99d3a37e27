/* The spool on simulated flash: writing, reading, outcomes, settling, room, compaction, faults. Cuts: tests/powercut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "firmware/spool.h"
#include "tests/support/flash_sim.h"

#define BLOCK 4096u
#define SEGMENT (32u * 1024)
#define SEGMENTS 16u

static uint8_t chunk[SPOOL_CHUNK_BYTES];

static void poll(void)
{
    flash_poll();
    tasks_run();
}

/* Lets the spool's own task finish. */
static void idle(void)
{
    for (unsigned quiet = 0; quiet < 10; quiet++) {
        poll();
        if (flash_busy() || tasks_next_deadline().at_ms == 0)
            quiet = 0;
    }
}

static void boot(void)
{
    task_set_poll(poll);
    assert_int_equal(spool_open(0, SEGMENTS * SEGMENT), RC_OK);
}

static void reboot(uint64_t seed)
{
    idle();
    flash_sim_cut_now(seed);
    flash_sim_power_on();
    boot();
}

static int setup(void **state)
{
    (void)state;
    flash_sim_init(SEGMENTS * SEGMENT, BLOCK, 32);
    boot();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    idle();
    if (flash_sim_violations() > 0)
        print_error("%s\n", flash_sim_violation());
    unsigned broken = flash_sim_violations();
    flash_sim_free();
    return (int)broken;
}

/* The body of a message is told by its seed. */
static uint8_t body_byte(uint32_t seed, size_t i)
{
    uint32_t x = (uint32_t)i * 2654435761u ^ (seed + 1) * 40503u;
    x ^= x >> 15;
    x *= 2246822519u;
    return (uint8_t)(x >> 24 | 1);
}

static struct spool_envelope envelope(uint32_t seed)
{
    struct spool_envelope e = { .received = 1000 + seed, .origin = SPOOL_FROM_OUTSIDE, .body_8bit = true, .ret = 'H' };
    snprintf(e.sender, sizeof e.sender, "sender-%u@example.org", (unsigned)seed);
    snprintf(e.envid, sizeof e.envid, "env%u", (unsigned)seed);
    snprintf(e.helo, sizeof e.helo, "mx%u.example.org", (unsigned)seed);
    e.peer = (struct ip_endpoint){ ip_v4(192, 0, 2, (uint8_t)seed), 2525 };
    return e;
}

static struct spool_recipient recipient(uint32_t seed, unsigned index)
{
    struct spool_recipient r = { .notify = (uint8_t)(seed & 7) };
    snprintf(r.address, sizeof r.address, "user-%u-%u@inside.example", (unsigned)seed, index);
    snprintf(r.domain, sizeof r.domain, "inside.example");
    snprintf(r.orcpt, sizeof r.orcpt, "rfc822;user-%u", index);
    return r;
}

static enum rc write_body(struct spool_writer *w, uint32_t seed, size_t len)
{
    uint8_t piece[700];
    enum rc rc = RC_OK;
    for (size_t at = 0; rc == RC_OK && at < len;) {
        size_t n = len - at < sizeof piece ? len - at : sizeof piece;
        for (size_t i = 0; i < n; i++)
            piece[i] = body_byte(seed, at + i);
        rc = spool_write(w, span_bytes(piece, n));
        at += n;
    }
    return rc;
}

static enum rc begin(struct spool_writer *w, uint8_t *memory, uint32_t seed, unsigned recipients, uint64_t expected)
{
    struct spool_envelope e = envelope(seed);
    enum rc rc = spool_begin(w, memory, &e, expected);
    for (unsigned i = 0; rc == RC_OK && i < recipients; i++) {
        struct spool_recipient r = recipient(seed, i);
        rc = spool_add_recipient(w, &r);
    }
    return rc;
}

static enum rc put(uint32_t seed, unsigned recipients, size_t len, uint32_t *id)
{
    struct spool_writer w;
    enum rc rc = begin(&w, chunk, seed, recipients, len);
    if (rc == RC_OK)
        rc = write_body(&w, seed, len);
    if (rc != RC_OK) {
        spool_abort(&w);
        return rc;
    }
    return spool_commit(&w, id);
}

static uint32_t must_put(uint32_t seed, unsigned recipients, size_t len)
{
    uint32_t id = 0;
    assert_int_equal(put(seed, recipients, len, &id), RC_OK);
    return id;
}

static void check_body(uint32_t id, uint32_t seed, size_t len)
{
    struct spool_reader r;
    uint8_t buf[333];
    size_t at = 0, got = 1;
    assert_int_equal(spool_body_open(&r, id), RC_OK);
    while (got > 0) {
        assert_int_equal(spool_body_read(&r, buf, sizeof buf, &got), RC_OK);
        for (size_t i = 0; i < got; i++)
            if (buf[i] != body_byte(seed, at + i))
                fail_msg("id %u: byte %zu differs", (unsigned)id, at + i);
        at += got;
    }
    assert_int_equal(at, len);
}

static void check_message(uint32_t id, uint32_t seed, unsigned recipients, size_t len)
{
    struct spool_envelope e, want = envelope(seed);
    struct spool_entry entry;
    assert_true(spool_lookup(id, &entry));
    assert_int_equal(entry.size_bytes, len);
    assert_int_equal(entry.recipients, recipients);
    assert_int_equal(entry.received, want.received);
    assert_int_equal(spool_read_envelope(id, &e), RC_OK);
    assert_string_equal(e.sender, want.sender);
    assert_string_equal(e.envid, want.envid);
    assert_string_equal(e.helo, want.helo);
    assert_int_equal(e.peer.port, 2525);
    assert_true(ip_eq(&e.peer.addr, &want.peer.addr));
    assert_true(e.body_8bit && !e.utf8 && e.ret == 'H' && e.received == want.received);
    for (unsigned i = 0; i < recipients; i++) {
        struct spool_recipient r, wanted = recipient(seed, i);
        assert_int_equal(spool_read_recipient(id, i, &r), RC_OK);
        assert_string_equal(r.address, wanted.address);
        assert_string_equal(r.domain, wanted.domain);
        assert_string_equal(r.orcpt, wanted.orcpt);
        assert_int_equal(r.notify, wanted.notify);
    }
    check_body(id, seed, len);
}

static void settle(uint32_t id, unsigned recipients)
{
    for (unsigned i = 0; i < recipients; i++)
        assert_int_equal(spool_outcome(id, i, SPOOL_DELIVERED, 250, (uint8_t[]){ 2, 0, 0 }, SPAN("ok"), 5), RC_OK);
    assert_int_equal(spool_settle(id), RC_OK);
}

/* How often the bytes of a text stand in the flash. */
static unsigned count_in_flash(const char *text)
{
    unsigned n = 0;
    const uint8_t *p = flash_sim_bytes(), *end = p + SEGMENTS * SEGMENT - strlen(text);
    while ((p = memchr(p, text[0], (size_t)(end - p))) != NULL)
        n += memcmp(p++, text, strlen(text)) == 0;
    return n;
}

/* --- tests --- */

static void small_mail_is_one_program_and_one_sync(void **state)
{
    (void)state;
    must_put(1, 1, 100); /* opens the first segment */
    uint64_t programs = flash_sim_count(FLASH_PROGRAM), syncs = flash_sim_count(FLASH_SYNC);
    uint32_t id = must_put(2, 2, 2000);
    assert_int_equal(flash_sim_count(FLASH_PROGRAM) - programs, 1);
    assert_int_equal(flash_sim_count(FLASH_SYNC) - syncs, 1);
    check_message(id, 2, 2, 2000);
}

static void sizes_come_back_byte_for_byte(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 27, 28, 29, 3500, 4000, 4060, 4096, 5000, 40000, 100000 };
    uint32_t id[12];
    for (unsigned i = 0; i < 12; i++)
        id[i] = must_put(i, 1 + i % 3, sizes[i]);
    for (unsigned i = 0; i < 12; i++)
        check_message(id[i], i, 1 + i % 3, sizes[i]);
    reboot(0);
    for (unsigned i = 0; i < 12; i++)
        check_message(id[i], i, 1 + i % 3, sizes[i]);
}

static void many_recipients(void **state)
{
    (void)state;
    uint32_t id = must_put(3, SPOOL_RECIPIENTS_MAX, 10);
    check_message(id, 3, SPOOL_RECIPIENTS_MAX, 10);
    reboot(0);
    check_message(id, 3, SPOOL_RECIPIENTS_MAX, 10);
    struct spool_writer w;
    assert_int_equal(begin(&w, chunk, 4, SPOOL_RECIPIENTS_MAX, 0), RC_OK);
    struct spool_recipient r = recipient(4, 0);
    assert_int_equal(spool_add_recipient(&w, &r), RC_FULL);
    spool_abort(&w);
}

static void outcomes_are_kept(void **state)
{
    (void)state;
    uint32_t id = must_put(5, 3, 500);
    struct spool_entry e;
    struct spool_recipient r;
    assert_int_equal(spool_outcome(id, 1, SPOOL_WAITING, 451, (uint8_t[]){ 4, 7, 1 }, SPAN("greylisted"), 77), RC_OK);
    assert_int_equal(spool_outcome(id, 0, SPOOL_DELIVERED, 250, (uint8_t[]){ 2, 0, 0 }, SPAN("queued"), 78), RC_OK);
    assert_int_equal(spool_defer(id, 5000, 1), RC_OK);
    assert_int_equal(spool_outcome(id, 0, SPOOL_DELIVERED, 250, (uint8_t[]){ 2, 0, 0 }, SPAN("again"), 78), RC_OK); /* as it is */
    assert_int_equal(spool_outcome(id, 0, SPOOL_BOUNCED, 550, (uint8_t[]){ 5, 0, 0 }, SPAN(""), 79), RC_INVALID);
    assert_int_equal(spool_outcome(id, 3, SPOOL_BOUNCED, 550, (uint8_t[]){ 5, 0, 0 }, SPAN(""), 79), RC_INVALID);
    assert_int_equal(spool_outcome(id + 1, 0, SPOOL_BOUNCED, 550, (uint8_t[]){ 5, 0, 0 }, SPAN(""), 79), RC_NOT_FOUND);
    assert_int_equal(spool_settle(id), RC_BUSY);
    for (unsigned round = 0; round < 2; round++) {
        assert_true(spool_lookup(id, &e));
        assert_int_equal(e.waiting, 2);
        assert_int_equal(e.next_try, 5000);
        assert_int_equal(e.attempts, 1);
        assert_int_equal(spool_read_recipient(id, 0, &r), RC_OK);
        assert_int_equal(r.state, SPOOL_DELIVERED);
        assert_string_equal(r.text, "queued");
        assert_int_equal(r.at, 78);
        assert_int_equal(spool_read_recipient(id, 1, &r), RC_OK);
        assert_int_equal(r.state, SPOOL_WAITING);
        assert_string_equal(r.text, "greylisted");
        assert_memory_equal(r.enhanced, ((uint8_t[]){ 4, 7, 1 }), 3);
        assert_int_equal(spool_read_recipient(id, 2, &r), RC_OK);
        assert_int_equal(r.code, 0);
        reboot(0);
    }
}

static void due_in_order(void **state)
{
    (void)state;
    struct spool_entry e;
    uint32_t a = must_put(1, 1, 10), b = must_put(2, 1, 10), c = must_put(3, 1, 10);
    assert_int_equal(spool_defer(a, 300, 1), RC_OK);
    assert_int_equal(spool_defer(b, 200, 1), RC_OK);
    assert_int_equal(spool_hold(c, true), RC_OK);
    assert_false(spool_take_due(199, &e));
    assert_int_equal(spool_next_due(), 200);
    assert_true(spool_take_due(400, &e));
    assert_int_equal(e.id, b);
    assert_true(spool_take_due(400, &e));
    assert_int_equal(e.id, a);
    assert_false(spool_take_due(400, &e));
    assert_int_equal(spool_next_due(), INT64_MAX);
    spool_release(b);
    assert_int_equal(spool_next_due(), 200);
    reboot(0);
    assert_true(spool_lookup(c, &e) && e.held);
    assert_int_equal(spool_hold(c, false), RC_OK);
    assert_true(spool_take_due(0, &e));
    assert_int_equal(e.id, c);
    assert_true(spool_next(0, &e) && e.id == a);
    assert_true(spool_next(c - 1, &e) && e.id == c);
    assert_false(spool_next(c, &e));
}

static void a_settled_mail_is_gone_from_the_flash(void **state)
{
    (void)state;
    uint32_t other = must_put(8, 1, 9000), id = must_put(9, 2, 9000);
    uint8_t needle[33] = { 0 };
    for (size_t i = 0; i < 32; i++)
        needle[i] = body_byte(9, 100 + i);
    assert_int_equal(count_in_flash((const char *)needle), 1);
    assert_int_equal(count_in_flash("user-9-1@"), 1);
    settle(id, 2);
    assert_int_equal(count_in_flash((const char *)needle), 0);
    assert_int_equal(count_in_flash("user-9-1@"), 0);
    assert_int_equal(count_in_flash("sender-9@"), 0);
    struct spool_entry e;
    struct spool_envelope env;
    assert_false(spool_lookup(id, &e));
    assert_int_equal(spool_read_envelope(id, &env), RC_NOT_FOUND);
    for (uint64_t seed = 0; seed < 4; seed++) {
        reboot(seed);
        assert_false(spool_lookup(id, &e));
        check_message(other, 8, 1, 9000);
        assert_int_equal(count_in_flash("user-9-1@"), 0);
    }
}

static void an_aborted_mail_leaves_nothing(void **state)
{
    (void)state;
    struct spool_writer w;
    assert_int_equal(begin(&w, chunk, 6, 1, 0), RC_OK);
    assert_int_equal(write_body(&w, 6, 20000), RC_OK);
    assert_int_equal(count_in_flash("user-6-0@"), 1);
    spool_abort(&w);
    assert_int_equal(count_in_flash("user-6-0@"), 0);
    struct spool_info info;
    spool_info(&info);
    assert_int_equal(info.messages, 0);
    assert_int_equal(begin(&w, chunk, 7, 1, 0), RC_OK);
    assert_int_equal(write_body(&w, 7, 20000), RC_OK);
    reboot(1); /* in the middle of it */
    struct spool_entry e;
    assert_false(spool_next(0, &e));
    assert_int_equal(count_in_flash("user-7-0@"), 0);
}

static void ids_never_repeat(void **state)
{
    (void)state;
    uint32_t last = 0;
    for (uint32_t round = 0; round < 60; round++) {
        uint32_t id = must_put(round, 1, 20000);
        assert_true(id > last);
        last = id;
        settle(id, 1);
        if (round % 5 == 0)
            reboot(round);
    }
    struct spool_info info;
    spool_info(&info);
    assert_true(info.reclaimed_blocks > 0);
    assert_int_equal(info.messages, 0);
}

static void full_refuses_and_recovers(void **state)
{
    (void)state;
    uint32_t id[64];
    unsigned n = 0;
    while (n < 64 && put(n, 1, 30000, &id[n]) == RC_OK)
        n++;
    assert_in_range(n, 9, 14); /* 16 segments less the reserve */
    struct spool_writer w;
    struct spool_envelope e = envelope(1);
    assert_int_equal(spool_begin(&w, chunk, &e, 100000), RC_FULL);
    /* The reserve is there for outcomes and own mail. */
    e.origin = SPOOL_OWN;
    struct spool_recipient r = recipient(1, 0);
    uint32_t own;
    assert_int_equal(spool_begin(&w, chunk, &e, 2000), RC_OK);
    assert_int_equal(spool_add_recipient(&w, &r), RC_OK);
    assert_int_equal(spool_write(&w, SPAN("bounce")), RC_OK);
    assert_int_equal(spool_commit(&w, &own), RC_OK);
    for (unsigned i = 0; i < n; i++)
        check_message(id[i], i, 1, 30000);
    settle(id[0], 1);
    settle(id[1], 1);
    settle(id[2], 1);
    uint32_t again = must_put(70, 1, 30000);
    reboot(0);
    check_message(again, 70, 1, 30000);
    for (unsigned i = 3; i < n; i++)
        check_message(id[i], i, 1, 30000);
}

static void full_without_a_size_fails_later(void **state)
{
    (void)state;
    struct spool_writer w;
    assert_int_equal(begin(&w, chunk, 1, 1, 0), RC_OK);
    assert_int_equal(write_body(&w, 1, SEGMENTS * SEGMENT), RC_FULL);
    uint32_t id;
    assert_int_equal(spool_commit(&w, &id), RC_FULL);
    id = must_put(2, 1, 100000);
    check_message(id, 2, 1, 100000);
}

/* One small old mail in every segment must not fill the box. */
static void compaction_keeps_the_old_and_makes_room(void **state)
{
    (void)state;
    uint32_t old[40];
    for (uint32_t i = 0; i < 40; i++) {
        old[i] = must_put(i, 2, 1500);
        assert_int_equal(spool_outcome(old[i], 1, SPOOL_DELIVERED, 250, (uint8_t[]){ 2, 0, 0 }, SPAN("first"), 1), RC_OK);
        assert_int_equal(spool_defer(old[i], 100 + i, 1), RC_OK);
        uint32_t big = must_put(100 + i, 1, 28000);
        settle(big, 1);
    }
    for (unsigned round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 40; i++) {
            struct spool_recipient r;
            struct spool_entry e;
            check_message(old[i], i, 2, 1500);
            assert_int_equal(spool_read_recipient(old[i], 1, &r), RC_OK);
            assert_int_equal(r.state, SPOOL_DELIVERED);
            assert_string_equal(r.text, "first");
            assert_true(spool_lookup(old[i], &e));
            assert_int_equal(e.waiting, 1);
            assert_int_equal(e.next_try, 100 + i);
        }
        reboot(round);
    }
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(spool_outcome(old[i], 0, SPOOL_BOUNCED, 550, (uint8_t[]){ 5, 1, 1 }, SPAN("no"), 9), RC_OK);
        assert_int_equal(spool_settle(old[i]), RC_OK);
    }
    assert_int_equal(count_in_flash("@inside.example"), 0);
    struct spool_info info;
    reboot(0);
    spool_info(&info);
    assert_int_equal(info.messages, 0);
}

static void wear_is_spread(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 300; i++)
        settle(must_put(i, 1, 25000), 1);
    idle();
    struct spool_info info;
    spool_info(&info);
    assert_true(info.erase_max >= 10);
    uint32_t least = UINT32_MAX, most = 0;
    for (unsigned b = 0; b < SEGMENTS * (SEGMENT / BLOCK); b++) {
        least = flash_sim_wear(b) < least ? flash_sim_wear(b) : least;
        most = flash_sim_wear(b) > most ? flash_sim_wear(b) : most;
    }
    assert_in_range(most - least, 0, 3);
    assert_in_range(info.erase_max, most, most + 2); /* a segment that was never erased counts as the most worn then */
}

static void a_failed_program_moves_on(void **state)
{
    (void)state;
    uint32_t before = must_put(1, 1, 3000);
    flash_sim_fail(FLASH_PROGRAM, 3);
    uint32_t id = must_put(2, 1, 20000);
    check_message(before, 1, 1, 3000);
    check_message(id, 2, 1, 20000);
    struct spool_info info;
    spool_info(&info);
    assert_int_equal(info.blocks_bad, 1);
    reboot(0);
    check_message(before, 1, 1, 3000);
    check_message(id, 2, 1, 20000);
    spool_info(&info);
    assert_int_equal(info.blocks_bad, 1);
    assert_int_equal(info.messages, 2);
    settle(before, 1);
    settle(id, 1);
}

static void a_failed_sync_is_no_commit(void **state)
{
    (void)state;
    must_put(1, 1, 100);
    uint32_t id;
    flash_sim_fail(FLASH_SYNC, 1);
    assert_int_equal(put(2, 1, 5000, &id), RC_IO);
    struct spool_info info;
    spool_info(&info);
    assert_int_equal(info.messages, 1);
    reboot(1);
    spool_info(&info);
    assert_int_equal(info.messages, 1);
    uint32_t other = must_put(3, 1, 100);
    flash_sim_fail(FLASH_SYNC, 1);
    assert_int_equal(spool_outcome(other, 0, SPOOL_DELIVERED, 250, (uint8_t[]){ 2, 0, 0 }, SPAN("x"), 1), RC_IO);
    struct spool_entry e;
    assert_true(spool_lookup(other, &e) && e.waiting == 1);
    settle(other, 1);
}

static void a_failed_erase_loses_one_segment(void **state)
{
    (void)state;
    flash_sim_fail(FLASH_ERASE, 2);
    for (uint32_t i = 0; i < 40; i++)
        settle(must_put(i, 1, 25000), 1);
    idle();
    struct spool_info info;
    spool_info(&info);
    assert_int_equal(info.blocks_bad, 1);
    reboot(0);
    spool_info(&info);
    assert_int_equal(info.blocks_bad, 1);
}

/* The first byte of a text in the flash, flipped. */
static void damage(const char *text, size_t offset)
{
    for (size_t i = 0; i < SEGMENTS * SEGMENT; i++)
        if (memcmp(flash_sim_bytes() + i, text, strlen(text)) == 0) {
            uint8_t byte = flash_sim_bytes()[i + offset] ^ 0x04;
            flash_sim_poke(i + offset, &byte, 1);
            return;
        }
    fail_msg("not in the flash: %s", text);
}

static void damage_sets_one_mail_aside(void **state)
{
    (void)state;
    uint32_t a = must_put(1, 1, 9000), b = must_put(2, 1, 9000), c = must_put(3, 1, 9000);
    uint8_t needle[33] = { 0 };
    for (size_t i = 0; i < 32; i++)
        needle[i] = body_byte(2, 5000 + i);
    damage((const char *)needle, 3);
    check_message(a, 1, 1, 9000);
    check_message(c, 3, 1, 9000);
    struct spool_reader r;
    struct spool_entry e;
    uint8_t buf[512];
    size_t got = 1;
    enum rc rc = spool_body_open(&r, b);
    while (rc == RC_OK && got > 0)
        rc = spool_body_read(&r, buf, sizeof buf, &got);
    assert_int_equal(rc, RC_CORRUPT);
    assert_true(spool_lookup(b, &e) && e.damaged);
    reboot(0);
    assert_true(spool_lookup(b, &e) && e.damaged);
    check_message(c, 3, 1, 9000);
    unsigned taken = 0;
    while (spool_take_due(1, &e)) {
        assert_true(e.id != b);
        taken++;
    }
    assert_int_equal(taken, 2);
    assert_int_equal(spool_settle(b), RC_OK); /* the operator's drop */
    assert_false(spool_lookup(b, &e));
}

/* Every single bit of the headers and payloads of a small mail between two others. */
static void any_flipped_bit_harms_one_mail_at_most(void **state)
{
    (void)state;
    uint32_t a = must_put(1, 1, 200), b = must_put(2, 1, 200), c = must_put(3, 1, 200);
    must_put(4, 1, 200); /* so that the sync after c is seen on flash */
    must_put(5, 1, 200);
    must_put(6, 1, 200);
    idle();
    static uint8_t image[SEGMENTS * SEGMENT];
    memcpy(image, flash_sim_bytes(), sizeof image);
    size_t from = 0, to = 0;
    for (size_t i = 0; i + 9 <= sizeof image; i++) {
        if (memcmp(image + i, "sender-2@", 9) == 0)
            from = i - 72;
        if (memcmp(image + i, "sender-3@", 9) == 0)
            to = i - 72;
    }
    assert_true(from > 0 && to > from);
    for (size_t at = from; at < to; at += 3) {
        flash_sim_poke(0, image, sizeof image);
        uint8_t byte = image[at] ^ (uint8_t)(1 << at % 8);
        flash_sim_poke(at, &byte, 1);
        reboot(0);
        check_message(a, 1, 1, 200);
        check_message(c, 3, 1, 200);
        struct spool_entry e;
        assert_true(spool_lookup(b, &e)); /* whole or damaged, but never silently lost */
    }
}

static void a_later_format_is_left_alone(void **state)
{
    (void)state;
    must_put(1, 1, 200);
    idle();
    static uint8_t image[SEGMENTS * SEGMENT];
    uint64_t size = sizeof image;
    memcpy(image, flash_sim_bytes(), sizeof image);
    /* A wear header of version 2, with its CRC. */
    flash_sim_poke(0, "PSw\x02" "\0\0\0\0" "\0\0\0\0" "\0\0\0\0" "\0\0\0\0" "\0\0\0\0" "\0\0\0\0" "\x6b\x1d\xeb\x10", 32);
    enum rc rc = spool_open(0, size);
    if (rc != RC_UNSUPPORTED)
        fail_msg("rc %d", rc);
    memcpy(image, flash_sim_bytes(), 32);
    assert_memory_equal(image, flash_sim_bytes(), sizeof image);
    flash_sim_init(SEGMENTS * SEGMENT, BLOCK, 32);
    boot();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(small_mail_is_one_program_and_one_sync),
        TEST(sizes_come_back_byte_for_byte),
        TEST(many_recipients),
        TEST(outcomes_are_kept),
        TEST(due_in_order),
        TEST(a_settled_mail_is_gone_from_the_flash),
        TEST(an_aborted_mail_leaves_nothing),
        TEST(ids_never_repeat),
        TEST(full_refuses_and_recovers),
        TEST(full_without_a_size_fails_later),
        TEST(compaction_keeps_the_old_and_makes_room),
        TEST(wear_is_spread),
        TEST(a_failed_program_moves_on),
        TEST(a_failed_sync_is_no_commit),
        TEST(a_failed_erase_loses_one_segment),
        TEST(damage_sets_one_mail_aside),
        TEST(any_flipped_bit_harms_one_mail_at_most),
        TEST(a_later_format_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
