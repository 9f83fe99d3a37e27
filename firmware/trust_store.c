/* The keyring in force and the newer ones that led to it. Each image in the log is proven again at boot by the keyring before it, so that
 * whoever can write the log, but has no root keys, gains nothing. Keyrings are judged in the memory of the roots' store and without a yield:
 * some verifications a time when keys change, and at boot. */
#include "firmware/trust_store.h"

#include <string.h>

#include "firmware/alerts.h"
#include "firmware/list_store.h"
#include "firmware/settings_log.h"
#include "firmware/wallclock.h"
#include "hal/base/log.h"
#include "hal/board.h"
#include "hal/task.h"
#include "policy/roots.h"

#define KEPT_MAX 8 /* changes of keys since the firmware was built that need each other */

_Static_assert(TRUST_KEYRING_IMAGE_MAX + KEYRING_BYTES_MAX <= ROOT_DER_MAX, "the roots' memory is too small for a keyring");

static struct {
    struct keyring in_force;
    uint8_t memory[KEYRING_BYTES_MAX]; /* its bytes, when it is not the firmware's own */
    unsigned kept;                     /* images in the log */
    bool taking;
} store;

static void pause_for_others(void)
{
    if (task_current() && task_yield() != RC_OK)
        return; /* cancelled: the next wait of the caller ends it */
}

static struct span kept_key(unsigned n, char memory[24])
{
    struct strbuf key = strbuf_on(memory, 24);
    strbuf_printf(&key, TRUST_KEYRING_PREFIX "%u", n);
    return strbuf_span(&key);
}

static void open_factory(struct keyring *k)
{
    if (keyring_open(k, span_bytes(factory_keyring, factory_keyring_bytes)) != RC_OK)
        board_panic("the keyring of this firmware is damaged");
}

/* Judges a whole image; *out is a view of memory or of nothing. */
static enum image_refusal judge(struct span image, const struct keyring *by, const struct image_demand *d, uint8_t *memory,
                                struct keyring *out)
{
    struct reader r = reader_on_span(&image);
    struct image i;
    *out = (struct keyring){ .version = 0 };
    if (image.len > TRUST_KEYRING_IMAGE_MAX || image_open(&i, &r) != RC_OK || i.size_bytes != image.len)
        return IMAGE_DAMAGED;
    return image_trust_keyring(&i, by, d, NULL, memory, out);
}

static void put_in_force(const struct keyring *k)
{
    memmove(store.memory, k->bytes.p, k->bytes.len);
    store.in_force = *k;
    store.in_force.bytes.p = (const char *)store.memory;
}

/* --- At boot --- */

/* False: no more, or one that is not to be believed; what would follow it is not either. */
static bool take_kept(unsigned n)
{
    const struct image_demand d = { .kind = IMAGE_KEYRING, .board = board_name() };
    char memory[24];
    uint8_t *image = list_store_root_memory();
    size_t len = 0;
    struct keyring next;
    enum rc rc = settings_log_get(kept_key(n, memory), image, TRUST_KEYRING_IMAGE_MAX, &len);
    if (rc == RC_NOT_FOUND)
        return false;
    enum image_refusal r = rc == RC_OK ? judge(span_bytes(image, len), &store.in_force, &d, image + TRUST_KEYRING_IMAGE_MAX, &next)
                                       : IMAGE_UNREADABLE;
    if (r == IMAGE_ACCEPTED)
        put_in_force(&next);
    bool older = r == IMAGE_ROLLBACK || r == IMAGE_SAME_VERSION; /* newer firmware knows more by itself */
    if (r != IMAGE_ACCEPTED && !older)
        log_event_at(LOG_ALERT, LOG_LIST, "keyring-lost", "key=%s why=%s", memory, image_refusal_name(r));
    return r == IMAGE_ACCEPTED || older;
}

void trust_store_init(void)
{
    open_factory(&store.in_force);
    for (store.kept = 0; store.kept < KEPT_MAX && take_kept(store.kept);)
        store.kept++;
    log_event(LOG_LIST, "keyring", "version=%llu keys=%u kept=%u", (unsigned long long)store.in_force.version,
              store.in_force.key_count, store.kept);
}

const struct keyring *trust_store_keyring(void)
{
    return &store.in_force;
}

/* --- Judging images --- */

static struct image_demand demand_now(enum image_kind kind)
{
    return (struct image_demand){
        .kind = kind, .board = board_name(), .time_passed = wallclock_trusted(), .time_now = wallclock_now()
    };
}

enum image_refusal trust_store_judge_new(const struct image *i, enum image_kind kind, uint64_t version_in_use,
                                         struct image_signers *signers)
{
    struct image_demand d = demand_now(kind);
    d.version_in_use = version_in_use;
    return image_trust_manifest(i, &store.in_force, &d, pause_for_others, signers);
}

enum image_refusal trust_store_judge_kept(const struct image *i, enum image_kind kind, struct image_signers *signers)
{
    const struct image_demand d = { .kind = kind, .board = board_name() };
    return image_trust_manifest(i, &store.in_force, &d, pause_for_others, signers);
}

/* --- A newer keyring --- */

/* What the firmware's own keyring can prove alone needs none of those before it. */
static bool factory_proves(struct span image)
{
    const struct image_demand d = { .kind = IMAGE_KEYRING, .board = board_name() };
    struct keyring factory, next;
    open_factory(&factory);
    return judge(image, &factory, &d, list_store_root_memory(), &next) == IMAGE_ACCEPTED;
}

static enum rc keep(struct span image, unsigned place)
{
    char memory[24];
    enum rc rc = settings_log_batch_begin();
    if (rc != RC_OK)
        return rc;
    rc = settings_log_batch_put(kept_key(place, memory), image);
    for (unsigned n = place + 1; rc == RC_OK && n < store.kept; n++)
        rc = settings_log_batch_delete(kept_key(n, memory));
    if (rc != RC_OK) {
        settings_log_batch_abort();
        return rc;
    }
    return settings_log_batch_end();
}

static enum rc take(struct span image, enum image_refusal *why)
{
    const struct image_demand d = demand_now(IMAGE_KEYRING);
    struct keyring next;
    *why = judge(image, &store.in_force, &d, list_store_root_memory(), &next);
    if (*why != IMAGE_ACCEPTED)
        return RC_OK;
    put_in_force(&next); /* others will use the memory while the log is written */
    unsigned place = factory_proves(image) ? 0 : store.kept;
    enum rc rc = place < KEPT_MAX ? keep(image, place) : RC_FULL;
    if (rc != RC_OK) {
        trust_store_init();
        return rc;
    }
    store.kept = place + 1;
    log_event(LOG_LIST, "keyring-taken", "version=%llu keys=%u kept=%u", (unsigned long long)store.in_force.version,
              store.in_force.key_count, store.kept);
    return RC_OK;
}

enum rc trust_store_take(struct span image, enum image_refusal *why)
{
    *why = IMAGE_ACCEPTED;
    if (store.taking)
        return RC_BUSY;
    store.taking = true;
    enum rc rc = take(image, why);
    store.taking = false;
    return rc;
}
