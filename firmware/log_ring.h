/* The last log lines, in a ring in RAM. Installs itself as the log's sink. Until the console's first prompt, lines are also printed there;
 * afterwards they never intrude on it. */
#ifndef FIRMWARE_LOG_RING_H
#define FIRMWARE_LOG_RING_H

#include "hal/base/log.h"
#include "hal/base/strbuf.h"

void log_ring_init(void);
void log_ring_quiet(void); /* no more printing on the console */

/* Walks lines from the oldest. Start with a zeroed cursor; each call copies one line ("TIME AREA EVENT text", without line end) into out.
 * False at the end. Lines that were overwritten between two calls are skipped. */
struct log_cursor {
    uint64_t position;
};
bool log_ring_next(struct log_cursor *c, struct strbuf *out);
/* A cursor that stands n lines before the newest. */
struct log_cursor log_ring_last(unsigned n);

#define LOG_LINE_MAX 512

#endif
