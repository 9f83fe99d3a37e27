#include "firmware/time_witness.h"

#include <string.h>

#include "firmware/alerts.h"
#include "firmware/errand.h"
#include "firmware/list_store.h"
#include "firmware/settings.h"
#include "firmware/wallclock.h"
#include "hal/base/crc32.h"
#include "hal/base/log.h"
#include "hal/clock.h"

#define ASK_EVERY_S 86400

static struct {
    uint32_t host_sum; /* of the host that said it: another one has to speak for itself. 0: not heard */
    int64_t offset_s;  /* unix time at clock_us() == 0, by its word */
    uint64_t at_us;
} witness[TIME_WITNESSES];

static const char *const settings[TIME_WITNESSES] = { "list.url", "acme.directory" };

static struct span host_of(enum time_witness w, struct url *u)
{
    return url_parse(span_of(settings_get(settings[w])), u) == RC_OK ? u->host : (struct span){ "", 0 };
}

static bool is_configured(enum time_witness w)
{
    struct url u, other;
    struct span host = host_of(w, &u);
    return host.len > 0 && (w == WITNESS_LIST || !span_eq(host, host_of(WITNESS_LIST, &other)));
}

static uint32_t host_sum(enum time_witness w)
{
    struct url u;
    struct span host = host_of(w, &u);
    return crc32_update(0, host.p, host.len) | 1;
}

static bool is_heard(enum time_witness w)
{
    return witness[w].host_sum == host_sum(w);
}

static int64_t uptime_s(void)
{
    return (int64_t)(clock_us() / 1000000);
}

/* The hosts' common word, as an offset, and how many they are. False: one of them has not spoken yet, or they differ. */
static bool agreement(int64_t *offset_s, unsigned *hosts)
{
    int64_t low = INT64_MAX, high = INT64_MIN;
    *hosts = 0;
    for (unsigned w = 0; w < TIME_WITNESSES; w++) {
        if (!is_configured((enum time_witness)w))
            continue;
        if (!is_heard((enum time_witness)w))
            return false;
        low = witness[w].offset_s < low ? witness[w].offset_s : low;
        high = witness[w].offset_s > high ? witness[w].offset_s : high;
        ++*hosts;
    }
    *offset_s = low;
    if (*hosts == 0 || high - low <= HTTPS_AGREE_S)
        return *hosts > 0;
    alert_raise(ALERT_TIME_HOSTS, "the list's web server and the ACME directory's differ by %lld minutes about the time",
                (long long)((high - low) / 60));
    return false;
}

void time_witness_heard(enum time_witness w, int64_t unix_s)
{
    int64_t offset_s;
    unsigned hosts;
    if (!unix_s)
        return;
    if (w == WITNESS_ACME && !is_configured(w))
        w = WITNESS_LIST;
    witness[w].host_sum = host_sum(w);
    witness[w].at_us = clock_us();
    witness[w].offset_s = unix_s - uptime_s();
    enum rc rc = RC_BUSY;
    if (agreement(&offset_s, &hosts))
        rc = wallclock_from_https(offset_s + uptime_s(), clock_us(), hosts);
    list_store_check_expiry();
    log_event(LOG_TIME, "https", "host=%s unix=%lld taken=%s", settings[w], (long long)unix_s, rc == RC_BUSY ? "no" : rc_name(rc));
}

void time_witness_look(enum time_witness w, struct time_witness_view *out)
{
    static const char *const names[TIME_WITNESSES] = { "list host", "acme host" };
    memset(out, 0, sizeof *out);
    out->name = names[w];
    out->configured = is_configured(w);
    out->heard = out->configured && is_heard(w);
    if (!out->heard)
        return;
    out->says = witness[w].offset_s + uptime_s();
    out->age_s = (uint32_t)((clock_us() - witness[w].at_us) / 1000000);
}

/* --- the ACME directory's host, while nothing else asks it --- */

static enum rc ask_directory(struct http_client *http, uint32_t *next_s, struct strbuf *why)
{
    static char url[URL_TEXT_MAX]; /* a handshake follows: the stack is small */
    struct strbuf text = STRBUF(url);
    strbuf_puts(&text, settings_get("acme.directory"));
    const struct http_request r = { .method = HTTP_HEAD, .url = strbuf_span(&text) };
    enum rc rc = http_request(http, &r);
    strbuf_puts(why, rc == RC_OK ? "" : http->why);
    if (rc == RC_OK)
        time_witness_heard(WITNESS_ACME, errand_verified_date(http));
    *next_s = rc == RC_OK ? ASK_EVERY_S : 0;
    return rc;
}

void time_witness_init(void)
{
    static struct errand errand = { .name = "time", .setting = "acme.directory", .roots = "acme.roots", .run = ask_directory };
    errand_add(&errand);
}
