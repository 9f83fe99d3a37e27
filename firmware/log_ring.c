/* Lines lie one after another, each ended by a NUL, in a ring that is addressed by an ever-growing position. Invariant: `oldest` stands at
 * the start of a line, and newest - oldest <= the ring's size. */
#include "firmware/log_ring.h"

#include "board/plan_sizes.h"
#include "firmware/wallclock.h"
#include "hal/base/datetime.h"
#include "hal/clock.h"
#include "hal/console.h"

static char ring[PLAN_LOG_RING_BYTES];
static uint64_t oldest, newest;
static bool printing = true;

static char *at(uint64_t position)
{
    return &ring[position % sizeof ring];
}

static void make_room(size_t bytes)
{
    while (newest + bytes - oldest > sizeof ring) {
        while (*at(oldest))
            oldest++;
        oldest++;
    }
}

static void append(struct span line)
{
    make_room(line.len + 1);
    for (size_t i = 0; i < line.len; i++)
        *at(newest++) = line.p[i] ? line.p[i] : '?';
    *at(newest++) = '\0';
}

static void add_stamp(struct strbuf *line)
{
    int64_t now = wallclock_now();
    if (now)
        rfc3339_format(line, now);
    else
        strbuf_printf(line, "+%llu.%03us", (unsigned long long)(clock_ms() / 1000), (unsigned)(clock_ms() % 1000));
}

static void sink(enum log_level level, enum log_area area, const char *event, const char *text)
{
    char memory[LOG_LINE_MAX];
    struct strbuf line = STRBUF(memory);
    if (level == LOG_DEBUG)
        return;
    add_stamp(&line);
    strbuf_putc(&line, ' ');
    if (level != LOG_INFO)
        strbuf_printf(&line, "%s: ", log_level_name(level));
    strbuf_printf(&line, "%s %s", log_area_name(area), event);
    if (text[0]) {
        strbuf_putc(&line, ' ');
        strbuf_puts(&line, text);
    }
    append(strbuf_span(&line));
    if (printing) {
        console_write(line.p, line.len);
        console_write("\r\n", 2);
    }
}

void log_ring_init(void)
{
    log_set_sink(sink);
}

void log_ring_quiet(void)
{
    printing = false;
}

bool log_ring_next(struct log_cursor *c, struct strbuf *out)
{
    strbuf_clear(out);
    if (c->position < oldest)
        c->position = oldest;
    if (c->position >= newest)
        return false;
    while (*at(c->position))
        strbuf_putc(out, *at(c->position++));
    c->position++;
    return true;
}

struct log_cursor log_ring_last(unsigned n)
{
    struct log_cursor c = { newest };
    while (c.position > oldest && n-- > 0) {
        c.position--;
        while (c.position > oldest && *at(c.position - 1))
            c.position--;
    }
    return c;
}
