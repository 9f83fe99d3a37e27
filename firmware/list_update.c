/* The way of a list image into the spare slot. What arrives is either the image itself or a delta that makes it; both begin with a head, and
 * a head is judged before anything that follows it is believed. */
#include "firmware/list_update.h"

#include <stdarg.h>

#include "firmware/settings_log.h"
#include "firmware/slot_writer.h"
#include "firmware/trust_store.h"
#include "firmware/wallclock.h"
#include "hal/base/bytes.h"
#include "hal/base/log.h"
#include "hal/crypto/sha256.h"
#include "policy/delta.h"

#define ORIGIN_KEY "list/origin" /* version and time, 8 bytes each, little-endian; then the source */
#define ORIGIN_HEAD_BYTES 16
#define READER_WAIT_MS 10000 /* for somebody who still reads the former list of the spare slot */
#define READER_LOOK_MS 50

static struct {
    struct list_update_view view;
    uint32_t ticket, last_ticket;
    bool inside; /* a call is under way, and may be waiting */
    uint64_t moved_ms;
    struct slot_writer writer;
    uint32_t head_have, head_need; /* bytes of the head that is being gathered in writer.head */
    bool head_judged;              /* of the list image, or a keyring is whole */
    bool keyring;                  /* it lies in writer.head and comes into force at the end */
    uint64_t image_bytes;          /* of the list image or the keyring */
    struct {
        uint64_t from, to; /* where the patch lies in the delta */
        uint8_t hash[32];
        struct sha256 found;
        struct delta delta;
    } patch;
    int64_t origin_when;
    char origin[LIST_UPDATE_SOURCE_MAX];
    const char *(*fetch)(void);
} up;

/* --- how it ended --- */

static void set_words(const char *format, va_list ap)
{
    struct strbuf words = STRBUF(up.view.words);
    strbuf_vprintf(&words, format, ap);
}

static void note_end(bool good)
{
    up.view.good = good;
    up.view.ended = wallclock_now();
    log_event_at(good || up.view.current ? LOG_INFO : LOG_WARN, LOG_LIST, "update", "source=%s version=%llu words=\"%s\"",
                 up.view.source, (unsigned long long)up.view.version, up.view.words);
}

static void drop(void)
{
    list_store_spare_drop();
    up.ticket = 0;
    up.view.state = LIST_UPDATE_IDLE;
}

/* Ends the transfer with words, and passes rc on. */
static enum rc end(enum rc rc, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    set_words(format, ap);
    va_end(ap);
    drop();
    note_end(false);
    return rc;
}
#define end(rc, ...) end(rc, PACKED_FORMAT(__VA_ARGS__))

static enum rc end_by_flash(enum rc rc)
{
    return end(rc == RC_INVALID ? RC_IO : rc, "the flash could not be written (%s)", rc_name(rc));
}

/* --- judging heads --- */

/* The head in RAM as the beginning of a slot; nothing behind it can be read yet. */
static enum rc read_head(void *ctx, uint64_t offset, void *out, size_t len)
{
    (void)ctx;
    if (offset > up.head_have || len > up.head_have - offset)
        return RC_IO;
    memcpy(out, up.writer.head + offset, len);
    return RC_OK;
}

static const struct reader head_reader = { read_head, NULL, UINT64_MAX };

static const char *kind_name(enum image_kind kind)
{
    static const char *const names[] = { "image", "list", "firmware image", "keyring", "delta" };
    return names[kind <= IMAGE_DELTA ? kind : 0];
}

/* What a list image and a delta have in common. Yields. */
static enum rc judge_image(const struct image *i)
{
    const struct image *now = list_store_image();
    uint64_t in_use = now ? now->version : 0;
    enum image_refusal refusal = trust_store_judge_new(i, i->kind, in_use, NULL);
    up.view.version = i->version;
    up.view.current = refusal == IMAGE_SAME_VERSION;
    switch (refusal) {
    case IMAGE_ACCEPTED:
        return RC_OK;
    case IMAGE_WRONG_BOARD:
        return end(RC_REFUSED, "this %s is for the board %s", kind_name(i->kind), i->board);
    case IMAGE_SAME_VERSION:
        return end(RC_REFUSED, "version %llu is in use already", (unsigned long long)in_use);
    case IMAGE_ROLLBACK:
        return end(RC_REFUSED, "version %llu is older than version %llu that is in use", (unsigned long long)i->version,
                   (unsigned long long)in_use);
    default:
        return end(RC_REFUSED, "this %s is refused: %s", kind_name(i->kind), image_refusal_text(refusal));
    }
}

