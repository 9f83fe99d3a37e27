/* list: what the box holds, where it came from, searching it, and how a new one gets in. */
#include "firmware/console_commands.h"
#include "firmware/json_out.h"
#include "firmware/list_update.h"
#include "firmware/trust_store.h"
#include "firmware/wallclock.h"
#include "hal/base/datetime.h"

#define FIND_MAX 200 /* lines of `list find` */

static struct list_entry *const entry = &command_memory.list.entry;
static struct list_search *const search = &command_memory.list.search;

/* --- info --- */

static const char *life_name(enum list_life life)
{
    static const char *const names[] = { "none", "fresh", "ageing", "expired" };
    return names[life];
}

static int64_t list_age(const struct list *l)
{
    int64_t now = wallclock_now() ? wallclock_now() : wallclock_trusted();
    return l && now > l->info.timestamp ? now - l->info.timestamp : 0;
}

static const char *state_name(enum list_update_state s)
{
    static const char *const names[] = { "idle", "head", "writing", "checking" };
    return names[s];
}

static void update_json(void)
{
    struct list_update_view v;
    list_update_look(&v);
    json_object("transfer");
    json_text("state", state_name(v.state));
    json_number("position", (int64_t)v.position);
    json_number("size_bytes", (int64_t)v.size_bytes);
    json_bool("delta", v.delta);
    json_close();
    json_object("last");
    json_text("source", v.source);
    json_bool("good", v.good || v.current);
    json_time("ended", v.ended);
    json_text("words", v.words);
    json_close();
}

/* The first key that signed, as the tools print it, but shorter. "" without an image. */
static const char *signer_text(char memory[20])
{
    const struct image_signers *by = list_store_signers();
    struct strbuf id = strbuf_on(memory, 20);
    if (by)
        strbuf_add_hex(&id, span_bytes(by->key_id, 8));
    return memory;
}

static void signer_json(void)
{
    char id[20];
    const struct image_signers *by = list_store_signers();
    json_text("signer", signer_text(id));
    json_number("signatures", by ? by->valid : 0);
    json_number("keyring", (int64_t)trust_store_keyring()->version);
}

static void say_signer(void)
{
    char id[20];
    const struct image_signers *by = list_store_signers();
    if (by)
        say("signed by key %s (%u of %u needed); keyring %llu", signer_text(id), by->valid, by->threshold,
            (unsigned long long)trust_store_keyring()->version);
    else
        say("keyring %llu", (unsigned long long)trust_store_keyring()->version);
}

static void info_json(const struct list *l)
{
    int64_t when;
    const char *origin = list_update_origin(&when);
    char slot[2] = { list_store_slot(), '\0' };
    const struct image *image = list_store_image();
    json_begin();
    json_text("slot", slot);
    json_number("version", image ? (int64_t)image->version : 0);
    json_number("size_bytes", image ? (int64_t)image->size_bytes : 0);
    json_number("domains", l ? l->info.domains : 0);
    json_number("enforce", l ? l->info.enforce : 0);
    json_number("testing", l ? l->info.testing : 0);
    json_number("policies", l ? l->info.policies : 0);
    json_time("published", l ? l->info.timestamp : 0);
    json_number("age_s", list_age(l));
    json_time("expires", l ? l->info.expires : 0);
    json_bool("expired", list_store_life() == LIST_LIFE_EXPIRED);
    json_text("life", life_name(list_store_life()));
    json_text("author", l ? l->info.author : NULL);
    json_number("roots", list_store_roots());
    const struct anchors *anchors = list_store_anchors();
    json_number("anchors", anchors ? anchors->count : 0);
    signer_json();
    json_text("source", origin);
    json_time("received", when);
    update_json();
    json_end();
}

static void say_life(const struct list *l)
{
    char expires[40], age[32], left[32];
    struct strbuf e = STRBUF(expires), a = STRBUF(age), f = STRBUF(left);
    int64_t now = wallclock_now();
    rfc3339_format(&e, l->info.expires);
    duration_format(&a, list_age(l));
    duration_format(&f, l->info.expires - now);
    bool expired = list_store_life() == LIST_LIFE_EXPIRED;
    say("%s %s; it is %s old%s%s", expired ? "EXPIRED since" : "valid until", expires, age,
        !expired && now && now < l->info.expires ? " and ends in " : "", !expired && now && now < l->info.expires ? left : "");
    if (list_store_life() == LIST_LIFE_AGEING)
        say("over two thirds of its life have passed: a newer one should have come");
}

