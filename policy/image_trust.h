/* Judges an opened image against a keyring: may this box use it? Every refusal has its name. The rules stand in policy/IMAGE.md,
 * "What is accepted". Pure: no clock, no heap; time and versions come in with the demand. */
#ifndef POLICY_IMAGE_TRUST_H
#define POLICY_IMAGE_TRUST_H

#include "policy/image.h"
#include "policy/keyring.h"

enum image_refusal {
    IMAGE_ACCEPTED = 0,
    IMAGE_UNREADABLE,        /* the reader failed */
    IMAGE_DAMAGED,           /* breaks the format: cut, or no image at all */
    IMAGE_WRONG_KIND,        /* another kind than was asked for */
    IMAGE_WRONG_BOARD,       /* for another board */
    IMAGE_UNSIGNED,          /* no signature on it */
    IMAGE_UNKNOWN_SIGNER,    /* signed, but by no key of the keyring: a stranger's, or one that was retired */
    IMAGE_WRONG_ROLE,        /* signed by keys of the keyring alone that are for something else */
    IMAGE_BAD_SIGNATURE,     /* a signature in the name of a key that counts does not fit */
    IMAGE_TOO_FEW_KEYS,      /* fewer keys of its role than the threshold */
    IMAGE_TOO_FEW_OLD_ROOTS, /* a keyring: fewer root keys of the keyring in force than its threshold */
    IMAGE_TOO_FEW_NEW_ROOTS, /* a keyring: fewer of its own root keys than its own threshold */
    IMAGE_SAME_VERSION,      /* the version in use */
    IMAGE_ROLLBACK,          /* older than the version in use */
    IMAGE_FAST_FORWARD,      /* a version so high that hardly one could follow it */
    IMAGE_EXPIRED,
    IMAGE_FROM_FUTURE,     /* made later than it is now */
    IMAGE_SECTION_DIFFERS, /* a section is not the one that was signed */
    IMAGE_BAD_KEYRING,     /* a keyring whose keys section breaks its rules */
    IMAGE_REFUSALS
};
const char *image_refusal_name(enum image_refusal r); /* greppable: "too-few-keys" */
const char *image_refusal_text(enum image_refusal r); /* for people, packed, to follow "refused: " */

/* What a box asks of an image. */
struct image_demand {
    enum image_kind kind;
    const char *board;       /* this box's; an image for "any" fits too */
    uint64_t version_in_use; /* 0: none, or what is judged is what is in use */
    int64_t time_passed;     /* it is at least that late, by trusted time; 0: unknown. Ends what has expired */
    int64_t time_now;        /* the best clock there is; 0: unknown. Refuses what comes from the future */
};

/* How far a signer's clock may be ahead of ours, and a list's version ahead of its own date. */
#define IMAGE_AHEAD_MAX_S (24 * 3600)
/* How far a list's version, which is a time, may leap while the box does not know the time. */
#define IMAGE_LIST_LEAP_MAX_S (5LL * 366 * 24 * 3600)
/* How far the versions of firmware and keyrings, which are counted, may leap. */
#define IMAGE_COUNT_LEAP_MAX 1000000u

struct image_signers {
    unsigned valid, threshold; /* distinct keys that count */
    uint8_t key_id[32];        /* the first of them; zero when valid is 0 */
};

/* Judges what the manifest and the signatures say; the bytes of the sections are not touched, so they need not be there yet. For lists and
 * firmware. signers may be NULL. pause (may be NULL) is called between signatures, each of which takes 28 million instructions on 32 bits,
 * and may yield. */
enum image_refusal image_trust_manifest(const struct image *i, const struct keyring *k, const struct image_demand *d,
                                        void (*pause)(void), struct image_signers *signers);
/* Hashes every section and compares; calls pause every few KiB. IMAGE_SECTION_DIFFERS, IMAGE_UNREADABLE. */
enum image_refusal image_trust_sections(const struct image *i, void (*pause)(void));
/* A keyring image, whole, by the keyring in force: d->version_in_use is in_force's own version whatever the caller says. Accepted: *out
 * is the new keyring, its bytes in memory (KEYRING_BYTES_MAX). Otherwise *out is zeroed. out may not be in_force. */
enum image_refusal image_trust_keyring(const struct image *i, const struct keyring *in_force, const struct image_demand *d,
                                       void (*pause)(void), uint8_t *memory, struct keyring *out);

#endif
