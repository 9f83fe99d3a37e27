/* What the spool's unit tests share: a box with a small flash, and mails whose every byte follows from a seed. */
#ifndef TESTS_UNIT_FIRMWARE_SPOOL_MAIL_H
#define TESTS_UNIT_FIRMWARE_SPOOL_MAIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "firmware/spool.h"
#include "tests/support/flash_sim.h"
#include "tests/support/spool_sound.h"

#define BLOCK 4096u
#define SEGMENT (32u * 1024)
#define SEGMENTS 16u

static uint8_t chunk[SPOOL_CHUNK_BYTES];

static inline void poll(void)
{
    flash_poll();
    tasks_run();
}

/* Lets the spool's own task finish. */
static inline void idle(void)
{
    for (unsigned quiet = 0; quiet < 10; quiet++) {
        poll();
        if (flash_busy() || tasks_next_deadline().at_ms == 0)
            quiet = 0;
    }
}

static inline void boot(void)
{
    task_set_poll(poll);
    assert_int_equal(spool_open(0, SEGMENTS * SEGMENT), RC_OK);
}

static inline void reboot(uint64_t seed)
{
    idle();
    flash_sim_cut_now(seed);
    flash_sim_power_on();
    boot();
}

static inline int setup(void **state)
{
    (void)state;
    flash_sim_init(SEGMENTS * SEGMENT, BLOCK, 32);
    boot();
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    idle();
    if (flash_sim_violations() > 0)
        print_error("%s\n", flash_sim_violation());
    unsigned broken = flash_sim_violations();
    const char *wrong = spool_unsound(false);
    if (wrong != NULL) {
        print_error("%s\n", wrong);
        broken++;
    }
    flash_sim_free();
    return (int)broken;
}

/* The body of a message is told by its seed. */
static inline uint8_t body_byte(uint32_t seed, size_t i)
{
    uint32_t x = (uint32_t)i * 2654435761u ^ (seed + 1) * 40503u;
    x ^= x >> 15;
    x *= 2246822519u;
    return (uint8_t)(x >> 24 | 1);
}

static inline struct spool_envelope envelope(uint32_t seed)
{
    struct spool_envelope e = { .received = 1000 + seed, .origin = SPOOL_FROM_OUTSIDE, .body_8bit = true, .ret = 'H' };
    snprintf(e.sender, sizeof e.sender, "sender-%u@example.org", (unsigned)seed);
    snprintf(e.envid, sizeof e.envid, "env%u", (unsigned)seed);
    snprintf(e.helo, sizeof e.helo, "mx%u.example.org", (unsigned)seed);
    e.peer = (struct ip_endpoint){ ip_v4(192, 0, 2, (uint8_t)seed), 2525 };
    return e;
}

static inline struct spool_recipient recipient(uint32_t seed, unsigned index)
{
    struct spool_recipient r = { .notify = (uint8_t)(seed & 7) };
    snprintf(r.address, sizeof r.address, "user-%u-%u@inside.example", (unsigned)seed, index);
    snprintf(r.domain, sizeof r.domain, "inside.example");
    snprintf(r.orcpt, sizeof r.orcpt, "rfc822;user-%u", index);
    return r;
}

static inline enum rc write_body(struct spool_writer *w, uint32_t seed, size_t len)
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

static inline enum rc begin(struct spool_writer *w, uint8_t *memory, uint32_t seed, unsigned recipients, uint64_t expected)
{
    struct spool_envelope e = envelope(seed);
    enum rc rc = spool_begin(w, memory, &e, expected);
    for (unsigned i = 0; rc == RC_OK && i < recipients; i++) {
        struct spool_recipient r = recipient(seed, i);
        rc = spool_add_recipient(w, &r);
    }
    return rc;
}

static inline enum rc put(uint32_t seed, unsigned recipients, size_t len, uint32_t *id)
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

static inline uint32_t must_put(uint32_t seed, unsigned recipients, size_t len)
{
    uint32_t id = 0;
    assert_int_equal(put(seed, recipients, len, &id), RC_OK);
    return id;
}

static inline void check_body(uint32_t id, uint32_t seed, size_t len)
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

static inline void check_message(uint32_t id, uint32_t seed, unsigned recipients, size_t len)
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

static inline void settle(uint32_t id, unsigned recipients)
{
    for (unsigned i = 0; i < recipients; i++)
        assert_int_equal(spool_outcome(id, i, SPOOL_DELIVERED, 250, (uint8_t[]){ 2, 0, 0 }, SPAN("ok"), 5), RC_OK);
    assert_int_equal(spool_settle(id), RC_OK);
}

/* How often the bytes of a text stand in the flash. */
static inline unsigned count_in_flash(const char *text)
{
    unsigned n = 0;
    const uint8_t *p = flash_sim_bytes(), *end = p + SEGMENTS * SEGMENT - strlen(text);
    while ((p = memchr(p, text[0], (size_t)(end - p))) != NULL)
        n += memcmp(p++, text, strlen(text)) == 0;
    return n;
}

#endif
