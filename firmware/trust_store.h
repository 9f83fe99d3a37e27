/* Which keys this box trusts: those of the keyring that is linked into its firmware, or of a newer keyring that was brought in since. A
 * keyring in force never ends by itself. Newer ones are kept in the settings log as "trust/keyring.N", each proven by the ones before it
 * from the firmware's own on, at every boot; factory-reset keeps them. */
#ifndef FIRMWARE_TRUST_STORE_H
#define FIRMWARE_TRUST_STORE_H

#include "policy/image_trust.h"

/* The keys section of the factory keyring, made when the firmware is built (see toolchain/README.md). */
extern const uint8_t factory_keyring[];
extern const unsigned factory_keyring_bytes;

/* A keyring image that a box takes is at most this long. */
#define TRUST_KEYRING_IMAGE_MAX 1792          /* one section of KEYRING_KEYS_MAX keys */
#define TRUST_KEYRING_PREFIX "trust/keyring." /* and a number: the newer ones in the settings log */

/* At boot, after settings_log_open. Yields. */
void trust_store_init(void);
const struct keyring *trust_store_keyring(void); /* never NULL; a view until a newer one is taken */
/* Judges the manifest and signatures of a new image of a list or of firmware as this box does now: by its keys, its board, its clocks and
 * the version in use (0: none); see image_trust_manifest. Yields. */
enum image_refusal trust_store_judge_new(const struct image *i, enum image_kind kind, uint64_t version_in_use,
                                         struct image_signers *signers);
/* One that was accepted before and lies in a slot: keys, board and kind alone. Yields. */
enum image_refusal trust_store_judge_kept(const struct image *i, enum image_kind kind, struct image_signers *signers);
/* Judges a whole keyring image and takes it: kept, and in force when it returns IMAGE_ACCEPTED. RC_OK with *why; else it was accepted but
 * could not be kept (RC_IO, RC_FULL: too many changes of keys since this firmware was built) and the old one stays in force; RC_BUSY: another
 * one is being taken. Yields. The caller judges slots again (list_store): keys may be gone. */
enum rc trust_store_take(struct span image, enum image_refusal *why) MUST_CHECK;

#endif
