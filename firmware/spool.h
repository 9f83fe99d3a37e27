/* Accepted mail, safe on flash: a log of segments in erase blocks. FORMAT: firmware/SPOOL.md (every byte, and what each interrupted state
 * becomes). A message is streamed in and never held in RAM; one commit record makes it ours, and only then may 250 be said. Outcomes of
 * recipients are small appended records. The queue's RAM is a fixed window; what does not fit is walked on flash.
 *
 * Small mails cost one program and one sync: a writer gathers records in a buffer of its session and programs it when full. */
#ifndef FIRMWARE_SPOOL_H
#define FIRMWARE_SPOOL_H

#include "board/plan_sizes.h"
#include "hal/base/domain.h"
#include "hal/base/ipaddr.h"
#include "hal/flash.h"

#define SPOOL_ADDRESS_MAX 320
#define SPOOL_CHUNK_BYTES PLAN_SPOOL_CHUNK_BYTES /* a writer's buffer */
#define SPOOL_RECIPIENTS_MAX 1000
#define SPOOL_TEXT_MAX 256     /* of an outcome */
#define SPOOL_RESERVE_BLOCKS 2 /* never given to intake: bounces and settling */

/* What making room for an append of intake costs at most, in operations of the flash: an erase of each of a segment's blocks, and so many
 * others. A writer that finds no room waits for no more than so many cleanings: one under way, one of its own. SPOOL.md, Bounds, has
 * the conditions and the time. */
#define SPOOL_CLEAN_PROGRAMS(segment_bytes) (3 * (segment_bytes) / 2 / SPOOL_CHUNK_BYTES + 8)
#define SPOOL_CLEAN_READS(segment_bytes) ((segment_bytes) / 12) /* of a header or a record, five for each of 64 bytes */
#define SPOOL_CLEAN_SYNCS 4
#define SPOOL_WAIT_CLEANINGS 2

enum spool_origin { SPOOL_FROM_OUTSIDE = 0, SPOOL_FROM_INSIDE = 1, SPOOL_OWN = 2 /* bounces, reports */ };

struct spool_envelope {
    char sender[SPOOL_ADDRESS_MAX + 1]; /* "" for <> */
    int64_t received;                   /* wall clock, 0 unknown */
    enum spool_origin origin;
    bool body_8bit, utf8, require_tls, tls_optional; /* RFC 6152, 6531, 8689 */
    uint8_t ret;                                     /* 0, 'F', 'H' */
    char envid[101];
    struct ip_endpoint peer;
    char helo[DOMAIN_TEXT_MAX];
};

enum spool_state { SPOOL_WAITING = 0, SPOOL_DELIVERED = 1, SPOOL_BOUNCED = 2, SPOOL_DROPPED = 3 /* by the operator */ };

struct spool_recipient {
    char address[SPOOL_ADDRESS_MAX + 1];
    char domain[DOMAIN_TEXT_MAX]; /* canonical next-hop domain, "[1.2.3.4]" for a literal */
    uint8_t notify;               /* DSN_NOTIFY_* bits, 0 none */
    char orcpt[321];
    /* the latest outcome */
    enum spool_state state;
    uint16_t code;
    uint8_t enhanced[3];
    int64_t at;
    char text[SPOOL_TEXT_MAX];
};

/* One queue entry as the window holds it. */
struct spool_entry {
    uint32_t id;
    uint32_t size_bytes; /* message, without envelope */
    int64_t received;
    int64_t next_try;             /* wall clock or 0: at once */
    uint16_t recipients, waiting; /* all, not settled */
    uint16_t attempts;
    uint8_t origin;
    bool held;    /* by the operator */
    bool busy;    /* a delivery works on it: RAM only */
    bool damaged; /* set aside: CRC error; shown, not tried */
    uint16_t hop; /* what spool_note_hop said, 0 nothing yet: RAM only */
};

/* Boot: scans headers, rebuilds the queue, starts the spool's own task. RC_IO; RC_UNSUPPORTED: a later format, nothing is touched;
 * RC_INVALID: too small. May yield. */
enum rc spool_open(uint64_t addr, uint64_t size_bytes) MUST_CHECK;

/* --- writing: one writer a session; all yield but init --- */
struct spool_writer {
    uint32_t id;
    bool open, failed;
    enum rc why;
    uint64_t body_bytes;
    unsigned recipients;
    uint32_t crc; /* of the body */
    bool own;     /* of SPOOL_OWN: may use the reserve */
    bool held;    /* set by the owner before commit: it starts as if the operator held it */
    bool in_body; /* the chunk's last record is a BODY that grows, from body_at */
    size_t body_at;
    size_t used;
    uint32_t first_seq, first_off; /* where the envelope lies; 0: not yet on flash */
    uint64_t promised_bytes;       /* of expected_bytes, still to come */
    int64_t received;
    uint8_t origin;
    uint8_t *chunk; /* SPOOL_CHUNK_BYTES, given by the slot */
};
/* Nothing reaches flash until a chunk is full or commit. expected_bytes: from SIZE, 0 unknown. RC_FULL: no room (452). */
enum rc spool_begin(struct spool_writer *w, uint8_t *chunk, const struct spool_envelope *e, uint64_t expected_bytes) MUST_CHECK;
enum rc spool_add_recipient(struct spool_writer *w,
                            const struct spool_recipient *r) MUST_CHECK;   /* before the first write; RC_FULL */
