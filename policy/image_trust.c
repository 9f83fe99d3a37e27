/* One place decides whether an image may be used. Signatures come before versions and dates: nothing that an unsigned manifest claims is
 * worth a word of its own. */
#include "policy/image_trust.h"

#include <string.h>

#include "hal/base/packed_text.h"
#include "hal/crypto/ecdsa.h"

static const char *const refusal_names[IMAGE_REFUSALS] = {
    [IMAGE_ACCEPTED] = "accepted",
    [IMAGE_UNREADABLE] = "unreadable",
    [IMAGE_DAMAGED] = "damaged",
    [IMAGE_WRONG_KIND] = "wrong-kind",
    [IMAGE_WRONG_BOARD] = "wrong-board",
    [IMAGE_UNSIGNED] = "unsigned",
    [IMAGE_UNKNOWN_SIGNER] = "unknown-signer",
    [IMAGE_WRONG_ROLE] = "wrong-role",
    [IMAGE_BAD_SIGNATURE] = "bad-signature",
    [IMAGE_TOO_FEW_KEYS] = "too-few-keys",
    [IMAGE_TOO_FEW_OLD_ROOTS] = "too-few-old-roots",
    [IMAGE_TOO_FEW_NEW_ROOTS] = "too-few-new-roots",
    [IMAGE_SAME_VERSION] = "same-version",
    [IMAGE_ROLLBACK] = "rollback",
    [IMAGE_FAST_FORWARD] = "fast-forward",
    [IMAGE_EXPIRED] = "expired",
    [IMAGE_FROM_FUTURE] = "from-future",
    [IMAGE_SECTION_DIFFERS] = "section-differs",
    [IMAGE_BAD_KEYRING] = "bad-keyring",
};
#define TEXT_MAX 72
static const char refusal_texts[IMAGE_REFUSALS][TEXT_MAX] PACKED_TABLE = {
    [IMAGE_ACCEPTED] = "it is good",
    [IMAGE_UNREADABLE] = "it cannot be read",
    [IMAGE_DAMAGED] = "it is damaged or no image at all",
    [IMAGE_WRONG_KIND] = "it is an image of another kind",
    [IMAGE_WRONG_BOARD] = "it is for another board",
    [IMAGE_UNSIGNED] = "it is not signed",
    [IMAGE_UNKNOWN_SIGNER] = "no key that this box trusts has signed it",
    [IMAGE_WRONG_ROLE] = "the keys that signed it are not for this kind of image",
    [IMAGE_BAD_SIGNATURE] = "a signature does not fit: it was changed after it was signed",
    [IMAGE_TOO_FEW_KEYS] = "fewer keys have signed it than have to",
    [IMAGE_TOO_FEW_OLD_ROOTS] = "fewer root keys of the keyring in force have signed it than have to",
    [IMAGE_TOO_FEW_NEW_ROOTS] = "fewer of its own root keys have signed it than have to",
    [IMAGE_SAME_VERSION] = "this version is in use already",
    [IMAGE_ROLLBACK] = "it is older than the version in use",
    [IMAGE_FAST_FORWARD] = "its version is so high that hardly one could follow it",
    [IMAGE_EXPIRED] = "it has expired",
    [IMAGE_FROM_FUTURE] = "it was made later than it is now by this box's clock",
    [IMAGE_SECTION_DIFFERS] = "a part of it is not what was signed",
    [IMAGE_BAD_KEYRING] = "its keys break the rules of a keyring",
};

const char *image_refusal_name(enum image_refusal r)
{
    return (unsigned)r < IMAGE_REFUSALS ? refusal_names[r] : "unknown";
}

const char *image_refusal_text(enum image_refusal r)
{
    return (unsigned)r < IMAGE_REFUSALS ? refusal_texts[r] : "unknown";
}

/* --- Who signed --- */

struct tally {
    uint16_t valid; /* bit n: key n has signed */
    bool known;     /* some key of the keyring has, whatever its role */
    unsigned first; /* the first valid key */
};

/* Which key a signature names; key_count when none. */
static unsigned named_key(const struct keyring *k, const uint8_t id[32])
{
    unsigned n = 0;
    for (; n < k->key_count; n++) {
        uint8_t its_id[32];
        keyring_key_id(keyring_key(k, n), its_id);
        if (memcmp(its_id, id, sizeof its_id) == 0)
            break;
    }
    return n;
}

