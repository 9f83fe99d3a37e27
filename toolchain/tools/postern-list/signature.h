/* The OpenPGP signature of a published list, judged by gpgv (RFC 4880; the program of GnuPG that only verifies). */
#ifndef POSTERN_LIST_SIGNATURE_H
#define POSTERN_LIST_SIGNATURE_H

#include "toolchain/tools/common/byte_buffer.h"

/* Copies the input to a file without a name, so that nobody can change what was checked, has gpgv check the copy against the detached
 * signature and the keys of the keyring (binary or armored), and returns the copy, to be read from its start. Says the signer on stderr.
 * NULL: said on stderr: gpgv is missing, the signature is bad or expired, its key is unknown, expired or revoked. */
FILE *signed_copy(FILE *in, const char *in_name, const char *signature_path, const char *keyring_path);

#endif
