#include "hal/base/log.h"

#include <stdarg.h>
#include <string.h>

#include "hal/base/strbuf.h"

static log_sink current_sink;

static const char *const area_names[LOG_AREA_COUNT] = {
    [LOG_BOOT] = "boot",       [LOG_NET] = "net",       [LOG_DNS] = "dns",           [LOG_TLS] = "tls",
    [LOG_SMTP] = "smtp",       [LOG_INTAKE] = "intake", [LOG_SPOOL] = "spool",       [LOG_DELIVERY] = "delivery",
    [LOG_LIST] = "list",       [LOG_POLICY] = "policy", [LOG_SETTINGS] = "settings", [LOG_TIME] = "time",
    [LOG_CERT] = "cert",       [LOG_ACME] = "acme",     [LOG_WEB] = "web",           [LOG_UPDATE] = "update",
    [LOG_CONSOLE] = "console", [LOG_TASK] = "task",
};
static const char *const level_names[] = { "debug", "info", "warn", "alert" };

const char *log_area_name(enum log_area area)
{
    return (unsigned)area < LOG_AREA_COUNT ? area_names[area] : "unknown";
}

const char *log_level_name(enum log_level level)
{
    return (unsigned)level <= LOG_ALERT ? level_names[level] : "unknown";
}

void log_set_sink(log_sink sink)
{
    current_sink = sink;
}

/* One event is one line even if a caller forgot to sanitise. */
static void keep_one_line(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static void emit(enum log_level level, enum log_area area, const char *event, const char *format, va_list ap)
{
    char text[LOG_TEXT_MAX + 1];
    if (current_sink == NULL)
        return;
    struct strbuf b = STRBUF(text);
    strbuf_vprintf(&b, format, ap);
    if (b.overflow)
        memcpy(text + LOG_TEXT_MAX - 3, "...", 4);
    keep_one_line(text);
    current_sink(level, area, event, text);
}

void(log_event)(enum log_area area, const char *event, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    emit(LOG_INFO, area, event, format, ap);
    va_end(ap);
}

void(log_event_at)(enum log_level level, enum log_area area, const char *event, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    emit(level, area, event, format, ap);
    va_end(ap);
}
