/* What both sides of a box were told in a test: the mails that were sent, what servers took of them, and the reports that came back. Time, chance
 * and the texts of the mails are here, too, the same for the same seed. Included by quiet_box.h. */
#ifndef TESTS_POWERCUT_LEDGER_H
#define TESTS_POWERCUT_LEDGER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "hal/base/strbuf.h"
#include "hal/board.h"
#include "hal/clock.h"
#include "hal/entropy.h"
#include "tests/powercut/dice.h"

#define RECIPIENTS_MAX 3
#define HOUR_S 3600
#define BOOT_TIME_S \
    1600100000 /* wall clock when the clock stands at 0; the lists of tests are valid from 1600000000 on for 14 days */

/* --- the ledger --- */

struct ledger_recipient {
    char domain[24];
    uint8_t taken, may_repeat; /* by its server; how many copies more SMTP allows: a cut or a break before the answer came */
    uint8_t failed, failed_repeats, delayed; /* reports that reached the sender */
    bool dropping, dropped;                  /* by the operator */
};

struct ledger_mail {
    uint32_t seed, bytes;
    bool from_inside, acked, turned_away /* once, by a server that greylists */;
    uint8_t recipients;
    struct ledger_recipient to[RECIPIENTS_MAX];
};

struct ledger {
    uint64_t clock_us; /* goes on over boots */
    unsigned count, refused, passed;
    uint64_t taken_bytes;
    char why[400];
    struct ledger_mail mail[];
};
static struct ledger *ledger;
static jmp_buf *on_broken; /* NULL: a broken promise ends the process */

/* What a server says to a recipient at this moment; tries counts from 1 for each. SILENT: nobody answers. */
enum world_word { WORLD_TAKES, WORLD_LATER, WORLD_NEVER, WORLD_SILENT };
static enum world_word (*world_answer)(const char *domain, struct ledger_mail *m, unsigned recipient);

__attribute__((format(printf, 1, 2), noreturn)) static void broken(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(ledger->why, sizeof ledger->why, format, ap);
    va_end(ap);
    if (on_broken != NULL)
        longjmp(*on_broken, 1);
    _exit(1);
}

static void must(enum rc rc, const char *what)
{
    if (rc != RC_OK)
        broken("%s: %s", what, rc_name(rc));
}

static struct ledger_mail *mail_of(uint32_t seed)
{
    if (seed == 0 || seed > ledger->count)
        broken("a mail that nobody has sent: %u", (unsigned)seed);
    return &ledger->mail[seed - 1];
}

void board_panic(const char *why)
{
    broken("%s", why);
}

/* --- entropy and time, in the place of the board's: the same run for the same seed --- */

enum rc entropy_read(void *out, size_t len)
{
    random_bytes(out, len);
    return RC_OK;
}

uint64_t clock_us(void)
{
    return ledger->clock_us;
}

static int64_t rtc_jump_s; /* what the battery's clock is wrong by */

enum rc clock_rtc_read(int64_t *unix_s)
{
    *unix_s = BOOT_TIME_S + (int64_t)(ledger->clock_us / 1000000) + rtc_jump_s;
    return RC_OK;
}

enum rc clock_rtc_write(int64_t unix_s)
{
    (void)unix_s;
    return RC_OK;
}

/* --- what a mail looks like --- */

#define POOL_BYTES (64u * 1024)
static char text_pool[POOL_BYTES * 2];

