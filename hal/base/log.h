/* One event, one line: a constant greppable event name and key=value text. The layer that decides logs; layers that
 * return do not. Peer text is sanitised where it enters; secrets are never arguments. Never yields. */
#ifndef HAL_BASE_LOG_H
#define HAL_BASE_LOG_H

#include "hal/base/packed_text.h"

enum log_area {
    LOG_BOOT,
    LOG_NET,
    LOG_DNS,
    LOG_TLS,
    LOG_SMTP,
    LOG_INTAKE,
    LOG_SPOOL,
    LOG_DELIVERY,
    LOG_LIST,
    LOG_POLICY,
    LOG_SETTINGS,
    LOG_TIME,
    LOG_CERT,
    LOG_ACME,
    LOG_WEB,
    LOG_UPDATE,
    LOG_CONSOLE,
    LOG_TASK,
    LOG_AREA_COUNT
};
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ALERT };

/* event: a constant lower-case word; format: key=value pairs separated by one blank. Level LOG_INFO. */
void log_event(enum log_area area, const char *event, const char *format, ...);
#define log_event(area, event, ...) (log_event)(area, event, PACKED_FORMAT(__VA_ARGS__))
void log_event_at(enum log_level level, enum log_area area, const char *event, const char *format, ...);
#define log_event_at(level, area, event, ...) (log_event_at)(level, area, event, PACKED_FORMAT(__VA_ARGS__))

/* Where lines go. The sink is called once a line, with text that lasts only during the call. One sink; NULL drops. */
typedef void (*log_sink)(enum log_level level, enum log_area area, const char *event, const char *text);
void log_set_sink(log_sink sink);

const char *log_area_name(enum log_area area);
const char *log_level_name(enum log_level level);

/* Longest text after the event name; longer is cut and ends in "...". */
#define LOG_TEXT_MAX 400

#endif
