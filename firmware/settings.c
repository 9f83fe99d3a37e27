/* Committed and staged settings in two packed pools of "key\0value\0"; what is committed also lies in the settings log under "set/KEY".
 * Invariant: every committed value was checked by setting_value_check; values of keys that this firmware does not know stay in the log
 * untouched (a rollback to an older firmware loses nothing) and are not loaded. */
#include "firmware/settings.h"

#include "board/plan_sizes.h"
#include "firmware/password.h"
#include "firmware/setting_value.h"
#include "firmware/settings_log.h"
#include "hal/base/crc32.h"
#include "hal/base/domain.h"
#include "hal/base/log.h"
#include "hal/base/secret.h"

#define POOL_BYTES PLAN_SETTINGS_POOL_BYTES /* a setting takes about 80 bytes */
#define LISTENERS_MAX 16
#define LOG_PREFIX "set/"
#define UNSET_MARK '\1' /* a staged value of this one byte means unset; control characters are never in values */

struct pool {
    size_t len;
    char text[POOL_BYTES];
};

static struct pool committed, staged;
static void (*listeners[LISTENERS_MAX])(void);
static unsigned listener_count;

const struct setting_def settings_table[] = {
#define SETTING(key, type, bounds, preset, help) { key, SETTING_##type, bounds, preset },
#include "firmware/settings.def"
#undef SETTING
};
const unsigned settings_count = sizeof settings_table / sizeof settings_table[0];

#define HELP_MAX 140
#define SETTING(key, type, bounds, preset, help) _Static_assert(sizeof(help) <= HELP_MAX, "the help on " key " has an end");
#include "firmware/settings.def"
#undef SETTING
static const char helps[][HELP_MAX] PACKED_TABLE = {
#define SETTING(key, type, bounds, preset, help) help,
#include "firmware/settings.def"
#undef SETTING
};

const char *setting_help(const struct setting_def *d)
{
    return helps[d - settings_table];
}

static bool is_family(const struct setting_def *d)
{
    return span_ends_nocase(span_of(d->key), ".*");
}

/* The table's entry for a key, or NULL; *member is the operator's part of a family's key. The queue asks often: no lengths are taken. */
static const struct setting_def *find_def(struct span key, struct span *member)
{
    *member = (struct span){ "", 0 };
    for (const struct setting_def *d = settings_table; d < settings_table + settings_count; d++) {
        size_t n = 0;
        while (n < key.len && d->key[n] == key.p[n] && d->key[n] != '*' && d->key[n] != '\0')
            n++;
        if (n < key.len && d->key[n] == '*') {
            *member = span_from(key, n);
            return d;
        }
        if (n == key.len && d->key[n] == '\0')
            return d;
    }
    return NULL;
}

/* --- pools --- */

static const char *pool_next(const struct pool *p, const char *key)
{
    const char *next = key ? key + strlen(key) + 1 : p->text;
    if (key)
        next += strlen(next) + 1;
    return next < p->text + p->len ? next : NULL;
}

static const char *pool_value(const char *key)
{
    return key + strlen(key) + 1;
}

static char *pool_find(struct pool *p, struct span key)
{
    for (const char *k = pool_next(p, NULL); k; k = pool_next(p, k))
        if (span_is(key, k))
            return p->text + (k - p->text);
    return NULL;
}

static void pool_remove(struct pool *p, struct span key)
{
    char *at = pool_find(p, key);
    if (!at)
        return;
    size_t entry = strlen(at) + 1;
    entry += strlen(at + entry) + 1;
    size_t after = p->len - (size_t)(at - p->text) - entry;
    memmove(at, at + entry, after);
    p->len -= entry;
}

static bool pool_fits(struct pool *p, struct span key, struct span value)
{
    const char *old = pool_find(p, key);
    size_t freed = old ? strlen(old) + strlen(pool_value(old)) + 2 : 0;
    return p->len - freed + key.len + value.len + 2 <= POOL_BYTES;
}

static bool pool_put(struct pool *p, struct span key, struct span value)
{
    if (!pool_fits(p, key, value))
        return false;
    pool_remove(p, key);
    memcpy(p->text + p->len, key.p, key.len);
    p->len += key.len;
    p->text[p->len++] = '\0';
    memcpy(p->text + p->len, value.p, value.len);
    p->len += value.len;
    p->text[p->len++] = '\0';
    return true;
}

/* --- loading --- */

static char checked[SETTING_VALUE_MAX + 1]; /* too large for a stack; of what is loaded at boot, later of what is staged */

