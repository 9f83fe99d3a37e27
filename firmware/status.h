/* How the box is, gathered in one place for console and web page. */
#ifndef FIRMWARE_STATUS_H
#define FIRMWARE_STATUS_H

#include "firmware/spool.h"

struct status_queue {
    unsigned messages, in_window;
    unsigned waiting, held, damaged; /* of the window: held one by one */
    unsigned held_domains;           /* mail.hold.*: whatever waits for them is held, too */
    int64_t oldest;                  /* received; 0 none */
    uint32_t oldest_id;
};
void status_queue(struct status_queue *out);

#endif
