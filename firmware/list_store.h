/* The signed images in the list slots: which one is active, its policies and its CA roots. */
#ifndef FIRMWARE_LIST_STORE_H
#define FIRMWARE_LIST_STORE_H

#include "firmware/flash_map.h"
#include "net/tls.h"
#include "policy/anchors.h"
#include "policy/image_trust.h"
#include "policy/list.h"
#include "policy/verdict.h"

/* At boot, after trust_store_init: checks both slots whole (signatures, hash over every section) and takes the newest good one. Raises
 * alerts. Yields. */
void list_store_init(const struct flash_map *map);
/* After another keyring came into force: what its keys did not sign is used no more. Yields. */
void list_store_judge_again(void);
/* The active list, or NULL. A view as long as the caller does not yield. */
const struct list *list_store_list(void);
/* The active list for somebody who reads it over yields: its slot is not overwritten until it is given back. NULL: there is none. */
const struct list *list_store_take(void);
void list_store_give(const struct list *l); /* NULL is allowed */
const struct image *list_store_image(void); /* NULL when there is none */
char list_store_slot(void);                 /* 'A', 'B', or '-' */
unsigned list_store_roots(void);            /* how many CA roots there are */
/* Who signed the active image, and the DNS root's anchors in it; NULL when there is none. Views until the next activation. */
const struct image_signers *list_store_signers(void);
const struct anchors *list_store_anchors(void);
/* Roots of the active image for TLS. Always usable; finds nothing without an image. */
const struct tls_trust *list_store_trust(void);
/* ROOT_DER_MAX bytes for the certificate that a search for roots has found last, shared by all stores of roots: a handshake asks one
 * store, and nothing yields between its searches. */
uint8_t *list_store_root_memory(void);

/* What the list says of a domain now: fills v->list. *entry is the caller's memory and must outlive *v. Judges expiry by trusted time. */
void list_store_look_up(struct span domain, struct list_entry *entry, struct verdict_domain *v);
/* --- The spare slot, for list_update alone --- */
const struct flash_area *list_store_spare_area(void);
bool list_store_spare_taken(void); /* its former list is still read by somebody */
void list_store_spare_drop(void);  /* forgets what it holds: it is about to be erased */
/* Checks what was programmed there whole, as at boot, with head in place of the slot's first bytes. head stays the caller's until
 * list_store_spare_use or _drop. RC_NOT_FOUND, RC_CORRUPT, RC_IO. Yields. */
enum rc list_store_spare_check(struct span head) MUST_CHECK;
/* The head is in flash too: reads it back, and the spare slot becomes the active one. RC_IO: it differs; nothing has changed. */
enum rc list_store_spare_use(void) MUST_CHECK;

/* How much of its life the active list has behind it. Only trusted time makes it expired; any time makes it ageing, which ends nothing. */
enum list_life { LIST_LIFE_NONE, LIST_LIFE_FRESH, LIST_LIFE_AGEING /* two thirds are over */, LIST_LIFE_EXPIRED };
enum list_life list_store_life(void);
/* Raises and clears the alerts of age; called every minute or so. */
void list_store_check_expiry(void);

#endif
