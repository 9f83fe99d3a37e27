/* List slots A and B. An image is used only after every section's hash was checked; of two good ones the higher version wins. */
#include "firmware/list_store.h"

#include "firmware/alerts.h"
#include "firmware/wallclock.h"
#include "hal/base/datetime.h"
#include "hal/base/log.h"
#include "policy/roots.h"

static struct slot {
    struct flash_area area;
    struct span head; /* while an update is checked: the first bytes, which are not in flash yet */
    struct reader reader, policies, roots_reader;
    struct reader_part policies_part, roots_part;
    struct image image;
    struct list list;
    struct roots roots;
    bool usable, has_list, has_roots;
    unsigned takers;
} slot[2];

static int active = -1;

static unsigned spare(void)
{
    return active == 0 ? 1 : 0;
}

static enum rc slot_read(void *ctx, uint64_t offset, void *out, size_t len)
{
    const struct slot *s = ctx;
    size_t held = offset < s->head.len ? s->head.len - (size_t)offset : 0;
    if (held > len)
        held = len;
    if (held > 0)
        memcpy(out, s->head.p + offset, held);
    return len > held ? flash_read(s->area.addr + offset + held, (uint8_t *)out + held, len - held) : RC_OK;
}

static void pause_for_others(void)
{
    if (task_current() && task_yield() != RC_OK)
        return; /* cancelled: the hash goes on, the next wait of the caller ends it */
}

/* Every section, also those that this firmware does not know. */
static enum rc check_hashes(const struct image *i)
{
    enum rc rc = RC_OK;
    for (unsigned n = 0; rc == RC_OK && n < i->section_count; n++)
        rc = image_section_check(i, (enum image_section)i->section[n].type, pause_for_others);
    return rc;
}

