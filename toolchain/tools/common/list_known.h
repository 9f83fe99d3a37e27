/* The hosts that patterns outside of their domain begin with, as far as it pays to write them down once: whole labels from the TLD down, with the
 * dot behind them or without. */
#ifndef TOOLS_LIST_KNOWN_H
#define TOOLS_LIST_KNOWN_H

#include "hal/base/domain.h"
#include "hal/base/span.h"

struct known_host {
    struct span text; /* symbols; a view of what was added */
    uint32_t uses;
    uint32_t number;
};

struct known_hosts {    /* zeroed: none */
    struct span *texts; /* patterns' texts, of which they are chosen */
    size_t count, cap;
    struct known_host *chosen;     /* in the order of their texts */
    struct known_host **by_number; /* the same */
    size_t known;
    char *memory; /* of texts that were kept */
};

/* One more text to choose from. It must outlive *k. */
void known_hosts_add(struct known_hosts *k, struct span text);
/* After all are added: chooses and numbers them, those used most first. */
void known_hosts_choose(struct known_hosts *k);
/* In place of that: room for so many hosts of the list before, DOMAIN_MAX bytes each; then each of them, in the order of their numbers. */
char *known_hosts_room(struct known_hosts *k, size_t count);
void known_hosts_keep(struct known_hosts *k, const struct span *texts, size_t count);
/* The longest one that a text begins with, NULL: none. */
const struct known_host *known_hosts_find(const struct known_hosts *k, struct span text);
void known_hosts_free(struct known_hosts *k);

#endif
