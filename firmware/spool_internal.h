/* What the spool's files share: the segment table, the log, the window. Only firmware/spool*.c includes this.
 *
 * Invariants: space in the log is given out and its program started without a yield between, so that the log's order is the
 * flash's order and a sync covers a prefix of the log. segment.end stands behind the last record that is wholly programmed:
 * nobody reads beyond it. A record is dead when the first four bytes of its payload are zero. */
#ifndef FIRMWARE_SPOOL_INTERNAL_H
#define FIRMWARE_SPOOL_INTERNAL_H

#include "board/plan_sizes.h"
#include "firmware/spool_format.h"

#define SPOOL_SEGMENTS_MAX PLAN_SPOOL_SEGMENTS
#define SPOOL_WINDOW_ENTRIES PLAN_SPOOL_WINDOW_MESSAGES /* x 64 bytes, at most 32 KiB */
#define SPOOL_WRITERS_MAX 64
/* At least so much, and at least SPOOL_RESERVE_BLOCKS segments, for settling and own mail. */
#define SPOOL_RESERVE_BYTES (128u * 1024)
#define SPOOL_PAUSE_RECORDS 512u /* headers looked at between two yields of a long walk */
#define SPOOL_SOON_S \
    8 /* what is due so soon stays in the window: between two looks through all of the log there is that much time */
#define SPOOL_SETTLED_MAX 32 /* SETTLED records whose end waits for a sync */

enum segment_state {
    SEGMENT_FREE,
    SEGMENT_USED,
    SEGMENT_DIRTY, /* wants an erase */
    SEGMENT_BUSY,  /* being erased or opened by somebody */
    SEGMENT_BAD,
};

struct segment {
    uint32_t seq; /* USED */
    uint32_t wear;
    uint32_t live_bytes; /* of records that are not dead */
    uint32_t end;
    uint8_t state;
    /* FREE: all of it is known to be erased; USED and worn: was tried to be emptied; BAD: nothing is to be wiped any more */
    bool looked : 1;
    bool wear_lost : 1;  /* the count did not survive: the highest one known stands in; BAD: what lived in it has gone for good */
    bool worn : 1;       /* USED, but an operation failed in it: nothing more is written, and it is not used again */
    bool has_status : 1; /* USED: there may be status records or copies in it */
};

/* Who wants room: what follows may go deeper into the reserve. */
enum room_class { ROOM_INTAKE, ROOM_OWN /* bounces, reports: half of it */, ROOM_SYSTEM /* outcomes */, ROOM_CLEANER };

struct log_record {
    struct record_header h;
    struct spool_place place;
    uint64_t addr;
    bool dead;
};

struct log_cursor {
    struct spool_place at; /* next */
    uint32_t entered_seq;  /* of the segment that at lay in last, and its number */
    unsigned segment;
};

struct window_entry {
    struct spool_entry e;             /* id 0: unused */
    struct spool_place first, status; /* ENVELOPE, newest status record */
    uint32_t serial;                  /* of the newest status record, also of one that failed */
    bool moved;                       /* copies exist: its records do not lie between first and COMMIT alone */
    bool locked;                      /* a status record is being written */
    bool loading;                     /* known from its COMMIT, not yet from its status records: nobody may act on it */
};

/* Who of a message has a result for good. */
struct settled_notes {
    uint32_t id; /* 0: unused */
    bool known;  /* else it is still being looked for */
    uint32_t bits[(SPOOL_RECIPIENTS_MAX + 31) / 32];
};

struct spool {
    uint64_t addr;
    uint32_t segment_bytes, erase_block_bytes;
    unsigned segments, reserve_segments;
    struct segment segment[SPOOL_SEGMENTS_MAX];

    int head;          /* -1: none */
    uint32_t head_off; /* given out up to here */
    uint32_t next_seq, next_id, salt, stamp;
    uint32_t wear_guess; /* for a segment whose count is lost: the highest one seen at boot */

    uint32_t busy_id[SPOOL_WRITERS_MAX]; /* of messages being written or settled; 0: none */
    uint64_t promised_bytes;             /* still expected by open writers */

    bool opening, syncing, cleaning;
    bool cleaning_deep; /* it looks for replaced results, which may take long */
    unsigned killers;   /* walks that program zeros; excluded from a segment that is being copied */
    struct event opened, synced, unlocked;
    struct {
        uint32_t id;
        struct spool_place place;
        uint64_t sync;
    } settled[SPOOL_SETTLED_MAX]; /* sync: after which they go */
    unsigned settled_count;