static enum rc open_sections(struct slot *s)
{
    enum rc rc = image_section_reader(&s->image, IMAGE_POLICIES, &s->policies, &s->policies_part);
    if (rc == RC_OK)
        rc = list_open(&s->list, &s->policies);
    s->has_list = rc == RC_OK;
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    rc = image_section_reader(&s->image, IMAGE_ROOTS, &s->roots_reader, &s->roots_part);
    if (rc == RC_OK)
        rc = roots_open(&s->roots, &s->roots_reader);
    s->has_roots = rc == RC_OK;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc open_slot(unsigned n)
{
    slot[n].reader = (struct reader){ slot_read, &slot[n], slot[n].area.size_bytes };
    slot[n].usable = slot[n].has_list = slot[n].has_roots = false;
    enum rc rc = image_open(&slot[n].image, &slot[n].reader);
    if (rc == RC_OK && slot[n].image.kind != IMAGE_LIST)
        rc = RC_CORRUPT;
    if (rc == RC_OK)
        rc = check_hashes(&slot[n].image);
    if (rc == RC_OK)
        rc = open_sections(&slot[n]);
    slot[n].usable = rc == RC_OK;
    return rc;
}

void list_store_init(const struct flash_map *map)
{
    bool damaged = false;
    active = -1;
    for (unsigned n = 0; n < 2; n++) {
        slot[n] = (struct slot){ .area = map->list[n] };
        enum rc rc = open_slot(n);
        damaged = damaged || (rc != RC_OK && rc != RC_NOT_FOUND);
        log_event(LOG_LIST, "slot", "slot=%c rc=%s version=%llu domains=%u", 'A' + n, rc_name(rc),
                  (unsigned long long)slot[n].image.version, slot[n].has_list ? (unsigned)slot[n].list.info.domains : 0);
        if (slot[n].usable && (active < 0 || slot[n].image.version > slot[active].image.version))
            active = (int)n;
    }
    if (damaged)
        alert_raise(ALERT_LIST_DAMAGED, "a list slot is damaged%s",
                    active < 0 ? "; no list is in use" : "; the other one is in use");
    if (active < 0)
        alert_raise(ALERT_LIST_NONE, "no preload list and no CA roots on this box: promised encryption cannot be enforced");
    list_store_check_expiry();
}

const struct list *list_store_take(void)
{
    const struct list *l = list_store_list();
    if (l)
        slot[active].takers++;
    return l;
}

void list_store_give(const struct list *l)
{
    for (unsigned n = 0; n < 2; n++)
        slot[n].takers -= l == &slot[n].list;
}

/* --- the spare slot, for an update --- */

const struct flash_area *list_store_spare_area(void)
{
    return &slot[spare()].area;
}

bool list_store_spare_taken(void)
{
    return slot[spare()].takers > 0;
}

void list_store_spare_drop(void)
{
    struct slot *s = &slot[spare()];
    s->usable = s->has_list = s->has_roots = false;
    s->head = span_of("");
}

enum rc list_store_spare_check(struct span head)
{
    slot[spare()].head = head;
    return open_slot(spare());
}

static bool head_is_in_flash(const struct slot *s)
{
    uint8_t b[64];
    for (size_t at = 0, n; at < s->head.len; at += n) {
        n = s->head.len - at < sizeof b ? s->head.len - at : sizeof b;
        if (flash_read(s->area.addr + at, b, n) != RC_OK || memcmp(b, s->head.p + at, n) != 0)
            return false;
    }
    return true;
}

enum rc list_store_spare_use(void)
{
    struct slot *s = &slot[spare()];
    if (!s->usable || !head_is_in_flash(s)) {
        list_store_spare_drop();
        return RC_IO;
    }
    s->head = span_of("");
    active = (int)spare();
    alert_clear(ALERT_LIST_NONE);
    alert_clear(ALERT_LIST_DAMAGED);
    list_store_check_expiry();
    return RC_OK;
}

/* --- */

const struct list *list_store_list(void)
{
    return active >= 0 && slot[active].has_list ? &slot[active].list : NULL;
}

const struct image *list_store_image(void)
{
    return active >= 0 ? &slot[active].image : NULL;
}

char list_store_slot(void)
{
    return active >= 0 ? (char)('A' + active) : '-';
}

unsigned list_store_roots(void)
{
    return active >= 0 && slot[active].has_roots ? slot[active].roots.count : 0;
}

static uint8_t der[ROOT_DER_MAX];

uint8_t *list_store_root_memory(void)
{
    return der;
}

static unsigned find_roots(void *ctx, struct span issuer_dn, bool (*give)(void *give_ctx, struct span der), void *give_ctx)
{
    (void)ctx;
    uint32_t cursor = 0;
    unsigned given = 0;
    size_t len = 0;
    if (active < 0 || !slot[active].has_roots)
        return 0;
    while (roots_find(&slot[active].roots, issuer_dn, &cursor, der, sizeof der, &len) == RC_OK) {
        given++;
        if (!give(give_ctx, span_bytes(der, len)))
            break;
    }
    return given;
}

const struct tls_trust *list_store_trust(void)
{
    static const struct tls_trust trust = { find_roots, NULL };
    return &trust;
}

static bool list_expired(const struct list *l)
{
    int64_t now = wallclock_trusted();
    return now && now > l->info.expires;
}

/* The later of all clocks: a warning too early costs nothing. */
static int64_t latest_time(void)
{
    int64_t now = wallclock_now(), trusted = wallclock_trusted();
    return now > trusted ? now : trusted;
}

enum list_life list_store_life(void)
{
    const struct list *l = list_store_list();
    if (!l)
        return LIST_LIFE_NONE;
    if (list_expired(l))
        return LIST_LIFE_EXPIRED;
    int64_t life = l->info.expires - l->info.timestamp;
    return latest_time() > l->info.timestamp + life / 3 * 2 ? LIST_LIFE_AGEING : LIST_LIFE_FRESH;
}

void list_store_look_up(struct span domain, struct list_entry *entry, struct verdict_domain *v)
{
    const struct list *l = list_store_list();
    v->list.state = LIST_STATE_NONE;
    v->list.entry = NULL;
    if (!l)
        return;
    v->list.timestamp = l->info.timestamp;
    v->list.expires = l->info.expires;
    enum rc rc = list_find(l, domain, entry);
    if (rc == RC_NOT_FOUND) {
        v->list.state = LIST_STATE_ABSENT;
        return;
    }
    if (rc != RC_OK) {
        v->list.state = LIST_STATE_DAMAGED;
        alert_raise(ALERT_LIST_DAMAGED, "the list in slot %c cannot be read (%s)", list_store_slot(), rc_name(rc));
        return;
    }
    v->list.entry = entry;
    v->list.state = list_expired(l) ? LIST_STATE_EXPIRED : LIST_STATE_FOUND;
}

static void raise_ageing(const struct list *l, const char *when)
{
    int64_t left_s = l->info.expires - latest_time();
    if (left_s < 0)
        alert_raise(ALERT_LIST_AGEING,
                    "by an unproven clock the preload list ended at %s; it is enforced until proven time says so: 'time set', or a "
                    "newer list",
                    when);
    else
        alert_raise(ALERT_LIST_AGEING, "no newer preload list has come for two thirds of its life: it ends at %s (%u days left)",
                    when, (unsigned)(left_s / 86400));
}

void list_store_check_expiry(void)
{
    const struct list *l = list_store_list();
    enum list_life life = list_store_life();
    char memory[40];
    struct strbuf when = STRBUF(memory);
    rfc3339_format(&when, l ? l->info.expires : 0);
    if (life == LIST_LIFE_EXPIRED)
        alert_raise(ALERT_LIST_EXPIRED,
                    "the preload list ended at %s: promised encryption is not enforced until a newer list is put in", when.p);
    else
        alert_clear(ALERT_LIST_EXPIRED);
    if (life == LIST_LIFE_AGEING)
        raise_ageing(l, when.p);
    else
        alert_clear(ALERT_LIST_AGEING);
}