static enum image_refusal count_signature(struct tally *t, const struct keyring *k, uint16_t wanted,
                                          const struct image_signature *s, const uint8_t hash[32], void (*pause)(void))
{
    unsigned n = s->algorithm == IMAGE_ECDSA_P256_SHA256 ? named_key(k, s->key_id) : k->key_count;
    if (n == k->key_count)
        return IMAGE_ACCEPTED;
    t->known = true;
    if ((wanted >> n & 1) == 0 || (t->valid >> n & 1) != 0)
        return IMAGE_ACCEPTED;
    if (pause != NULL)
        pause();
    if (!ecdsa_p256_verify(keyring_key(k, n), hash, s->signature))
        return IMAGE_BAD_SIGNATURE;
    if (t->valid == 0)
        t->first = n;
    t->valid |= (uint16_t)(1u << n);
    return IMAGE_ACCEPTED;
}

static enum image_refusal tally_signatures(const struct image *i, const struct keyring *k, enum keyring_role role,
                                           void (*pause)(void), struct tally *t)
{
    uint8_t hash[32];
    *t = (struct tally){ .valid = 0 };
    enum image_refusal r = image_manifest_hash(i, hash) == RC_OK ? IMAGE_ACCEPTED : IMAGE_UNREADABLE;
    for (unsigned n = 0; r == IMAGE_ACCEPTED && n < i->signature_count; n++) {
        struct image_signature s;
        r = image_signature(i, n, &s) == RC_OK ? count_signature(t, k, k->role[role].keys, &s, hash, pause) : IMAGE_UNREADABLE;
    }
    return r;
}

static enum image_refusal judge_signatures(const struct image *i, const struct keyring *k, enum keyring_role role,
                                           void (*pause)(void), struct image_signers *signers)
{
    struct tally t;
    enum image_refusal r = tally_signatures(i, k, role, pause, &t);
    *signers = (struct image_signers){ .threshold = k->role[role].threshold };
    if (r != IMAGE_ACCEPTED)
        return r;
    signers->valid = keyring_count(t.valid);
    if (signers->valid > 0)
        keyring_key_id(keyring_key(k, t.first), signers->key_id);
    if (i->signature_count == 0)
        return IMAGE_UNSIGNED;
    if (signers->valid == 0)
        return t.known ? IMAGE_WRONG_ROLE : IMAGE_UNKNOWN_SIGNER;
    return signers->threshold > 0 && signers->valid >= signers->threshold ? IMAGE_ACCEPTED : IMAGE_TOO_FEW_KEYS;
}

/* --- What it is, and when --- */

static bool for_board(const struct image *i, const char *board)
{
    return strcmp(i->board, "any") == 0 || strcmp(i->board, board) == 0;
}

/* A list, or a patch that makes one. */
static bool is_list(enum image_kind kind)
{
    return kind == IMAGE_LIST || kind == IMAGE_DELTA;
}

/* A list's version is a time, so it can be held against the clock; others are counted. */
static bool leaps(const struct image *i, const struct image_demand *d)
{
    uint64_t least = d->version_in_use;
    if (!is_list(i->kind))
        return i->version > least && i->version - least > IMAGE_COUNT_LEAP_MAX;
    if (i->version > (uint64_t)i->created + IMAGE_AHEAD_MAX_S)
        return true;
    return d->time_now == 0 && least != 0 && i->version > least && i->version - least > IMAGE_LIST_LEAP_MAX_S;
}

static enum image_refusal judge_version(const struct image *i, const struct image_demand *d)
{
    if (d->version_in_use != 0 && i->version == d->version_in_use)
        return IMAGE_SAME_VERSION;
    if (i->version < d->version_in_use)
        return IMAGE_ROLLBACK;
    if (d->time_now != 0 && i->created > d->time_now + IMAGE_AHEAD_MAX_S)
        return IMAGE_FROM_FUTURE;
    if (leaps(i, d))
        return IMAGE_FAST_FORWARD;
    return i->expires != 0 && d->time_passed > i->expires ? IMAGE_EXPIRED : IMAGE_ACCEPTED;
}

