/* How much a user or an address has sent out lately: a level of recipients that rises with each and falls evenly by one hour's quota an
 * hour. So a burst of a whole quota passes, and then its rate;
 * who goes on far beyond it has to be quiet for up to an hour. Kept in RAM: a restart begins at zero. Pure. */
#ifndef FIRMWARE_QUOTA_H
#define FIRMWARE_QUOTA_H

#include "hal/base/span.h"

#define QUOTA_MAX 32 /* senders; when more send, the one with the lowest level is forgotten */

struct quota {
    struct {
        uint32_t who;
        uint32_t level_milli; /* recipients, in thousandths; 0: free */
        uint64_t at_ms;
    } entry[QUOTA_MAX];
};

/* Counts one recipient of the sender `who` (any text that names it). True: within per_hour recipients an hour; 0: no bound. */
bool quota_count(struct quota *q, struct span who, uint32_t per_hour, uint64_t now_ms);

#endif
