/* What the operator must not miss: one text per alert, raised and cleared by whoever knows; `status` shows those that are up. */
#ifndef FIRMWARE_ALERTS_H
#define FIRMWARE_ALERTS_H

#include <stdint.h>

#include "hal/base/packed_text.h"

enum alert {
    ALERT_NO_ENTROPY,
    ALERT_NO_TIME,
    ALERT_TIME_DISAGREES,
    ALERT_TIME_HOSTS,
    ALERT_LIST_NONE,
    ALERT_LIST_AGEING,
    ALERT_LIST_EXPIRED,
    ALERT_LIST_DAMAGED,
    ALERT_LIST_POLL,
    ALERT_LIST_REFUSED,
    ALERT_CERT_SELF_SIGNED,
    ALERT_CERT,
    ALERT_CERT_STORED,
    ALERT_CERT_LIFE,
    ALERT_CERT_RENEWAL,
    ALERT_OUTSIDE,
    ALERT_TLSA,
    ALERT_STS,
    ALERT_SETTINGS_LOST,
    ALERT_SPOOL_FULL,
    ALERT_SPOOL_DAMAGED,
    ALERT_FLASH,
    ALERT_INSIDE_DOWN,
    ALERT_INSIDE_PIN,
    ALERT_INSIDE_CLIENT,
    ALERT_NO_INSIDE,
    ALERT_DNS,
    ALERT_CRASHED,
    ALERT_QUOTA,
    ALERT_COUNT
};

#define ALERT_TEXT_MAX 200
#define ALERT_TEXTS_MAX 12 /* with more up than that, what comes last shows its name alone; the log has all */

/* Raises (or renews) an alert with one printable line; logs at LOG_ALERT when it was down or its text changed. */
void alert_raise(enum alert a, const char *format, ...);
#define alert_raise(a, ...) (alert_raise)(a, PACKED_FORMAT(__VA_ARGS__))
void alert_clear(enum alert a);        /* logs when it was up */
const char *alert_text(enum alert a);  /* NULL when down; a view until the alert changes */
const char *alert_name(enum alert a);  /* greppable: "list-expired" */
uint64_t alert_since_ms(enum alert a); /* clock_ms when it was raised */
unsigned alerts_up(void);

#endif