static void say_origin(void)
{
    int64_t when;
    char text[40];
    struct strbuf w = STRBUF(text);
    const char *origin = list_update_origin(&when);
    rfc3339_format(&w, when);
    if (origin[0])
        say("came by %s%s%s", origin, when ? " at " : "", when ? text : "");
    else
        say("came with the box's first flash image");
}

static void say_update(void)
{
    struct list_update_view v;
    char text[40];
    struct strbuf w = STRBUF(text);
    list_update_look(&v);
    rfc3339_format(&w, v.ended);
    if (v.state != LIST_UPDATE_IDLE)
        say("under way: %s%s, %llu of %llu bytes", v.source, v.delta ? " (a delta)" : "", (unsigned long long)v.position,
            (unsigned long long)v.size_bytes);
    else if (v.source[0])
        say("last check: %s%s%s: %s", v.source, v.ended ? " at " : "", v.ended ? text : "", v.words);
    else
        say("last check: none since the start");
}

static void info_text(const struct list *l)
{
    char published[40];
    struct strbuf p = STRBUF(published);
    if (l) {
        rfc3339_format(&p, l->info.timestamp);
        say("list in slot %c: version %llu, %u domains (%u enforce, %u testing), %u policies", list_store_slot(),
            (unsigned long long)list_store_image()->version, (unsigned)l->info.domains, (unsigned)l->info.enforce,
            (unsigned)l->info.testing, (unsigned)l->info.policies);
        say("published %s by %s", published, l->info.author);
        say_life(l);
        say_origin();
    } else {
        say("there is no list on this box");
    }
    const struct anchors *anchors = list_store_anchors();
    say("%u CA roots, %u DNSSEC anchors", list_store_roots(), anchors ? anchors->count : 0);
    say_signer();
    say_update();
}

static void list_info(const struct command_line *c)
{
    if (c->json)
        info_json(list_store_list());
    else
        info_text(list_store_list());
}

/* --- find --- */

static void show_found(const struct command_line *c, const char *name)
{
    const char *mode = entry->mode == LIST_ENFORCE ? "enforce" : "testing";
    if (c->json)
        json_text(NULL, name);
    else
        say("%-8s %s", mode, name);
}

static enum rc begin_search(struct span text, const struct list *l)
{
    bool within = text.len > 1 && text.p[0] == '.';
    return list_search(search, l, within ? LIST_WITHIN : LIST_CONTAINING, within ? span_from(text, 1) : text);
}

static enum rc find_all(const struct command_line *c, unsigned *found)
{
    enum rc rc = RC_OK;
    while (rc == RC_OK && *found < FIND_MAX) {
        rc = list_search_next(search, entry);
        if (rc == RC_OK) {
            ++*found;
            show_found(c, search->it.name);
        } else if (rc == RC_BUSY) {
            rc = task_yield();
        }
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* The list, or NULL, is taken: its slot is left alone while what is found is printed. */
static void show_all_found(const struct command_line *c, const struct list *l)
{
    unsigned found = 0;
    enum rc rc = l ? begin_search(c->word[2], l) : RC_OK;
    if (rc == RC_INVALID) {
        say_error("no name is that long");
        return;
    }
    if (c->json) {
        json_begin();
        json_array("found");
    }
    if (l && rc == RC_OK)
        rc = find_all(c, &found);
    if (c->json) {
        json_close();
        json_bool("complete", rc == RC_OK && found < FIND_MAX);
        json_end();
        return;
    }
    if (rc != RC_OK)
        say_error("the list cannot be read to its end (%s)", rc_name(rc));
    say("%u found%s", found, found == FIND_MAX ? "; there may be more" : "");
}

static void list_find_text(const struct command_line *c)
{
    if (c->count < 3) {
        say_usage(c->command);
        return;
    }
    const struct list *l = list_store_take();
    show_all_found(c, l);
    list_store_give(l);
}

/* --- update, receive --- */

static void list_update_now(void)
{
    const char *why = list_update_fetch();
    if (why)
        say_error("%s", why);
    else
        say("a newer list is looked for now; 'list info' tells how it went");
}

void command_list(const struct command_line *c)
{
    if (c->count == 1 || span_is(c->word[1], "info"))
        list_info(c);
    else if (span_is(c->word[1], "find"))
        list_find_text(c);
    else if (span_is(c->word[1], "update"))
        list_update_now();
    else if (span_is(c->word[1], "receive"))
        list_receive(c);
    else
        say_usage(c->command);
}