static enum rc wait_for_readers(void)
{
    struct deadline d = deadline_in_ms(READER_WAIT_MS);
    while (list_store_spare_taken()) {
        enum rc rc = task_sleep_ms(READER_LOOK_MS);
        if (rc != RC_OK)
            return rc;
        if (deadline_passed(d))
            return RC_BUSY;
    }
    return RC_OK;
}

/* The spare slot is ours from here on. */
static enum rc clear_spare(uint64_t size_bytes)
{
    enum rc rc = wait_for_readers();
    if (rc != RC_OK)
        return end(rc, "%s", rc == RC_BUSY ? "the former list is still being read" : "given up");
    list_store_spare_drop();
    rc = slot_writer_erase(&up.writer, size_bytes);
    return rc == RC_OK ? RC_OK : end_by_flash(rc);
}

static enum rc need_spare(void)
{
    return up.writer.erased_bytes > 0 ? RC_OK : clear_spare(1);
}

static enum rc judge_list(const struct image *i)
{
    uint8_t hash[32];
    enum rc rc = judge_image(i);
    if (rc != RC_OK)
        return rc;
    if (i->size_bytes > up.writer.area.size_bytes)
        return end(RC_TOO_LONG, "the image has %llu bytes, its slot %llu", (unsigned long long)i->size_bytes,
                   (unsigned long long)up.writer.area.size_bytes);
    if (up.view.delta && (image_manifest_hash(i, hash) != RC_OK || memcmp(hash, up.patch.delta.header.target, 32) != 0))
        return end(RC_CORRUPT, "the patch makes another image than it says");
    up.image_bytes = i->size_bytes;
    up.head_judged = true;
    slot_writer_hold_head(&up.writer, up.head_need);
    up.view.state = LIST_UPDATE_WRITING;
    if (!up.view.delta)
        up.view.size_bytes = i->size_bytes;
    return RC_OK;
}

/* All of it is there; it is judged when it is to come into force. */
static enum rc hold_keyring(const struct image *i)
{
    up.keyring = up.head_judged = true;
    up.view.version = i->version;
    up.view.size_bytes = up.image_bytes = i->size_bytes;
    up.view.state = LIST_UPDATE_WRITING;
    slot_writer_hold_head(&up.writer, up.head_need);
    return RC_OK;
}

static enum rc start_patch(const struct image *i);

static enum rc judge_head(void)
{
    struct image image;
    if (image_open(&image, &head_reader) != RC_OK)
        return end(RC_CORRUPT, "its manifest is damaged, or it is no image");
    if (image.kind == IMAGE_LIST)
        return judge_list(&image);
    if (image.kind == IMAGE_DELTA && !up.view.delta)
        return start_patch(&image);
    if (image.kind == IMAGE_KEYRING && !up.view.delta)
        return hold_keyring(&image);
    return end(RC_REFUSED, "this is a %s, not a list", kind_name(image.kind));
}

/* --- gathering a head --- */

/* Bytes to hold back of what begins with the manifest's fixed part in head: 0 for what is no image. A list's go up to a whole unit of the
 * flash, for what follows is programmed as it comes. */
static uint32_t head_bytes(void)
{
    const uint8_t *h = up.writer.head;
    uint32_t sections = get_le32(h + 56), room = get_le32(h + 60);
    uint64_t whole = get_le64(h + 48);
    if (memcmp(h, "PIMG", 4) != 0 || sections > IMAGE_SECTIONS_MAX || room > IMAGE_SIGNATURE_ROOM_MAX)
        return 0;
    uint32_t need = IMAGE_MANIFEST_BYTES + sections * IMAGE_SECTION_BYTES + room;
    if (get_le16(h + 6) == IMAGE_LIST)
        need = (need + SLOT_UNIT_BYTES - 1) / SLOT_UNIT_BYTES * SLOT_UNIT_BYTES;
    if (get_le16(h + 6) == IMAGE_KEYRING)
        return whole <= TRUST_KEYRING_IMAGE_MAX ? (uint32_t)whole : 0;
    return whole < need ? (uint32_t)whole : need;
}

