/* Key pairs, keyrings and signed images for tests. Key n is always the same, and its private half is known to everybody. */
#ifndef TESTS_SUPPORT_SIGNING_H
#define TESTS_SUPPORT_SIGNING_H

#include "toolchain/tools/common/image_writer.h"

/* Roots 1..3 (two have to sign), list keys 4 and 5 (one), firmware key 6 (one). */
enum { ROOT_A = 1, ROOT_B = 2, ROOT_C = 3, LIST_A = 4, LIST_B = 5, FIRMWARE_A = 6, STRANGER = 9 };

void signing_private_key(unsigned n, uint8_t out[32]);
void signing_key_id(unsigned n, uint8_t out[32]);
/* The keyring above as a source, to be changed and written. As version 1 it is the factory keyring of the tests. */
struct keyring_source signing_keyring(uint64_t version);
/* A whole image with one section; signed by keys, a list that ends in 0. Fails the test if that cannot be. */
void signing_image(const struct image_source *s, const unsigned *keys, struct byte_buffer *out);
void signing_add(unsigned key, struct byte_buffer *image);
/* A keyring image of that version, signed by keys. */
void signing_keyring_image(const struct keyring_source *s, const unsigned *keys, struct byte_buffer *out);

#endif
