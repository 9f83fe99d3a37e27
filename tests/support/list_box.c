/* The order is that of firmware/main.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/alerts.h"
#include "firmware/list_store.h"
#include "firmware/list_update.h"
#include "firmware/settings_log.h"
#include "firmware/trust_store.h"
#include "tests/support/list_box.h"

void list_box_boot(const struct flash_map *map)
{
    for (unsigned a = 0; a < ALERT_COUNT; a++)
        alert_clear((enum alert)a);
    assert_int_equal(settings_log_open(map->settings.addr, map->settings.size_bytes), RC_OK);
    trust_store_init();
    list_store_init(map);
    list_update_init();
}