static void gather_head(void)
{
    up.head_have = 0;
    up.head_need = IMAGE_MANIFEST_BYTES;
}

/* Takes from *bytes what the head lacks, and judges it when it is whole. */
static enum rc take_head(struct span *bytes)
{
    size_t n = up.head_need - up.head_have;
    if (n > bytes->len)
        n = bytes->len;
    memcpy(up.writer.head + up.head_have, bytes->p, n);
    up.head_have += (uint32_t)n;
    *bytes = span_from(*bytes, n);
    if (up.head_have < up.head_need)
        return RC_OK;
    if (up.head_have == IMAGE_MANIFEST_BYTES) {
        up.head_need = head_bytes();
        if (up.head_need < IMAGE_MANIFEST_BYTES)
            return end(RC_CORRUPT, "this is not an image");
        if (up.head_need > up.head_have)
            return RC_OK;
    }
    return judge_head();
}

/* --- the list image's bytes, as they arrive or as a patch makes them --- */

static enum rc take_image(struct span bytes)
{
    while (!up.head_judged && bytes.len > 0) {
        enum rc rc = take_head(&bytes);
        if (rc != RC_OK)
            return rc;
    }
    if (bytes.len == 0)
        return RC_OK;
    if (bytes.len > up.image_bytes - up.writer.at)
        return end(RC_CORRUPT, "there are more bytes than the image has");
    enum rc rc = need_spare();
    if (rc != RC_OK)
        return rc;
    rc = slot_writer_put(&up.writer, bytes);
    return rc == RC_OK ? RC_OK : end_by_flash(rc);
}

/* --- a delta --- */

static enum rc patch_header(void *ctx, const struct delta_header *h)
{
    uint8_t hash[32];
    const struct image *now = list_store_image();
    (void)ctx;
    if (!now || image_manifest_hash(now, hash) != RC_OK || memcmp(hash, h->base, sizeof hash) != 0)
        return end(RC_REFUSED, "this delta is for another list than the one in use");
    return RC_OK;
}

static enum rc patch_put(void *ctx, struct span bytes)
{
    (void)ctx;
    return take_image(bytes);
}

static enum rc start_patch(const struct image *i)
{
    static const struct reader nothing = { read_head, NULL, 0 };
    static const struct delta_sink sink = { patch_header, patch_put, NULL };
    up.view.delta = true;
    up.view.size_bytes = i->size_bytes;
    enum rc rc = judge_image(i);
    if (rc != RC_OK)
        return rc;
    if (i->section_count != 1 || i->section[0].type != IMAGE_PATCH)
        return end(RC_CORRUPT, "the delta holds no patch");
    up.patch.from = i->section[0].offset;
    up.patch.to = up.patch.from + i->section[0].size_bytes;
    memcpy(up.patch.hash, i->section[0].sha256, sizeof up.patch.hash);
    sha256_init(&up.patch.found);
    const struct image *now = list_store_image();
    delta_init(&up.patch.delta, now ? now->reader : &nothing, &sink);
    gather_head();
    return RC_OK;
}

static enum rc take_patch(struct span bytes)
{
    if (up.view.position + bytes.len > up.patch.to)
        return end(RC_CORRUPT, "there are more bytes than the delta has");
    if (up.view.position < up.patch.from) /* between head and section */
        bytes = span_from(bytes, (size_t)(up.patch.from - up.view.position));
    sha256_update(&up.patch.found, bytes);
    enum rc rc = delta_push(&up.patch.delta, bytes);
    if (rc == RC_OK || !up.ticket)
        return rc; /* where it was ended already, the words are there */
    return end(rc, "the %s", rc == RC_CORRUPT ? "patch is damaged" : "list in use cannot be read");
}