static void load_one(void *ctx, struct span log_key, size_t value_len)
{
    (void)ctx;
    static char raw[SETTING_VALUE_MAX + 1], words[160];
    struct strbuf out = STRBUF(checked), why = STRBUF(words);
    struct span key = span_from(log_key, sizeof LOG_PREFIX - 1), member;
    size_t len = 0;
    const struct setting_def *d = find_def(key, &member);
    if (!d || value_len > SETTING_VALUE_MAX || settings_log_get(log_key, raw, SETTING_VALUE_MAX, &len) != RC_OK) {
        log_event_at(LOG_WARN, LOG_SETTINGS, "ignored", "key=%.*s why=unknown-or-unreadable", (int)key.len, key.p);
        return;
    }
    if (setting_value_check(d, span_bytes(raw, len), &out, &why) != RC_OK || !pool_put(&committed, key, strbuf_span(&out)))
        log_event_at(LOG_WARN, LOG_SETTINGS, "ignored", "key=%.*s why=\"%s\"", (int)key.len, key.p, words);
}

void settings_load(void)
{
    committed.len = staged.len = 0;
    settings_log_each(SPAN(LOG_PREFIX), load_one, NULL);
}

/* --- reading --- */

const char *settings_get(const char *key)
{
    struct span member;
    const struct setting_def *d = find_def(span_of(key), &member);
    const char *at = pool_find(&committed, span_of(key));
    if (at)
        return pool_value(at);
    return d ? d->preset : NULL;
}

bool settings_get_bool(const char *key)
{
    const char *v = settings_get(key);
    return v && span_is(span_of(v), "on");
}

uint64_t settings_get_number(const char *key)
{
    uint64_t n = 0;
    const char *v = settings_get(key);
    return v && span_to_u64(span_of(v), &n) ? n : 0;
}

uint32_t settings_sum(uint32_t sum, const char *const *keys, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const char *value = settings_get(keys[i]);
        sum = crc32_update(sum, value, strlen(value) + 1);
    }
    return sum;
}

const char *settings_get_member(const char *family, struct span member)
{
    char memory[SETTING_KEY_MAX + 1];
    struct strbuf key = STRBUF(memory);
    strbuf_puts(&key, family);
    strbuf_add(&key, member);
    if (key.overflow)
        return NULL;
    const char *at = pool_find(&committed, strbuf_span(&key));
    return at ? pool_value(at) : NULL;
}

bool settings_member_at(const char *family, unsigned index, struct strbuf *member, const char **value)
{
    for (const char *k = pool_next(&committed, NULL); k; k = pool_next(&committed, k)) {
        if (!span_starts(span_of(k), family) || index-- > 0)
            continue;
        strbuf_clear(member);
        strbuf_add(member, span_from(span_of(k), strlen(family)));
        *value = pool_value(k);
        return true;
    }
    return false;
}

/* --- staging --- */

/* Canonical text of a key as the operator typed it. */
static const struct setting_def *canonical_key(struct span typed, struct strbuf *key, struct strbuf *why)
{
    struct span member;
    const struct setting_def *d = find_def(typed, &member);
    strbuf_clear(why);
    if (!d) {
        strbuf_puts(why, PACKED("no such setting: "));
        strbuf_add_printable(why, typed, 60);
        return NULL;
    }
    if (!is_family(d)) {
        strbuf_add(key, typed);
        return d;
    }
    char name[DOMAIN_TEXT_MAX];
    struct strbuf canonical = STRBUF(name);
    bool literal = span_is(span_of(d->key), "mail.hold.*") && ip_literal_canonical(member, &canonical) == RC_OK;
    if (!literal && (domain_canonical(member, &canonical) != RC_OK || !domain_is_hostname(strbuf_span(&canonical)))) {
        strbuf_add_printable(why, typed, 80);
        strbuf_puts(why, PACKED(": the last part is not a domain name"));
        return NULL;
    }
    strbuf_add(key, span_sub(span_of(d->key), 0, strlen(d->key) - 1));
    strbuf_add(key, strbuf_span(&canonical));
    if (key->overflow) {
        strbuf_puts(why, PACKED("the key is longer than 95 characters"));
        return NULL;
    }
    return d;
}

