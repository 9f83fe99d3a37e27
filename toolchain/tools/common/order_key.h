/* The key by which the preload list is ordered (policy/LIST.md): labels from the TLD down with ',' between them, compared bytewise. */
#ifndef TOOLS_ORDER_KEY_H
#define TOOLS_ORDER_KEY_H

#include "hal/base/domain.h"

/* name canonical; both DOMAIN_TEXT_MAX bytes at the output. Each turns back what the other makes. */
void order_key_of_name(const char *name, char *key);
void order_key_to_name(struct span key, char *name);

#endif