/* --- the calls --- */

static enum rc take(struct span bytes)
{
    while (bytes.len > 0) {
        struct span now = bytes;
        enum rc rc;
        if (up.patch.to > 0) {
            rc = take_patch(now);
            bytes = span_from(bytes, bytes.len);
        } else if (up.head_judged) {
            rc = take_image(now);
            bytes = span_from(bytes, bytes.len);
        } else {
            rc = take_head(&bytes);
        }
        if (rc != RC_OK)
            return rc;
        up.view.position += now.len - bytes.len;
    }
    return RC_OK;
}

static bool enter(uint32_t ticket)
{
    if (ticket == 0 || ticket != up.ticket || up.inside)
        return false;
    if (up.writer.area.addr != list_store_spare_area()->addr) { /* another keyring has changed which slot is in use */
        drop();
        return false;
    }
    up.inside = true;
    up.moved_ms = clock_ms();
    return true;
}

static void leave(void)
{
    up.inside = false;
    up.moved_ms = clock_ms();
}

enum rc list_update_begin(const char *source, uint32_t *ticket)
{
    if (up.inside || (up.ticket && clock_ms() - up.moved_ms < LIST_UPDATE_IDLE_MS))
        return RC_BUSY;
    struct list_update_view fresh = { .state = LIST_UPDATE_HEAD };
    struct strbuf name = STRBUF(fresh.source);
    strbuf_add_printable(&name, span_of(source), sizeof fresh.source - 1);
    memcpy(fresh.words, up.view.words, sizeof fresh.words);
    fresh.ended = up.view.ended;
    fresh.good = up.view.good;
    up.view = fresh;
    up.patch.from = up.patch.to = 0;
    up.head_judged = up.keyring = false;
    slot_writer_init(&up.writer, list_store_spare_area());
    gather_head();
    up.moved_ms = clock_ms();
    *ticket = up.ticket = ++up.last_ticket ? up.last_ticket : ++up.last_ticket;
    return RC_OK;
}

enum rc list_update_write(uint32_t ticket, struct span bytes)
{
    if (!enter(ticket))
        return RC_CANCELLED;
    enum rc rc = take(bytes);
    leave();
    return rc;
}

uint64_t list_update_position(uint32_t ticket)
{
    return ticket && ticket == up.ticket ? up.view.position : 0;
}

enum rc list_update_prepare(uint32_t ticket, uint64_t size_bytes)
{
    if (size_bytes > list_store_spare_area()->size_bytes)
        return RC_TOO_LONG;
    if (!enter(ticket))
        return RC_CANCELLED;
    enum rc rc = clear_spare(size_bytes);
    leave();
    return rc;
}

void list_update_abandon(uint32_t ticket, const char *why)
{
    if (!ticket || ticket != up.ticket)
        return;
    drop();
    if (why) {
        struct strbuf words = STRBUF(up.view.words);
        strbuf_puts(&words, why);
        note_end(false);
    }
}

/* --- the end --- */

static void keep_origin(void)
{
    uint8_t record[ORIGIN_HEAD_BYTES + LIST_UPDATE_SOURCE_MAX];
    size_t len = strlen(up.view.source);
    put_le64(record, up.view.version);
    put_le64(record + 8, (uint64_t)wallclock_now());
    memcpy(record + ORIGIN_HEAD_BYTES, up.view.source, len);
    enum rc rc = settings_log_put(SPAN(ORIGIN_KEY), span_bytes(record, ORIGIN_HEAD_BYTES + len));
    if (rc != RC_OK)
        log_event_at(LOG_WARN, LOG_LIST, "origin", "rc=%s", rc_name(rc));
    up.origin_when = wallclock_now();
    memcpy(up.origin, up.view.source, sizeof up.origin);
}

static bool all_is_there(void)
{
    bool patched = up.patch.to == 0 || (up.view.position == up.patch.to && delta_complete(&up.patch.delta));
    return up.view.state == LIST_UPDATE_WRITING && patched && up.writer.at == up.image_bytes;
}