static enum image_refusal judge_target(const struct image *i, const struct image_demand *d)
{
    if (i->kind != d->kind)
        return IMAGE_WRONG_KIND;
    return for_board(i, d->board) ? IMAGE_ACCEPTED : IMAGE_WRONG_BOARD;
}

static enum keyring_role role_of(enum image_kind kind)
{
    return is_list(kind) ? KEYRING_LIST : kind == IMAGE_FIRMWARE ? KEYRING_FIRMWARE : KEYRING_ROOT;
}

enum image_refusal image_trust_manifest(const struct image *i, const struct keyring *k, const struct image_demand *d,
                                        void (*pause)(void), struct image_signers *signers)
{
    struct image_signers unwanted;
    enum image_refusal r = judge_target(i, d);
    if (signers == NULL)
        signers = &unwanted;
    *signers = (struct image_signers){ .valid = 0 };
    if (r == IMAGE_ACCEPTED)
        r = judge_signatures(i, k, role_of(i->kind), pause, signers);
    return r == IMAGE_ACCEPTED ? judge_version(i, d) : r;
}

enum image_refusal image_trust_sections(const struct image *i, void (*pause)(void))
{
    for (unsigned n = 0; n < i->section_count; n++) {
        enum rc rc = image_section_check(i, (enum image_section)i->section[n].type, pause);
        if (rc != RC_OK)
            return rc == RC_IO ? IMAGE_UNREADABLE : IMAGE_SECTION_DIFFERS;
    }
    return IMAGE_ACCEPTED;
}

/* --- Keyrings --- */

static enum image_refusal open_keys(const struct image *i, uint8_t *memory, struct keyring *out)
{
    struct reader keys;
    struct reader_part part;
    if (image_section_reader(i, IMAGE_KEYS, &keys, &part) != RC_OK || keys.size_bytes > KEYRING_BYTES_MAX)
        return IMAGE_BAD_KEYRING;
    if (reader_get(&keys, 0, memory, (size_t)keys.size_bytes) != RC_OK)
        return IMAGE_UNREADABLE;
    if (keyring_open(out, span_bytes(memory, (size_t)keys.size_bytes)) != RC_OK || out->version != i->version)
        return IMAGE_BAD_KEYRING;
    return IMAGE_ACCEPTED;
}

/* Signed by a threshold of the old root keys, which hand over, and of the new ones, which prove that they are there. */
static enum image_refusal judge_handover(const struct image *i, const struct keyring *in_force, const struct image_demand *d,
                                         void (*pause)(void), const struct keyring *next)
{
    struct image_signers signers;
    struct image_demand asked = *d;
    asked.version_in_use = in_force->version;
    enum image_refusal r = judge_signatures(i, in_force, KEYRING_ROOT, pause, &signers);
    if (r == IMAGE_TOO_FEW_KEYS)
        return IMAGE_TOO_FEW_OLD_ROOTS;
    if (r == IMAGE_ACCEPTED)
        r = judge_version(i, &asked);
    if (r != IMAGE_ACCEPTED)
        return r;
    r = judge_signatures(i, next, KEYRING_ROOT, pause, &signers);
    bool lacking = r == IMAGE_TOO_FEW_KEYS || r == IMAGE_UNKNOWN_SIGNER || r == IMAGE_WRONG_ROLE;
    return lacking ? IMAGE_TOO_FEW_NEW_ROOTS : r;
}

enum image_refusal image_trust_keyring(const struct image *i, const struct keyring *in_force, const struct image_demand *d,
                                       void (*pause)(void), uint8_t *memory, struct keyring *out)
{
    enum image_refusal r = d->kind == IMAGE_KEYRING ? judge_target(i, d) : IMAGE_WRONG_KIND;
    if (r == IMAGE_ACCEPTED)
        r = image_trust_sections(i, pause);
    if (r == IMAGE_ACCEPTED)
        r = open_keys(i, memory, out);
    if (r == IMAGE_ACCEPTED)
        r = judge_handover(i, in_force, d, pause, out);
    if (r != IMAGE_ACCEPTED)
        *out = (struct keyring){ .version = 0 };
    return r;
}
