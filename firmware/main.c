/* The appliance: brings the floors up in order and runs the main loop. Nothing here is a policy. */
#include "firmware/alerts.h"
#include "firmware/cert_job.h"
#include "firmware/console.h"
#include "firmware/delivery.h"
#include "firmware/errand.h"
#include "firmware/flash_map.h"
#include "firmware/identity.h"
#include "firmware/intake.h"
#include "firmware/list_poll.h"
#include "firmware/list_update.h"
#include "firmware/log_ring.h"
#include "firmware/network.h"
#include "firmware/self_check.h"
#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "firmware/spool.h"
#include "firmware/spool_watch.h"
#include "firmware/submission.h"
#include "firmware/time_witness.h"
#include "firmware/trust_store.h"
#include "firmware/version.h"
#include "firmware/wallclock.h"
#include "hal/base/log.h"
#include "hal/board.h"
#include "hal/console.h"
#include "hal/random.h"
#include "hal/reset.h"
#include "hal/watchdog.h"

#define HOUSEKEEPING_MS 1000
#define LOOK_EVERY 60

static bool booted;

static bool fine(const char *what, enum rc rc)
{
    if (rc != RC_OK)
        log_event_at(LOG_ALERT, LOG_BOOT, "failed", "what=%s rc=%s", what, rc_name(rc));
    return rc == RC_OK;
}

static void open_flash(void)
{
    struct flash_map map;
    if (!fine("flash-map", flash_map_compute(flash_geometry(), &map)))
        board_panic("the flash has a geometry that this firmware does not know");
    enum rc rc = settings_log_open(map.settings.addr, map.settings.size_bytes);
    if (rc == RC_CORRUPT)
        alert_raise(ALERT_SETTINGS_LOST, "the settings could not be read from flash: the box runs on its defaults");
    else if (rc == RC_UNSUPPORTED)
        alert_raise(ALERT_SETTINGS_LOST,
                    "the settings are of another firmware's format: the box runs on its defaults and keeps none");
    else if (rc != RC_OK)
        alert_raise(ALERT_FLASH, "the flash cannot be read (%s)", rc_name(rc));
    struct settings_log_info info;
    settings_log_info(&info);
    if (info.damaged > 0)
        alert_raise(ALERT_SETTINGS_LOST, "the flash has lost %u stored value%s: compare 'show' and 'cert' with what you set",
                    info.damaged, info.damaged == 1 ? "" : "s");
    settings_load();
    wallclock_init();
    trust_store_init();
    list_store_init(&map);
    list_update_init();
    if (!fine("spool", spool_open(map.spool.addr, map.spool.size_bytes)))
        alert_raise(ALERT_FLASH, "the spool cannot be opened: no mail is taken");
}

static void report_reset(void)
{
    enum reset_reason why = reset_reason();
    log_event(LOG_BOOT, "start", "board=%s version=%s reset=%s", board_name(), FIRMWARE_VERSION, reset_reason_name(why));
    if (why == RESET_CRASH || why == RESET_WATCHDOG)
        alert_raise(ALERT_CRASHED, "the box restarted by itself (%s); see 'log'", reset_reason_name(why));
}

/* In the console's task, so that flash can be awaited while the loop runs. */
static void boot(void)
{
    report_reset();
    bool random = fine("entropy", random_init());
    open_flash();
    if (random && fine("tls", tls_init()))
        identity_init();
    else
        alert_raise(ALERT_NO_ENTROPY, "this board gives no random numbers: TLS is off");
    if (fine("network", network_init()) && fine("intake", intake_init()))
        delivery_init();
    errand_init();
    time_witness_init();
    list_poll_init();
    cert_job_init();
    self_check_init();
    log_event(LOG_BOOT, "ready", "alerts=%u", alerts_up());
    booted = true;
}

/* What looks at the world again each second. Nothing here yields: it needs no task. */
static struct deadline keep_house(void)
{
    static struct deadline next;
    static unsigned second;
    if (!booted || !deadline_passed(next))
        return booted ? next : deadline_never();
    next = deadline_in_ms(HOUSEKEEPING_MS);
    network_follow();
    spool_watch();
    if (++second % LOOK_EVERY != 0)
        return next;
    list_store_check_expiry();
    cert_job_watch();
    submission_check_held();
    return next;
}

static void poll_devices(void)
{
    watchdog_kick();
    console_poll();
    flash_poll();
    link_poll();
}

void firmware_main(void)
{
    if (board_init() != RC_OK)
        reset_now(RESET_CRASH);
    log_ring_init();
    task_set_poll(poll_devices);
    watchdog_start();
    console_start(boot);
    for (;;) {
        poll_devices();
        struct deadline house = keep_house();
        if (tasks_run())
            continue;
        board_idle(deadline_earlier(house, deadline_earlier(tasks_next_deadline(), link_next_deadline())));
    }
}