enum rc spool_write(struct spool_writer *w, struct span bytes) MUST_CHECK; /* RC_FULL, RC_IO: then only abort */
/* Durable when RC_OK: the mail is ours and in the queue; *id names it. On error it is not, and never will be. */
enum rc spool_commit(struct spool_writer *w, uint32_t *id) MUST_CHECK;
void spool_abort(struct spool_writer *w);

/* --- the queue --- */
/* The next entry of the window after id (0: the first) in order of id. False at the end. Does not yield. */
bool spool_next(uint32_t after_id, struct spool_entry *out);
bool spool_lookup(uint32_t id, struct spool_entry *out);
/* The next entry of the whole queue after id (0: begins, and what comes in later is not shown), in order of id. What is outside the window
 * is as the log has it; of what this gave last, spool_read_recipient can read. Walks the log twice for PLAN_SPOOL_VIEW_MESSAGES entries,
 * unless all are in the window. One user at a time, the console's task. Yields. */
bool spool_next_of_all(uint32_t after_id, struct spool_entry *out);
/* The same for a message anywhere: one that is not in the window is looked for on flash and fetched into it. Yields. */
bool spool_find(uint32_t id, struct spool_entry *out);
/* An entry that is neither busy, held nor damaged and whose next_try has come; marks it busy. False: none. One with waiting == 0 comes at
 * once: the box stopped between its last outcome and its settling, and what follows the outcomes (a bounce) may be missing. */
bool spool_take_due(int64_t now, struct spool_entry *out);
/* The same, passing over entries that do not fit; fit must not yield. */
bool spool_take_due_if(int64_t now, bool (*fit)(const struct spool_entry *e), struct spool_entry *out);
void spool_note_hop(uint32_t id, uint16_t hop); /* where it waits to go, for fit */
void spool_hop_is_back(uint16_t hop); /* what was noted to wait for it and is in the window is due now, until the next boot */
/* All that waits outside the window and is neither held nor damaged is due now, until the next boot; what is inside has spool_defer. */
void spool_outside_is_due(void);
/* All that is due in the window waits for its next hop: once a second a quarter of it makes room for what is outside, for a while. */
void spool_look_further(int64_t now);
void spool_release(uint32_t id);   /* no longer busy */
extern struct event spool_changed; /* signalled when a mail is committed or becomes due by an operator's order */
int64_t spool_next_due(void);      /* earliest next_try of what is neither busy nor held; INT64_MAX none */

/* --- reading; may yield --- */
struct spool_reader {
    uint32_t id;
    uint32_t body_bytes;
    uint64_t body_left;
    uint32_t seq, off;            /* the record that is read: its place; before the first one, the envelope's */
    uint32_t index, record_bytes; /* which bytes of the body it has, and where they lie */
    uint64_t record_addr;
};
enum rc spool_read_envelope(uint32_t id, struct spool_envelope *out) MUST_CHECK; /* RC_NOT_FOUND, RC_CORRUPT, RC_IO */
enum rc spool_read_recipient(uint32_t id, unsigned index, struct spool_recipient *out) MUST_CHECK; /* with its latest outcome */
/* The same without the outcome; state: SPOOL_WAITING, or another for whatever was its end. It costs the same with many recipients as with few. */
enum rc spool_read_address(uint32_t id, unsigned index, struct spool_recipient *out) MUST_CHECK;
enum rc spool_body_open(struct spool_reader *r, uint32_t id) MUST_CHECK;
enum rc spool_body_read(struct spool_reader *r, void *buf, size_t cap,
                        size_t *got) MUST_CHECK; /* *got 0: end. CRC checked a record */

/* --- outcomes: durable when RC_OK; all yield --- */
enum rc spool_outcome(uint32_t id, unsigned index, enum spool_state state, uint16_t code, const uint8_t enhanced[3],
                      struct span text, int64_t at) MUST_CHECK; /* state WAITING records a deferral's text */
enum rc spool_defer(uint32_t id, int64_t next_try, uint16_t attempts) MUST_CHECK;
enum rc spool_hold(uint32_t id, bool held) MUST_CHECK;
/* All recipients are settled: the message is programmed to zeros and its space is free for reclaiming. RC_BUSY while any waits, unless
 * the message is damaged. The entry is gone when RC_OK. */
enum rc spool_settle(uint32_t id) MUST_CHECK;
/* Marks a message as damaged, so that it isn't tried again; what the readers do by themselves when they find RC_CORRUPT. */
enum rc spool_set_aside(uint32_t id) MUST_CHECK;

struct spool_info {
    uint64_t size_bytes, free_bytes; /* free for intake now */
    unsigned messages;
    unsigned waiting_recipients, damaged;     /* of the window */
    unsigned blocks, blocks_free, blocks_bad; /* segments: one or more erase blocks */
    uint32_t erase_min, erase_max;
    uint64_t commits, syncs, reclaimed_blocks, compacted_blocks;
};
void spool_info(struct spool_info *out);

#endif
