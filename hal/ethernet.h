/* One Ethernet interface, frames without FCS. Never yields. */
#ifndef HAL_ETHERNET_H
#define HAL_ETHERNET_H

#include <stddef.h>
#include <stdint.h>

#include "hal/base/rc.h"
#include "hal/base/span.h"

#define ETHERNET_FRAME_MAX 1514

enum rc ethernet_init(void) MUST_CHECK; /* RC_NOT_FOUND: no device; RC_IO */
void ethernet_mac(uint8_t mac[6]);
bool ethernet_link_up(void);
/* Sends one frame gathered from count pieces. RC_BUSY: the transmit ring is full, the caller drops or retries; RC_INVALID:
 * longer than ETHERNET_FRAME_MAX. */
enum rc ethernet_send(const struct span *pieces, size_t count) MUST_CHECK;
/* The next received frame into out: its length, or 0 when there is none. Frames longer than cap are dropped.
 * With out NULL it is dropped, too. */
size_t ethernet_receive(void *out, size_t cap);

#endif
