/* A list image on its way into the spare list slot, from whoever brings it: the poll, the serial line, the page. No image is ever whole in
 * RAM. The manifest with its signatures is held back and judged as soon as it is there; before that no flash is touched, so that asking costs
 * nothing. Then the slot is erased and programmed as bytes come, finish checks all of it where it lies, and the head is programmed last of
 * all: a cut at any moment leaves the old list or the new one (policy/IMAGE.md has the table). The new list is used at once, without a
 * restart; the old one stays in its slot.
 *
 * A delta (image kind IMAGE_DELTA) comes by the same calls and is known by its head; what it makes is judged and checked like a full image.
 *
 * A keyring image comes the same way. It is small, needs no slot, and is judged and in force when finish returns.
 *
 * One transfer at a time. A ticket is what its owner shows; 0 is no ticket. A transfer that has not moved for LIST_UPDATE_IDLE_MS gives way
 * to the next begin, and its ticket then gets RC_CANCELLED. */
#ifndef FIRMWARE_LIST_UPDATE_H
#define FIRMWARE_LIST_UPDATE_H

#include "firmware/list_store.h"

#define LIST_UPDATE_IDLE_MS 60000
#define LIST_UPDATE_SOURCE_MAX 64
#define LIST_UPDATE_WORDS_MAX 160
/* The largest manifest with its signatures: what to fetch first, to have it judged. */
#define LIST_UPDATE_HEAD_MAX (IMAGE_MANIFEST_BYTES + IMAGE_SECTIONS_MAX * IMAGE_SECTION_BYTES + IMAGE_SIGNATURE_ROOM_MAX)

enum list_update_state {
    LIST_UPDATE_IDLE,     /* nothing under way; words tell how the last one ended */
    LIST_UPDATE_HEAD,     /* the manifest is not there yet */
    LIST_UPDATE_WRITING,  /* the manifest was judged good and newer; the rest is taken */
    LIST_UPDATE_CHECKING, /* all is there and is checked and put to use */
};

/* How a transfer stands, or how the last check or transfer ended. */
struct list_update_view {
    enum list_update_state state;
    uint64_t position, size_bytes;       /* of what is transferred; size 0 until the head is there */
    uint64_t version;                    /* of the image that is to come out; 0 until known */
    bool delta;                          /* a delta is transferred */
    char source[LIST_UPDATE_SOURCE_MAX]; /* who brings it, or brought it last; "" when nobody has yet */
    /* The last end (all zero or empty before the first): */
    bool good;     /* a list was put to use, or the one in use is the newest */
    bool current;  /* the last head was of the very version that is in use: no refusal, there was nothing to do */
    int64_t ended; /* wallclock_now then; 0: unknown */
    char words[LIST_UPDATE_WORDS_MAX]; /* one printable line, for the log, the console and the page */
};

/* Begins. source: "serial", "page", or a URL; printable, cut to fit. RC_OK and *ticket. RC_BUSY: another one is under way. Does not yield. */
enum rc list_update_begin(const char *source, uint32_t *ticket) MUST_CHECK;
/* The next bytes, any number of them. After an error the transfer has ended (as by abandon), and list_update_words says why. Yields.
 * RC_REFUSED: the manifest (or a patch's, or its base) is not to be used, or view.current. RC_CORRUPT: the bytes are no image, or more than
 * the image has. RC_TOO_LONG: it does not fit into the slot. RC_IO: the flash. RC_CANCELLED: not this ticket's any more (nothing is said
 * then). */
enum rc list_update_write(uint32_t ticket, struct span bytes) MUST_CHECK;
/* How many bytes were taken: where a broken transfer goes on. 0 without a transfer. */
uint64_t list_update_position(uint32_t ticket);
/* All bytes are there: checks every section and the signatures where they lie, programs the head, and puts the list to use. RC_OK;
 * RC_INVALID: bytes are missing (the transfer goes on: nothing is lost); else as write. Yields; some seconds for a large list. */
enum rc list_update_finish(uint32_t ticket) MUST_CHECK;
/* Ends it; the spare slot holds nothing then. why goes to the words; NULL: quietly, the words stay. Does not yield. */
void list_update_abandon(uint32_t ticket, const char *why);

/* Erases the spare slot for an image of that size now, so that nothing waits for an erase while its bytes come. Yields.
 * RC_TOO_LONG: it does not fit. RC_IO, RC_CANCELLED. */
enum rc list_update_prepare(uint32_t ticket, uint64_t size_bytes) MUST_CHECK;

/* Notes the end of a check that brought no transfer: "not modified", "no answer". source and words as above. */
void list_update_note(const char *source, bool good, const char *format, ...);
#define list_update_note(source, good, ...) (list_update_note)(source, good, PACKED_FORMAT(__VA_ARGS__))
void list_update_look(struct list_update_view *out);
const char *list_update_words(void); /* the last end in words; a view until the next */
/* Where the list in use came from, e.g. "serial", and when it came (0: unknown), kept over a restart. "" when not known: the first image. */
const char *list_update_origin(int64_t *when);

/* At boot, after list_store_init; forgets everything, the fetcher too. */
void list_update_init(void);

/* Who fetches when the operator says `list update`. fetch asks it to run soon, and returns NULL, or why it cannot, in words. */
void list_update_set_fetch(const char *(*fetch)(void));
const char *list_update_fetch(void); /* NULL: it will run soon */

#endif
