/* A fixed table of alert texts. */
#include "firmware/alerts.h"

#include <stdarg.h>

#include "hal/base/log.h"
#include "hal/base/strbuf.h"
#include "hal/clock.h"

#define ALERT_TEXT_MAX 160

static struct {
    bool up;
    uint64_t since_ms;
    char text[ALERT_TEXT_MAX];
} table[ALERT_COUNT];

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

void alert_raise(enum alert a, const char *format, ...)
{
    char memory[ALERT_TEXT_MAX];
    struct strbuf text = STRBUF(memory);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&text, format, ap);
    va_end(ap);
    if (table[a].up && span_is(strbuf_span(&text), table[a].text))
        return;
    if (!table[a].up)
        table[a].since_ms = clock_ms();
    table[a].up = true;
    memcpy(table[a].text, memory, sizeof memory);
    log_event_at(LOG_ALERT, LOG_BOOT, "alert", "name=%s text=\"%s\"", alert_name(a), table[a].text);
}

void alert_clear(enum alert a)
{
    if (table[a].up)
        log_event(LOG_BOOT, "alert-over", "name=%s", alert_name(a));
    table[a].up = false;
}

const char *alert_text(enum alert a)
{
    return table[a].up ? table[a].text : NULL;
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