    unsigned messages, waiting_recipients, damaged;
    bool refill_wanted;
    uint32_t fetch_id; /* wanted in the window; 0: none */
    struct event fetched;
    bool give_way;           /* before it, what waits for its next hop leaves */
    bool outside_grew;       /* a message was left outside the window since all was looked through */
    bool unseen;             /* behind scan there may be messages outside of which nothing is known */
    struct spool_place scan; /* what lies before it and is outside is due at overflow_due or later */
    uint32_t due_stamp;      /* status records up to this one no longer say when */
    int64_t overflow_due;
    int64_t now, gave_way_at; /* as the queue's user told it last */
    uint32_t stuck_id[16];    /* settled, but their records would not be zeroed */
    unsigned stuck;
    struct event work;
    struct settled_notes settled_notes[PLAN_DELIVERY_SESSIONS];

    uint64_t commits, reclaimed, compacted;
    uint64_t syncs, syncs_done; /* begun; the newest one that succeeded */
};
extern struct spool spool;

/* --- segments (spool_segments.c) --- */
uint64_t segment_addr(unsigned i);
int segment_find(uint32_t seq);        /* USED with this seq, or -1 */
int segment_at_or_after(uint32_t seq); /* USED with the least seq that is not less, or -1 */
unsigned segments_free(void);
uint32_t segment_usable(void);
enum rc segment_classify(unsigned i) MUST_CHECK;             /* at boot. RC_IO, RC_UNSUPPORTED */
enum rc segment_open_head(enum room_class class) MUST_CHECK; /* a new head. RC_FULL, RC_IO. Yields */
/* Retires (durably), erases and labels a segment without live records. Yields. */
enum rc segment_reclaim(unsigned i) MUST_CHECK;
/* Zeros both openings, not yet durably. False: it still opens, and what lies there counts. Yields. */
bool segment_retire(unsigned i) MUST_CHECK;
int segment_reclaimable(void); /* or -1 */
/* Looks through a segment that was not looked at since boot: labels a free one without a label, wipes a bad one. False: there is none. Yields */
bool segment_look_next(void);
void segment_worn(unsigned i); /* an operation failed: close it, mark it bad on flash. Yields */
bool segment_may_append(enum room_class class);
unsigned segments_kept_from(enum room_class class); /* free ones that stay for those who may go deeper */
uint64_t spool_free_for_intake(void);               /* spool_write.c */
void spool_settled_flush(void);                     /* spool_status.c: zeros the SETTLED records that are due. Yields */

/* --- the log (spool_log.c) --- */
/* Appends whole records, headers encoded with seed 0; a BODY record may be split. On return the buffer is used up. *last: place of the last record; first: place of an ENVELOPE, set when one passes and written into
 * a COMMIT; may be NULL. Everything is programmed when RC_OK; else what was is zeroed. Yields. */
enum rc log_append(uint8_t *records, size_t len, enum room_class class, struct spool_place *first,
                   struct spool_place *last) MUST_CHECK;
enum rc log_sync(void) MUST_CHECK; /* group commit. Yields */
struct log_cursor log_from(uint32_t seq, uint32_t off);
/* The next whole record at the cursor. RC_NOT_FOUND at the end. Skips what does not check. Does not yield. */
enum rc log_next(struct log_cursor *c, struct log_record *r) MUST_CHECK;
enum rc log_record_at(struct spool_place place, struct log_record *r) MUST_CHECK; /* RC_NOT_FOUND */
/* The payload with its CRC checked, in memory shared by all: good until the next call or yield. RC_CORRUPT, RC_IO. */
enum rc log_payload(const struct log_record *r, struct span *payload) MUST_CHECK;
enum rc log_check_payload(const struct log_record *r,
                          uint32_t *body_crc) MUST_CHECK; /* of any length; body_crc goes on if not NULL */
enum rc log_kill(struct log_record *r) MUST_CHECK;        /* programs the payload to zeros. Yields */
void log_wipe(uint64_t addr, uint32_t len);               /* zeros it as far as a worn device still does it. Yields */
void log_pause(unsigned *count);                          /* yields now and then. In any long walk */
static inline bool place_is(struct spool_place a, struct spool_place b)
{
    return a.seq == b.seq && a.off == b.off;
}

/* --- exclusion of copying and zeroing (spool_clean.c). Nothing is appended between kill_begin and kill_end: it might have to wait for a
 * copy that waits for the kill. Yield --- */
void kill_begin(void);
void kill_end(void);
/* Makes one segment free: reclaims, else compacts, or waits for one who does. RC_FULL: nothing to gain; for intake also: nothing but by a long
 * search for replaced results. Yields; SPOOL.md, Bounds, says for how long. */
