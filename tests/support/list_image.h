/* List images for tests: a list of made-up domains and three CA roots. The same arguments give the same bytes. */
#ifndef TESTS_LIST_IMAGE_H
#define TESTS_LIST_IMAGE_H

#include "toolchain/tools/common/byte_buffer.h"

/* `domains` names d0.example, d1.example, ..., but those of which the number divides by `without` (0: none is left out); all enforce, with
 * mx.<name>. Created at its version, or at 1'600'000'000 if that is later, valid for
 * 14 days, signed by LIST_A of tests/support/signing.h. Free with byte_buffer_free. */
void list_image_make(struct byte_buffer *out, uint64_t version, unsigned domains, unsigned without);

#endif