/* A password that was typed becomes its hash here, once; out holds it, why is for words. Yields. */
static enum rc keep_password(struct strbuf *out, struct strbuf *why)
{
    char memory[PASSWORD_TEXT_MAX];
    struct strbuf kept = STRBUF(memory);
    if (password_is_kept_form(strbuf_span(out)))
        return RC_OK;
    enum rc rc = password_keep(strbuf_span(out), &kept);
    secret_wipe(out->p, out->len);
    strbuf_clear(out);
    strbuf_add(out, strbuf_span(&kept));
    if (rc != RC_OK)
        strbuf_printf(why, "cannot be kept (%s)", rc_name(rc));
    return rc;
}

static enum rc check(const struct setting_def *d, struct span value, struct strbuf *out, struct strbuf *why)
{
    enum rc rc = setting_value_check(d, value, out, why);
    return rc == RC_OK && d->type == SETTING_PASSWORD ? keep_password(out, why) : rc;
}

static enum rc stage(struct span key, struct span value, struct strbuf *why)
{
    if (pool_put(&staged, key, value))
        return RC_OK;
    strbuf_clear(why);
    strbuf_puts(why, PACKED("too many changes at once: commit or discard first"));
    return RC_FULL;
}

enum rc settings_stage(struct span typed, struct span value, struct strbuf *why)
{
    char key_memory[SETTING_KEY_MAX + 1], words[200];
    struct strbuf key = STRBUF(key_memory), out = STRBUF(checked), reason = STRBUF(words);
    const struct setting_def *d = canonical_key(typed, &key, why);
    if (!d)
        return RC_NOT_FOUND;
    enum rc rc = check(d, value, &out, &reason);
    if (rc != RC_OK) {
        strbuf_clear(why);
        strbuf_printf(why, "%s %s", key.p, reason.p);
        return rc;
    }
    return stage(strbuf_span(&key), strbuf_span(&out), why);
}

enum rc settings_stage_unset(struct span typed, struct strbuf *why)
{
    static const char mark = UNSET_MARK;
    char key_memory[SETTING_KEY_MAX + 1];
    struct strbuf key = STRBUF(key_memory);
    if (!canonical_key(typed, &key, why))
        return RC_NOT_FOUND;
    if (!pool_find(&committed, strbuf_span(&key))) {
        if (!pool_find(&staged, strbuf_span(&key))) {
            strbuf_printf(why, "%s is not set", key.p);
            return RC_NOT_FOUND;
        }
        pool_remove(&staged, strbuf_span(&key));
        return RC_OK;
    }
    return stage(strbuf_span(&key), span_bytes(&mark, 1), why);
}

unsigned settings_staged(void)
{
    unsigned n = 0;
    for (const char *k = pool_next(&staged, NULL); k; k = pool_next(&staged, k))
        n++;
    return n;
}

void settings_discard(void)
{
    staged.len = 0;
}

/* --- commit --- */

static bool is_unset(const char *value)
{
    return value[0] == UNSET_MARK;
}

const char *settings_coming(const char *key)
{
    struct span member;
    const char *at = pool_find(&staged, span_of(key));
    if (!at)
        return settings_get(key);
    const struct setting_def *d = find_def(span_of(key), &member);
    return !is_unset(pool_value(at)) ? pool_value(at) : d ? d->preset : NULL;
}

static enum rc write_staged(void)
{
    char memory[SETTING_KEY_MAX + sizeof LOG_PREFIX];
    enum rc rc = settings_log_batch_begin();
    for (const char *k = pool_next(&staged, NULL); k && rc == RC_OK; k = pool_next(&staged, k)) {
        struct strbuf log_key = STRBUF(memory);
        strbuf_printf(&log_key, LOG_PREFIX "%s", k);
        const char *v = pool_value(k);
        rc = is_unset(v) ? settings_log_batch_delete(strbuf_span(&log_key))
                         : settings_log_batch_put(strbuf_span(&log_key), span_of(v));
    }
    if (rc != RC_OK) {
        settings_log_batch_abort();
        return rc;
    }
    return settings_log_batch_end();
}

/* Whether the committed pool can take what is staged: checked before anything is written. */
static bool staged_fits(void)
{
    size_t need = committed.len;
    for (const char *k = pool_next(&staged, NULL); k; k = pool_next(&staged, k)) {
        const char *old = pool_find(&committed, span_of(k));
        if (old)
            need -= strlen(old) + strlen(pool_value(old)) + 2;
        if (!is_unset(pool_value(k)))
            need += strlen(k) + strlen(pool_value(k)) + 2;
    }
    return need <= POOL_BYTES;
}

static void tell_listeners(void)
{
    for (unsigned i = 0; i < listener_count; i++)
        listeners[i]();
}

