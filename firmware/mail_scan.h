/* Looks at a message's header while it streams by, without holding it: counts Received fields (mail loops, RFC 5321 6.3). Pure. */
#ifndef FIRMWARE_MAIL_SCAN_H
#define FIRMWARE_MAIL_SCAN_H

#include "hal/base/span.h"

#define MAIL_HOPS_MAX 100 /* Received fields, the bound that RFC 5321 6.3 names */

struct mail_scan {
    bool in_body;
    bool eight_bit; /* a byte over 127 was seen, header or body */
    unsigned received;
    uint8_t column;  /* matched characters of "received:", or SKIP */
    bool line_empty; /* no byte of the current header line yet */
};

void mail_scan_init(struct mail_scan *m);
void mail_scan_feed(struct mail_scan *m, struct span bytes);

#endif
