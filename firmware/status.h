/* How the box is, gathered in one place for console and web page. */
#ifndef FIRMWARE_STATUS_H
#define FIRMWARE_STATUS_H

#include "firmware/spool.h"

struct status_queue {
    unsigned messages, waiting, held, damaged;
    int64_t oldest; /* received; 0 none */
    uint32_t oldest_id;
};
void status_queue(struct status_queue *out);

#endif