enum rc settings_change(struct span typed, struct span value, struct strbuf *why)
{
    char key_memory[SETTING_KEY_MAX + 1], log_memory[SETTING_KEY_MAX + sizeof LOG_PREFIX];
    struct strbuf key = STRBUF(key_memory), log_key = STRBUF(log_memory), out = STRBUF(checked);
    const struct setting_def *d = canonical_key(typed, &key, why);
    enum rc rc = d ? RC_OK : RC_NOT_FOUND;
    if (rc == RC_OK && value.len)
        rc = check(d, value, &out, why);
    if (rc == RC_OK && !pool_fits(&committed, strbuf_span(&key), strbuf_span(&out)))
        rc = RC_FULL;
    if (rc != RC_OK)
        return rc;
    strbuf_printf(&log_key, LOG_PREFIX "%s", key_memory);
    rc = value.len ? settings_log_put(strbuf_span(&log_key), strbuf_span(&out)) : settings_log_delete(strbuf_span(&log_key));
    if (rc != RC_OK)
        return rc;
    pool_remove(&committed, strbuf_span(&key));
    if (value.len && !pool_put(&committed, strbuf_span(&key), strbuf_span(&out)))
        log_event_at(LOG_ALERT, LOG_SETTINGS, "pool-full", "key=%s", key_memory); /* pool_fits has said that this cannot be */
    log_event(LOG_SETTINGS, "change", "key=%s", key_memory);
    tell_listeners();
    return RC_OK;
}

enum rc settings_commit(struct strbuf *why)
{
    strbuf_clear(why);
    if (!staged_fits()) {
        strbuf_printf(why, "the settings would not fit into %u bytes", (unsigned)POOL_BYTES);
        return RC_FULL;
    }
    enum rc rc = write_staged();
    if (rc != RC_OK) {
        strbuf_printf(why, "the flash refused the settings (%s); nothing was changed", rc_name(rc));
        return rc;
    }
    for (const char *k = pool_next(&staged, NULL); k; k = pool_next(&staged, k)) {
        pool_remove(&committed, span_of(k));
        if (!is_unset(pool_value(k)) && !pool_put(&committed, span_of(k), span_of(pool_value(k))))
            log_event_at(LOG_ALERT, LOG_SETTINGS, "pool-full", "key=%s", k); /* staged_fits has said that this cannot be */
    }
    log_event(LOG_SETTINGS, "commit", "changes=%u", settings_staged());
    staged.len = 0;
    tell_listeners();
    return RC_OK;
}

void settings_on_change(void (*fn)(void))
{
    if (listener_count < LISTENERS_MAX)
        listeners[listener_count++] = fn;
}

/* --- showing --- */

static void fill_view(struct setting_view *out, const struct setting_def *d, const char *key)
{
    struct strbuf name = STRBUF(out->key);
    const char *now = pool_find(&committed, span_of(key)), *then = pool_find(&staged, span_of(key));
    strbuf_puts(&name, key);
    out->is_secret = d->type == SETTING_SECRET || d->type == SETTING_PASSWORD;
    out->is_staged = then != NULL;
    out->staged_unset = then && is_unset(pool_value(then));
    out->is_default = !now && (!then || out->staged_unset);
    out->value = then && !out->staged_unset ? pool_value(then) : now && !out->staged_unset ? pool_value(now) : d->preset;
}

/* The n-th member of family d in either pool, those staged for the first time last. */
static const char *family_key(const struct setting_def *d, unsigned n)
{
    struct span prefix = span_sub(span_of(d->key), 0, strlen(d->key) - 1);
    struct pool *pools[] = { &committed, &staged };
    for (unsigned p = 0; p < 2; p++)
        for (const char *k = pool_next(pools[p], NULL); k; k = pool_next(pools[p], k)) {
            if (!span_eq(span_sub(span_of(k), 0, prefix.len), prefix) || strlen(k) <= prefix.len)
                continue;
            if (p == 1 && pool_find(&committed, span_of(k)))
                continue;
            if (n-- == 0)
                return k;
        }
    return NULL;
}

bool settings_view_at(const char *prefix, unsigned index, struct setting_view *out)
{
    for (unsigned i = 0; i < settings_count; i++) {
        const struct setting_def *d = &settings_table[i];
        const char *key;
        for (unsigned n = 0; (key = is_family(d) ? family_key(d, n) : n == 0 ? d->key : NULL) != NULL; n++) {
            if (prefix && !span_starts(span_of(key), prefix))
                continue;
            if (index-- == 0) {
                fill_view(out, d, key);
                return true;
            }
        }
    }
    return false;
}
