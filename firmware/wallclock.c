/* The wall clock as an offset to the monotonic clock. SNTP never writes the RTC, so that a forged answer does not outlive a reboot. The floor lies in the settings log as "clock/floor" (8 bytes, little-endian). */
#include "firmware/wallclock.h"

#include "firmware/alerts.h"
#include "firmware/settings_log.h"
#include "hal/base/bytes.h"
#include "hal/base/datetime.h"
#include "hal/base/log.h"
#include "hal/clock.h"

#define FLOOR_KEY "clock/floor"
#define TIME_MIN 1577836800 /* 2020-01-01: no box existed before */
#define TIME_MAX 7258118400 /* 2200-01-01 */
#define STEP_LOGGED_S 3600
#define HTTPS_SLACK_S 600 /* hosts that agree may differ by this, so the floor stays that far behind */
#define FLOOR_EVERY_S 86400
#define RTC_OFF_MAX_S 60
#define RTC_AHEAD_MAX_S (10LL * 366 * 86400) /* an RTC this far beyond the floor holds nonsense */

static struct {
    enum wallclock_source source;
    int64_t offset_s;  /* unix time at clock_us() == 0; valid when source is more than FLOOR */
    int64_t trusted_s; /* offset by the operator or the RTC, same scale; 0: none */
    int64_t floor_s;
} state;

static int64_t uptime_s(void)
{
    return (int64_t)(clock_us() / 1000000);
}

static int64_t load_floor(void)
{
    uint8_t raw[8];
    size_t len = 0;
    if (settings_log_get(SPAN(FLOOR_KEY), raw, sizeof raw, &len) != RC_OK || len != sizeof raw)
        return 0;
    int64_t floor = (int64_t)get_le64(raw);
    return floor >= TIME_MIN && floor < TIME_MAX ? floor : 0;
}

void wallclock_init(void)
{
    int64_t rtc = 0;
    memset(&state, 0, sizeof state);
    state.floor_s = load_floor();
    enum rc rc = clock_rtc_read(&rtc);
    bool plausible = rc == RC_OK && rtc >= TIME_MIN && rtc < TIME_MAX && rtc >= state.floor_s &&
                     (!state.floor_s || rtc - state.floor_s < RTC_AHEAD_MAX_S);
    if (plausible) {
        state.source = CLOCK_RTC;
        state.offset_s = state.trusted_s = rtc - uptime_s();
    } else if (state.floor_s) {
        state.source = CLOCK_FLOOR;
    }
    log_event(LOG_TIME, "boot", "source=%s rtc=%s floor=%lld", wallclock_source_name(state.source), rc_name(rc),
              (long long)state.floor_s);
    if (state.source <= CLOCK_FLOOR)
        alert_raise(ALERT_NO_TIME, "the box does not know the time: set it with 'time set', or give it a time server");
}

int64_t wallclock_now(void)
{
    return state.source > CLOCK_FLOOR ? state.offset_s + uptime_s() : 0;
}

int64_t wallclock_trusted(void)
{
    if (state.trusted_s)
        return state.trusted_s + uptime_s();
    return state.floor_s;
}

int64_t wallclock_for_giving_up(void)
{
    int64_t now = wallclock_now(), trusted = state.trusted_s ? wallclock_trusted() : now;
    return now < trusted ? now : trusted;
}

int64_t wallclock_for_tls(bool *firm)
{
    *firm = state.trusted_s != 0;
    int64_t now = *firm ? wallclock_trusted() : wallclock_now();
    return now ? now : state.floor_s;
}

int64_t wallclock_floor(void)
{
    return state.floor_s;
}

enum wallclock_source wallclock_source(void)
{
    return state.source;
}

const char *wallclock_source_name(enum wallclock_source s)
{
    static const char *const names[] = { "none", "floor", "rtc", "sntp", "https", "operator" };
    return names[s];
}

