/* The spool's room and health as alerts: spool-full while mail is refused for want of room or little is left, spool-damaged while a mail is
 * set aside. */
#ifndef FIRMWARE_SPOOL_WATCH_H
#define FIRMWARE_SPOOL_WATCH_H

#include <stdint.h>

/* A mail of so many bytes (as far as known) was refused with 452. The alert stays until as much is free again. */
void spool_watch_refused(uint64_t bytes);
/* Looks again; once a second. Does not yield. */
void spool_watch(void);

#endif