enum rc spool_make_room(enum room_class class) MUST_CHECK;
uint64_t spool_gainable_bytes(void); /* what make_room would find in the end */
void spool_housekeeping_start(void);

/* --- messages (spool_message.c) --- */
/* Zeros every record of id but SETTLED from a place on, to the COMMIT or to the log's end. The caller
 * stands between kill_begin and kill_end. Yields. */
enum rc message_kill(uint32_t id, struct spool_place from, bool to_commit) MUST_CHECK;
/* Zeros the status records of id along their chain. RC_CORRUPT: the chain is broken. Yields. */
enum rc message_kill_chain(uint32_t id, struct spool_place newest) MUST_CHECK;
/* One whose payload checks. RC_NOT_FOUND; RC_CORRUPT, RC_IO: what there is can't be read. Yields. */
enum rc message_find(uint32_t id, uint8_t type, uint32_t index, struct spool_place hint, struct log_record *r) MUST_CHECK;
/* The newest OUTCOME of a recipient: RC_NOT_FOUND none. payload as log_payload. */
enum rc message_outcome(uint32_t id, uint32_t index, struct log_record *r, struct span *payload) MUST_CHECK;
/* Whether a recipient of a message in the window has a result for good. A walk along its outcomes, once. Yields. */
bool message_settled(uint32_t id, uint32_t index);
void message_settled_now(uint32_t id, uint32_t index); /* its outcome is durable */
/* The status record of id at a place, with its payload as log_payload. RC_CORRUPT: there is none. */
enum rc message_status_at(uint32_t id, struct spool_place at, struct log_record *r, struct status_payload *s) MUST_CHECK;
/* Whether a newer status record of the same message makes an older one worthless. */
bool message_replaces(const struct log_record *newer, const struct log_record *older);
/* Whether all of a message is there and checks. */
enum rc message_verify(uint32_t id, const struct commit_payload *c) MUST_CHECK;
/* Being written or settled just now: neither copied nor loaded into the window. */
bool message_is_busy(uint32_t id);
/* Marks it so. False: too many. */
bool message_busy_begin(uint32_t id);
void message_busy_end(uint32_t id);

/* --- the window (spool_window.c); none yields. An entry is a view until the next yield, unless busy or locked --- */
void window_clear(void);
struct window_entry *window_find(uint32_t id);
/* Adds a message, giving way to sooner ones; NULL: it stays outside. */
struct window_entry *window_add(const struct window_entry *entry);
void window_remove(struct window_entry *w);
void window_put_out(struct window_entry *w); /* it stays on flash, and comes back when its time has come */
void window_make_place(void);                /* if there is none: the latest due is put out */
unsigned window_count(void);
struct window_entry *window_at(unsigned i); /* 0..SPOOL_WINDOW_ENTRIES-1 */
struct window_entry *window_unused(void);   /* NULL: none */
bool window_may_leave(const struct window_entry *w);
struct window_entry *window_latest(void);       /* the latest due of what may leave, or NULL */
int64_t window_latest_due(void);                /* INT64_MIN: nothing may */
void window_unseen_from(struct spool_place at); /* there is something outside from there on */
void window_apply(struct window_entry *w, const struct log_record *r, const struct status_payload *s);
void *window_scratch(size_t *bytes); /* at boot, before the first entry */

/* --- filling the window (spool_refill.c); the spool's task and boot alone. Yield --- */
void window_boot(uint32_t tail_stamp); /* counts the messages, too; COMMITs from that stamp on are verified */
void window_refill(void);
void window_fetch(uint32_t id); /* from flash, if it is there */
/* What a COMMIT knows, as an entry that is still to learn from all other records. False: not one of a message that waits. Does not yield */
bool window_entry_of(const struct log_record *commit, struct window_entry *w);
void window_learn(struct window_entry *w, const struct log_record *r); /* r is of the same message. Does not yield */
/* What an entry learns from beside its COMMIT: a status record or a copy. */
static inline bool record_tells_more(const struct record_header *h)
{
    return record_is_status(h->type) || h->source != 0;
}
/* Shows all that tell more from there on, and some others. */
void walk_statuses(struct spool_place from, void (*see)(const struct log_record *r));

/* --- a look at all (spool_view.c) --- */
struct window_entry *view_find(uint32_t id); /* what spool_next_of_all has found last, for readers alone; or NULL */
static inline const struct window_entry *entry_known(uint32_t id)
{
    const struct window_entry *w = window_find(id);
    return w != NULL ? w : view_find(id);
}

#endif