static void end_well(const char *format, ...)
{
    va_list ap;
    up.ticket = 0;
    up.view.state = LIST_UPDATE_IDLE;
    va_start(ap, format);
    set_words(format, ap);
    va_end(ap);
    note_end(true);
}
#define end_well(...) end_well(PACKED_FORMAT(__VA_ARGS__))

static enum rc use_keyring(void)
{
    enum image_refusal refusal;
    enum rc rc = trust_store_take(span_bytes(up.writer.head, up.head_have), &refusal);
    if (rc != RC_OK)
        return end(rc, "the keyring could not be kept (%s)", rc_name(rc));
    up.view.current = refusal == IMAGE_SAME_VERSION;
    if (refusal != IMAGE_ACCEPTED)
        return end(RC_REFUSED, "this keyring is refused: %s", image_refusal_text(refusal));
    list_store_judge_again();
    end_well("keyring version %llu is in force", (unsigned long long)up.view.version);
    return RC_OK;
}

static enum rc check_and_use(void)
{
    uint8_t found[32];
    up.view.state = LIST_UPDATE_CHECKING;
    if (up.keyring)
        return use_keyring();
    sha256_final(&up.patch.found, found);
    if (up.patch.to > 0 && memcmp(found, up.patch.hash, sizeof found) != 0)
        return end(RC_CORRUPT, "the patch is damaged: its hash differs");
    enum rc rc = need_spare();
    if (rc != RC_OK)
        return rc;
    rc = slot_writer_flush(&up.writer);
    if (rc != RC_OK)
        return end_by_flash(rc);
    rc = list_store_spare_check(span_bytes(up.writer.head, up.writer.head_len));
    if (rc != RC_OK)
        return end(rc, "the list does not check (%s)", rc_name(rc));
    rc = slot_writer_finish(&up.writer);
    if (rc == RC_OK)
        rc = list_store_spare_use();
    if (rc != RC_OK)
        return end_by_flash(rc);
    keep_origin();
    const struct list *l = list_store_list();
    end_well("version %llu is in use: %u domains", (unsigned long long)up.view.version, l ? (unsigned)l->info.domains : 0);
    return RC_OK;
}

enum rc list_update_finish(uint32_t ticket)
{
    if (!enter(ticket))
        return RC_CANCELLED;
    enum rc rc = all_is_there() ? check_and_use() : RC_INVALID;
    leave();
    return rc;
}

/* --- looking --- */

void(list_update_note)(const char *source, bool good, const char *format, ...)
{
    va_list ap;
    if (up.ticket)
        return; /* a transfer is under way, and will have its own end */
    struct strbuf name = STRBUF(up.view.source);
    strbuf_add_printable(&name, span_of(source), sizeof up.view.source - 1);
    va_start(ap, format);
    set_words(format, ap);
    va_end(ap);
    up.view.version = 0;
    up.view.current = false;
    note_end(good);
}

void list_update_look(struct list_update_view *out)
{
    *out = up.view;
}

const char *list_update_words(void)
{
    return up.view.words;
}

const char *list_update_origin(int64_t *when)
{
    *when = up.origin_when;
    return up.origin;
}

void list_update_init(void)
{
    uint8_t record[ORIGIN_HEAD_BYTES + LIST_UPDATE_SOURCE_MAX];
    size_t len = 0;
    const struct image *now = list_store_image();
    memset(&up, 0, sizeof up);
    enum rc rc = settings_log_get(SPAN(ORIGIN_KEY), record, sizeof record - 1, &len);
    if (rc != RC_OK || len < ORIGIN_HEAD_BYTES || !now || get_le64(record) != now->version)
        return;
    struct strbuf origin = STRBUF(up.origin);
    strbuf_add_printable(&origin, span_bytes(record + ORIGIN_HEAD_BYTES, len - ORIGIN_HEAD_BYTES), sizeof up.origin - 1);
    up.origin_when = (int64_t)get_le64(record + 8);
}

void list_update_set_fetch(const char *(*fetch)(void))
{
    up.fetch = fetch;
}

const char *list_update_fetch(void)
{
    return up.fetch ? up.fetch() : "this box fetches no list: there is no list.url";
}
