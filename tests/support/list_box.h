/* As much of a box as looks after lists, on a simulated flash: settings, then the list slots A and B. */
#ifndef TESTS_LIST_BOX_H
#define TESTS_LIST_BOX_H

#include "firmware/flash_map.h"

/* Where all of it lies in a flash of settings_bytes + 2 * slot_bytes: the initializer of a struct flash_map. */
#define LIST_BOX_MAP(settings_bytes, slot_bytes)                                                                                   \
    {                                                                                                                              \
        .settings = { 0, settings_bytes }, .list = { { settings_bytes, slot_bytes }, { settings_bytes + slot_bytes, slot_bytes } } \
    }
/* What a boot does: settings log, keyrings, lists, updates. Alerts begin anew. */
void list_box_boot(const struct flash_map *map);

#endif
