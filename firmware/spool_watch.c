/* The alert ends only when what was refused would fit, so that it does not come and go with every small mail. */
#include "firmware/spool_watch.h"

#include "firmware/alerts.h"
#include "firmware/spool.h"

#define LITTLE_SHARE 16 /* of the spool: the alert comes before the first refusal */
#define ENOUGH_SHARE 8
#define WORN_SHARE 8 /* of the segments */

static bool refused;
static uint64_t wanted_bytes;

void spool_watch_refused(uint64_t bytes)
{
    refused = true;
    if (bytes > wanted_bytes)
        wanted_bytes = bytes;
}

static void watch_room(const struct spool_info *s)
{
    uint64_t enough = s->size_bytes / ENOUGH_SHARE;
    if (wanted_bytes > enough && wanted_bytes <= s->size_bytes / 2)
        enough = wanted_bytes;
    if (s->free_bytes >= enough) {
        refused = false;
        wanted_bytes = 0;
        alert_clear(ALERT_SPOOL_FULL);
    } else if (refused) {
        alert_raise(ALERT_SPOOL_FULL, "no room in the spool: mail is refused with 452 until what waits is delivered or dropped");
    } else if (s->free_bytes < s->size_bytes / LITTLE_SHARE) {
        alert_raise(ALERT_SPOOL_FULL, "little room is left in the spool: soon mail will be refused with 452");
    }
}

void spool_watch(void)
{
    struct spool_info s;
    spool_info(&s);
    if (s.blocks == 0)
        return; /* it could not be opened: another alert says so */
    watch_room(&s);
    if (s.blocks_bad * WORN_SHARE >= s.blocks)
        alert_raise(ALERT_FLASH, "%u of the spool's %u segments are worn out: the flash is near its end", s.blocks_bad, s.blocks);
    if (s.damaged > 0)
        alert_raise(ALERT_SPOOL_DAMAGED, "a stored mail is damaged and set aside: 'queue' shows it, 'queue drop' gives it up");
    else
        alert_clear(ALERT_SPOOL_DAMAGED);
}
