/* What time it is, and how far that can be trusted.
 *
 * Sources: the operator (time set), the Date of verified HTTPS answers (firmware/time_witness.h), the RTC, SNTP, and a floor in flash that
 * time never goes below. SNTP and RTC are not authenticated: they may set the clock, but neither raises the floor, and what ends enforcement
 * (an expired list) asks wallclock_trusted. */
#ifndef FIRMWARE_WALLCLOCK_H
#define FIRMWARE_WALLCLOCK_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

enum wallclock_source { CLOCK_NONE, CLOCK_FLOOR, CLOCK_RTC, CLOCK_SNTP, CLOCK_HTTPS, CLOCK_OPERATOR };

/* At boot, after settings_log_open: reads RTC and floor. */
void wallclock_init(void);
/* Seconds since 1970, or 0 while nothing but perhaps a floor is known. */
int64_t wallclock_now(void);
/* A time that an attacker on the network cannot have moved: the operator's, that of HTTPS, or the RTC's (which only those two set), carried on
 * by the monotonic clock, or the floor in flash where that is all there is. What forged time must not end is judged by this. 0: unknown. */
int64_t wallclock_trusted(void);
/* The earlier of the clock and the trusted time, where one runs: what a mail's age is judged by, so that a forged time sends nothing back.
 * A box with neither RTC nor operator has only the clock, and policy/retry.h's count of tries. 0: unknown. */
int64_t wallclock_for_giving_up(void);
/* What certificates of the box's own connections are judged by: the trusted time where it runs, else the clock, else the floor. *firm: it
 * is the trusted time that runs; else a server may show that it is wrong (firmware/errand.h). 0: unknown. */
int64_t wallclock_for_tls(bool *firm);
int64_t wallclock_floor(void); /* 0: none */
enum wallclock_source wallclock_source(void);
const char *wallclock_source_name(enum wallclock_source s);
/* An SNTP answer: applied when it is not below the floor; a step over an hour against a running clock is logged, and
 * against the RTC's or the operator's time raises an alert. RC_REFUSED below the
 * floor, and when it moves the operator's time by more than an hour (and an alert). */
enum rc wallclock_from_sntp(int64_t unix_s, uint64_t at_us) MUST_CHECK;
/* Authenticated time, on which that many hosts agree. It becomes the trusted time, sets clock and RTC, and raises the floor (once a day at
 * most: flash). RC_REFUSED, with an alert, below the floor; and when it is more than an hour off a trusted time that one host alone may not
 * move: the operator's since this start, or another that runs while `hosts` is 1. RC_IO: taken, but the floor could not be stored. Yields. */
enum rc wallclock_from_https(int64_t unix_s, uint64_t at_us, unsigned hosts) MUST_CHECK;
/* The operator's word: overrides the floor, writes the RTC. RC_INVALID outside 2020..2199; RC_IO: set, but not stored. Yields. */
enum rc wallclock_set(int64_t unix_s) MUST_CHECK;

#endif