static void make_pool(void)
{
    uint32_t x = 12345;
    for (size_t i = 0; i < POOL_BYTES; i++) {
        x = x * 1664525 + 1013904223;
        text_pool[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : (char)(' ' + 1 + (x >> 16) % 90);
    }
    memcpy(text_pool + POOL_BYTES, text_pool, POOL_BYTES);
}

/* len (at most POOL_BYTES) bytes of a mail's text from at on. */
static struct span text_at(uint32_t seed, uint32_t at, uint32_t len)
{
    return span_bytes(text_pool + (seed * 7919u + at) % POOL_BYTES, len);
}

#define HEAD_FORMAT "Subject: mail-%08x-end\r\n\r\n"

/* What a server reads of one mail. */
struct reading {
    char head[8192]; /* all of it, of a report */
    size_t head_len;
    bool in_text;
    uint32_t seed, at;
};

static bool find_text(struct reading *r)
{
    unsigned seed;
    const char *p = strstr(r->head, "Subject: mail-");
    const char *end = p != NULL ? strstr(p, "-end\r\n\r\n") : NULL;
    if (end == NULL || strstr(r->head, "multipart/report") != NULL)
        return false;
    seed = (unsigned)strtoul(p + 14, NULL, 16);
    r->seed = seed;
    r->in_text = true;
    r->at = 0;
    return true;
}

static void check_text(struct reading *r, struct span bytes)
{
    const struct ledger_mail *m = mail_of(r->seed);
    if (r->at + bytes.len > m->bytes || !span_eq(bytes, text_at(r->seed, r->at, (uint32_t)bytes.len)))
        broken("mail %u: its text differs at %u", (unsigned)r->seed, (unsigned)r->at);
    r->at += (uint32_t)bytes.len;
}

static void read_on(struct reading *r, struct span bytes)
{
    if (r->in_text) {
        check_text(r, bytes);
        return;
    }
    if (r->head_len + bytes.len >= sizeof r->head)
        broken("a head that does not end");
    memcpy(r->head + r->head_len, bytes.p, bytes.len);
    r->head_len += bytes.len;
    r->head[r->head_len] = '\0';
    if (!find_text(r))
        return;
    size_t text = (size_t)(strstr(strstr(r->head, "Subject: mail-"), "\r\n\r\n") + 4 - r->head);
    check_text(r, span_bytes(r->head + text, r->head_len - text));
}

static bool is_report(const struct reading *r)
{
    return strstr(r->head, "multipart/report") != NULL;
}

/* --- what servers have taken --- */

/* The next recipient that a report is about, and what it says of him; *at moves on. NULL: no more. */
static struct ledger_recipient *next_in_report(const char **at, const char **action)
{
    static const char field[] = "Final-Recipient: rfc822;";
    const char *p = strstr(*at, field), *name = p != NULL ? strstr(p, "to-") : NULL;
    if (p == NULL)
        return NULL;
    *action = strstr(p, "Action: ");
    if (name == NULL || *action == NULL)
        broken("a report about nobody, or that says nothing");
    *at = p + sizeof field;
    char *dash;
    struct ledger_mail *m = mail_of((uint32_t)strtoul(name + 3, &dash, 10));
    return &m->to[strtoul(dash + 1, NULL, 10) % RECIPIENTS_MAX];
}

static void take_report(const struct reading *r)
{
    const char *at = r->head, *action;
    struct ledger_recipient *to;
    while ((to = next_in_report(&at, &action)) != NULL) {
        to->failed += strncmp(action + 8, "failed", 6) == 0;
        to->delayed += strncmp(action + 8, "delayed", 7) == 0;
    }
}

static void take_mail(struct reading *r, const char *address)
{
    if (is_report(r)) {
        take_report(r);
        return;
    }
    struct ledger_mail *m = r->in_text ? mail_of(r->seed) : NULL;
    unsigned i = (unsigned)strtoul(strrchr(address, '-') != NULL ? strrchr(address, '-') + 1 : "99", NULL, 10);
    if (m == NULL || r->at != m->bytes || i >= m->recipients)
        broken("mail %u to %s came with %u bytes", (unsigned)r->seed, address, (unsigned)r->at);
    if (m->to[i].taken++ > m->to[i].may_repeat)
        broken("mail %u came to %s once more", (unsigned)r->seed, address);
    if (m->to[i].dropped)
        broken("mail %u was dropped, and came to %s", (unsigned)r->seed, address);
}

/* The recipient that an address names: the index, or -1 for a report's. */
static int recipient_of(const char *address, struct ledger_mail **m)
{
    if (strncmp(address, "to-", 3) != 0)
        return -1;
    *m = mail_of((uint32_t)strtoul(address + 3, NULL, 10));
    return (int)strtoul(strrchr(address, '-') + 1, NULL, 10);
}

static enum world_word answer_to(const char *address, const char *domain)
{
    struct ledger_mail *m = NULL;
    int i = recipient_of(address, &m);
    return world_answer(domain, m, i < 0 ? 0 : (unsigned)i);
}

#endif
