/* List slots A and B. An image is used only after its signatures and every section's hash were checked, also at boot; of two good ones the
 * higher version wins. */
#include "firmware/list_store.h"

#include "firmware/alerts.h"
#include "firmware/trust_store.h"
#include "firmware/wallclock.h"
#include "hal/base/datetime.h"
#include "hal/base/log.h"
#include "policy/roots.h"

static struct slot {
    struct flash_area area;
    struct span head; /* while an update is checked: the first bytes, which are not in flash yet */
    struct reader reader, policies, roots_reader, anchors_reader;
    struct reader_part policies_part, roots_part, anchors_part;
    struct image image;
    struct image_signers signers;
    enum image_refusal refusal; /* of a whole image; a damaged one never gets that far */
    struct list list;
    struct roots roots;
    struct anchors anchors;
    bool usable, has_list, has_roots, has_anchors;
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
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return rc;
    rc = image_section_reader(&s->image, IMAGE_ANCHORS, &s->anchors_reader, &s->anchors_part);
    if (rc == RC_OK)
        rc = anchors_open(&s->anchors, &s->anchors_reader);
    s->has_anchors = rc == RC_OK;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static void close_slot(struct slot *s)
{
    s->usable = s->has_list = s->has_roots = s->has_anchors = false;
}

/* RC_REFUSED: whole, but not to be used; s->refusal says why. */
static enum rc judge_signatures(struct slot *s)
{
    s->refusal = trust_store_judge_kept(&s->image, IMAGE_LIST, &s->signers);
    if (s->refusal == IMAGE_UNREADABLE)
        return RC_IO;
    return s->refusal == IMAGE_ACCEPTED ? RC_OK : RC_REFUSED;
}

static enum rc open_slot(unsigned n)
{
    struct slot *s = &slot[n];
    s->reader = (struct reader){ slot_read, s, s->area.size_bytes };
    s->refusal = IMAGE_ACCEPTED;
    close_slot(s);
    enum rc rc = image_open(&s->image, &s->reader);
    if (rc == RC_OK)
        rc = check_hashes(&s->image);
    if (rc == RC_OK)
        rc = judge_signatures(s);
    if (rc == RC_OK)
        rc = open_sections(s);
    s->usable = rc == RC_OK;
    return rc;
}

static void raise_refused(unsigned n)
{
    alert_raise(ALERT_LIST_REFUSED, "the list in slot %c is refused: %s%s", 'A' + n, image_refusal_text(slot[n].refusal),
                active < 0 ? "; no list and no CA roots are in use" : "; the other one is in use");
}

/* The newest of the good ones. */
static void choose(void)
{
    active = -1;
    for (unsigned n = 0; n < 2; n++) {
        if (slot[n].usable && (active < 0 || slot[n].image.version > slot[active].image.version))
            active = (int)n;
    }
    for (unsigned n = 0; n < 2; n++) {
        if (slot[n].refusal != IMAGE_ACCEPTED)
            raise_refused(n);
    }
    if (active < 0)
        alert_raise(ALERT_LIST_NONE, "no preload list and no CA roots on this box: promised encryption cannot be enforced");
}

void list_store_init(const struct flash_map *map)
{
    bool damaged = false;
    for (unsigned n = 0; n < 2; n++) {
        slot[n] = (struct slot){ .area = map->list[n] };
        enum rc rc = open_slot(n);
        damaged = damaged || (rc != RC_OK && rc != RC_NOT_FOUND && rc != RC_REFUSED);
        log_event(LOG_LIST, "slot", "slot=%c rc=%s why=%s version=%llu domains=%u", 'A' + n, rc_name(rc),
                  image_refusal_name(slot[n].refusal), (unsigned long long)slot[n].image.version,
                  slot[n].has_list ? (unsigned)slot[n].list.info.domains : 0);
    }
    choose();
    if (damaged)
        alert_raise(ALERT_LIST_DAMAGED, "a list slot is damaged%s",
                    active < 0 ? "; no list is in use" : "; the other one is in use");
    list_store_check_expiry();
}

void list_store_judge_again(void)
{
    for (unsigned n = 0; n < 2; n++) {
        if (slot[n].usable && judge_signatures(&slot[n]) != RC_OK)
            close_slot(&slot[n]);
    }
    choose();
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
    close_slot(s);
    s->refusal = IMAGE_ACCEPTED;
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
    alert_clear(ALERT_LIST_REFUSED);
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

const struct anchors *list_store_anchors(void)
{
    return active >= 0 && slot[active].has_anchors ? &slot[active].anchors : NULL;
}

const struct image_signers *list_store_signers(void)
{
    return active >= 0 ? &slot[active].signers : NULL;
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
