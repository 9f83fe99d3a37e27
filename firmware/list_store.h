/* The signed images in the list slots: which one is active, its policies and its CA roots. */
#ifndef FIRMWARE_LIST_STORE_H
#define FIRMWARE_LIST_STORE_H

#include "firmware/flash_map.h"
#include "net/tls.h"
#include "policy/image.h"
#include "policy/list.h"
#include "policy/verdict.h"

/* At boot: checks both slots whole (hash over every section) and takes the newest good one. Raises alerts. Yields. */
void list_store_init(const struct flash_map *map);
/* The active list, or NULL. A view until the next activation. */
const struct list *list_store_list(void);
const struct image *list_store_image(void); /* NULL when there is none */
char list_store_slot(void);                 /* 'A', 'B', or '-' */
unsigned list_store_roots(void);            /* how many CA roots there are */
/* Roots of the active image for TLS. Always usable; finds nothing without an image. */
const struct tls_trust *list_store_trust(void);
/* ROOT_DER_MAX bytes for the certificate that a search for roots has found last, shared by all stores of roots: a handshake asks one
 * store, and nothing yields between its searches. */
uint8_t *list_store_root_memory(void);

/* What the list says of a domain now: fills v->list. *entry is the caller's memory and must outlive *v. Judges expiry by trusted time. */
void list_store_look_up(struct span domain, struct list_entry *entry, struct verdict_domain *v);
/* Raises and clears the expiry alert; called every minute or so. */
void list_store_check_expiry(void);

#endif