enum rc wallclock_from_sntp(int64_t unix_s, uint64_t at_us)
{
    int64_t offset = unix_s - (int64_t)(at_us / 1000000);
    if (unix_s < TIME_MIN || unix_s >= TIME_MAX || unix_s < state.floor_s) {
        alert_raise(ALERT_TIME_DISAGREES, "the time server says a time before one that this box knows has passed");
        return RC_REFUSED;
    }
    int64_t step = wallclock_now() ? offset - state.offset_s : 0;
    if (step > STEP_LOGGED_S || step < -STEP_LOGGED_S) {
        log_event_at(LOG_WARN, LOG_TIME, "step", "seconds=%lld", (long long)step);
        if (state.source >= CLOCK_HTTPS) {
            alert_raise(ALERT_TIME_DISAGREES, "the time server differs from %s by more than an hour",
                        state.source == CLOCK_OPERATOR ? "the operator's time" : "what verified web servers say");
            return RC_REFUSED;
        }
        if (state.trusted_s)
            alert_raise(ALERT_TIME_DISAGREES,
                        "the time server differs from this box's own clock by more than an hour: if its clock is "
                        "wrong, say 'time set'");
    }
    state.offset_s = offset;
    if (state.source < CLOCK_SNTP)
        state.source = CLOCK_SNTP;
    alert_clear(ALERT_NO_TIME);
    return RC_OK;
}

static enum rc store_floor(int64_t unix_s)
{
    uint8_t raw[8];
    state.floor_s = unix_s;
    put_le64(raw, (uint64_t)unix_s);
    return settings_log_put(SPAN(FLOOR_KEY), span_bytes(raw, sizeof raw));
}

static bool far_apart(int64_t a, int64_t b, int64_t seconds)
{
    return a - b > seconds || b - a > seconds;
}

static enum rc refuse_https(const char *words)
{
    alert_raise(ALERT_TIME_HOSTS, "%s", words);
    return RC_REFUSED;
}

static void take_https(int64_t unix_s, int64_t offset)
{
    int64_t rtc;
    if (state.source <= CLOCK_FLOOR || far_apart(offset, state.offset_s, RTC_OFF_MAX_S)) {
        log_event_at(LOG_WARN, LOG_TIME, "step", "by=https seconds=%lld",
                     (long long)(state.source > CLOCK_FLOOR ? offset - state.offset_s : 0));
        state.offset_s = offset;
    }
    state.trusted_s = offset;
    state.source = CLOCK_HTTPS;
    alert_clear(ALERT_NO_TIME);
    if (clock_rtc_read(&rtc) == RC_OK && far_apart(rtc, unix_s, RTC_OFF_MAX_S) && clock_rtc_write(unix_s) == RC_IO)
        log_event_at(LOG_WARN, LOG_TIME, "rtc-not-set", "unix=%lld", (long long)unix_s);
}

enum rc wallclock_from_https(int64_t unix_s, uint64_t at_us, unsigned hosts)
{
    int64_t offset = unix_s - (int64_t)(at_us / 1000000);
    if (unix_s < TIME_MIN || unix_s >= TIME_MAX || unix_s + HTTPS_SLACK_S < state.floor_s)
        return refuse_https(PACKED("a verified web server says a time before one that this box knows has passed"));
    if (state.trusted_s && far_apart(offset, state.trusted_s, STEP_LOGGED_S) && (state.source == CLOCK_OPERATOR || hosts < 2))
        return refuse_https(
            state.source == CLOCK_OPERATOR
                ? PACKED("verified web servers differ from the operator's time by more than an hour")
                : PACKED("one web server differs from this box's own clock by more than an hour: 'time set' settles it"));
    alert_clear(ALERT_TIME_HOSTS);
    if (state.source != CLOCK_OPERATOR)
        take_https(unix_s + uptime_s() - (int64_t)(at_us / 1000000), offset);
    return unix_s - HTTPS_SLACK_S - state.floor_s >= FLOOR_EVERY_S ? store_floor(unix_s - HTTPS_SLACK_S) : RC_OK;
}

enum rc wallclock_set(int64_t unix_s)
{
    if (unix_s < TIME_MIN || unix_s >= TIME_MAX)
        return RC_INVALID;
    state.offset_s = state.trusted_s = unix_s - uptime_s();
    state.source = CLOCK_OPERATOR;
    alert_clear(ALERT_NO_TIME);
    alert_clear(ALERT_TIME_DISAGREES);
    alert_clear(ALERT_TIME_HOSTS);
    log_event(LOG_TIME, "set", "by=operator unix=%lld", (long long)unix_s);
    enum rc stored = store_floor(unix_s);
    enum rc rtc = clock_rtc_write(unix_s);
    return stored != RC_OK || rtc == RC_IO ? RC_IO : RC_OK;
}
