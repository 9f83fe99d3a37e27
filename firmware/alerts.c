/* A fixed table of alerts, and a few places for the texts of those that are up. */
#include "firmware/alerts.h"

#include <stdarg.h>

#include "hal/base/log.h"
#include "hal/base/strbuf.h"
#include "hal/clock.h"

static struct {
    uint64_t since_ms;
    bool up;
    uint8_t place; /* of its text, from 1; 0: it has none */
} table[ALERT_COUNT];
static char texts[ALERT_TEXTS_MAX][ALERT_TEXT_MAX]; /* empty: free */

const char *alert_name(enum alert a)
{
    static const char *const names[ALERT_COUNT] = {
        [ALERT_NO_ENTROPY] = "no-entropy",
        [ALERT_NO_TIME] = "no-time",
        [ALERT_TIME_DISAGREES] = "time-disagrees",
        [ALERT_TIME_HOSTS] = "time-hosts",
        [ALERT_LIST_NONE] = "list-none",
        [ALERT_LIST_AGEING] = "list-ageing",
        [ALERT_LIST_EXPIRED] = "list-expired",
        [ALERT_LIST_DAMAGED] = "list-damaged",
        [ALERT_LIST_POLL] = "list-poll",
        [ALERT_LIST_REFUSED] = "list-refused",
        [ALERT_CERT_SELF_SIGNED] = "cert-self-signed",
        [ALERT_CERT] = "cert",
        [ALERT_CERT_STORED] = "cert-stored",
        [ALERT_CERT_LIFE] = "cert-life",
        [ALERT_CERT_RENEWAL] = "cert-renewal",
        [ALERT_OUTSIDE] = "outside",
        [ALERT_TLSA] = "tlsa",
        [ALERT_STS] = "mta-sts",
        [ALERT_SETTINGS_LOST] = "settings-lost",
        [ALERT_SPOOL_FULL] = "spool-full",
        [ALERT_SPOOL_DAMAGED] = "spool-damaged",
        [ALERT_FLASH] = "flash",
        [ALERT_INSIDE_DOWN] = "inside-down",
        [ALERT_INSIDE_PIN] = "inside-pin",
        [ALERT_INSIDE_CLIENT] = "inside-client",
        [ALERT_NO_INSIDE] = "no-inside",
        [ALERT_DNS] = "dns",
        [ALERT_CRASHED] = "crashed",
        [ALERT_QUOTA] = "quota",
    };
    return names[a];
}

static uint8_t free_place(void)
{
    for (uint8_t i = 0; i < ALERT_TEXTS_MAX; i++)
        if (!texts[i][0])
            return i + 1;
    return 0;
}

void(alert_raise)(enum alert a, const char *format, ...)
{
    char memory[ALERT_TEXT_MAX];
    struct strbuf text = STRBUF(memory);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&text, format, ap);
    va_end(ap);
    uint8_t place = table[a].place ? table[a].place : free_place();
    if (table[a].up && (!place || span_is(strbuf_span(&text), texts[place - 1])))
        return;
    if (!table[a].up)
        table[a].since_ms = clock_ms();
    table[a].up = true;
    table[a].place = place;
    if (place)
        memcpy(texts[place - 1], memory, sizeof memory);
    log_event_at(LOG_ALERT, LOG_BOOT, "alert", "name=%s text=\"%s\"", alert_name(a), memory);
}

void alert_clear(enum alert a)
{
    if (table[a].up)
        log_event(LOG_BOOT, "alert-over", "name=%s", alert_name(a));
    if (table[a].place)
        texts[table[a].place - 1][0] = '\0';
    table[a].place = 0;
    table[a].up = false;
}

const char *alert_text(enum alert a)
{
    return !table[a].up ? NULL : table[a].place ? texts[table[a].place - 1] : alert_name(a);
}

uint64_t alert_since_ms(enum alert a)
{
    return table[a].since_ms;
}

unsigned alerts_up(void)
{
    unsigned n = 0;
    for (unsigned a = 0; a < ALERT_COUNT; a++)
        n += table[a].up;
    return n;
}
