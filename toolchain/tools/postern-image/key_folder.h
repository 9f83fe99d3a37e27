/* The folder of signing keys: ROLE-N.key, numbered from 1, and keyring.img, the keyring that names them. */
#ifndef TOOLS_POSTERN_IMAGE_KEY_FOLDER_H
#define TOOLS_POSTERN_IMAGE_KEY_FOLDER_H

#include "toolchain/tools/common/byte_buffer.h"
#include "toolchain/tools/common/signing_key.h"

#define KEY_PATH_MAX 4096

/* $POSTERN_KEYS, else the folder "keys" beside the one that this program lies in. */
const char *key_folder_default(void);
/* RC_INVALID, and told: too long a path. */
enum rc key_folder_path(const char *dir, const char *name, char path[KEY_PATH_MAX]) MUST_CHECK;
/* Three root keys of which two sign, a list key, a firmware key, and their keyring as version 1: each where it is missing. Keys without
 * their keyring get one; a keyring without its keys is a fault. */
enum rc key_folder_make(const char *dir) MUST_CHECK;
/* Adds a signature of each key of that role in the folder, at least one. */
enum rc key_folder_sign(const char *dir, enum keyring_role role, struct byte_buffer *image) MUST_CHECK;
/* Adds one signature; where tells people whose. */
enum rc key_sign(const struct signing_key *key, const char *where, struct byte_buffer *image) MUST_CHECK;

#endif
