/* Wall-clock time as text. Time is seconds since 1970-01-01T00:00:00Z (UTC, no leap seconds), int64_t; years 1970..9999. */
#ifndef HAL_BASE_DATETIME_H
#define HAL_BASE_DATETIME_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

struct civil_time {
    int year, month, day, hour, minute, second; /* month 1..12, day 1..31 */
    int weekday;                                /* 0 = Sunday */
};

void civil_from_unix(int64_t unix_s, struct civil_time *out);
int64_t unix_from_civil(const struct civil_time *c); /* fields in range; weekday ignored */
/* RFC 3339 date-time, fraction dropped, offset applied ("2020-05-20T10:00:00.5-07:00"). RC_INVALID. */
enum rc rfc3339_parse(struct span text, int64_t *unix_s) MUST_CHECK;
void rfc3339_format(struct strbuf *out, int64_t unix_s); /* 2020-05-20T17:00:00Z */
/* RFC 5322 date-time in UTC: "Wed, 20 May 2020 17:00:00 +0000". */
void rfc5322_date_format(struct strbuf *out, int64_t unix_s);
/* HTTP-date, IMF-fixdate form (RFC 9110 section 5.6.7). RC_INVALID. */
enum rc http_date_parse(struct span text, int64_t *unix_s) MUST_CHECK;
/* "3 d 4 h", "12 min", "45 s": the two largest units, for people. */
void duration_format(struct strbuf *out, int64_t seconds);

#endif
