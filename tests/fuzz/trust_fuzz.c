/* Any bytes as a keyring image, a keys section and anchors, judged by a keyring that is fuzzed too. Checksums and hashes are made right
 * first: somebody who means harm can compute them too. Nothing that no root key has signed may ever be accepted. */
#include <stdlib.h>
#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/crypto/sha256.h"
#include "policy/anchors.h"
#include "policy/image_trust.h"
#include "tests/fuzz/demand.h"

static void check_keyring(const struct keyring *k)
{
    unsigned keys = 0;
    demand(k->version > 0 && k->key_count >= 1 && k->key_count <= KEYRING_KEYS_MAX && k->role[KEYRING_ROOT].threshold > 0);
    for (unsigned role = 0; role < KEYRING_ROLES; role++) {
        unsigned its = keyring_count(k->role[role].keys);
        demand(k->role[role].threshold <= its);
        keys += its;
    }
    demand(keys == k->key_count);
    for (unsigned n = 0; n < k->key_count; n++)
        demand(keyring_key(k, n) + KEYRING_KEY_BYTES <= (const uint8_t *)k->bytes.p + k->bytes.len);
}

static void mend(uint8_t *b, size_t len)
{
    if (len < IMAGE_MANIFEST_BYTES)
        return;
    memcpy(b, "PIMG\1\0", 6);
    b[6] = (uint8_t)(b[6] % 5);
    put_le32(b + 56, get_le32(b + 56) % 3);
    size_t sections = get_le32(b + 56), manifest = IMAGE_MANIFEST_BYTES + sections * IMAGE_SECTION_BYTES;
    if (manifest + IMAGE_SIGNATURE_HEAD_BYTES > len)
        return;
    for (size_t n = 0; n < sections; n++) {
        uint8_t *line = b + IMAGE_MANIFEST_BYTES + n * IMAGE_SECTION_BYTES;
        uint64_t at = get_le64(line + 8), size_bytes = get_le64(line + 16);
        if (at <= len && size_bytes <= len - at)
            sha256_of(span_bytes(b + at, (size_t)size_bytes), line + 24);
    }
    memcpy(b + manifest, "PSIG", 4);
    put_le32(b + manifest + 4, crc32_update(0, b, manifest));
}

static void judge(const struct image *i, const struct keyring *by)
{
    static const int64_t times[] = { 0, 1600000000, INT64_MAX };
    uint8_t memory[KEYRING_BYTES_MAX];
    struct keyring next;
    struct image_signers signers;
    for (unsigned n = 0; n < 3; n++) {
        struct image_demand d = { .kind = i->kind, .board = "any", .time_passed = times[n], .time_now = times[n] };
        if (i->kind == IMAGE_KEYRING) {
            demand(image_trust_keyring(i, by, &d, NULL, memory, &next) != IMAGE_ACCEPTED);
            demand(next.key_count == 0);
        } else {
            demand(image_trust_manifest(i, by, &d, NULL, &signers) != IMAGE_ACCEPTED);
            demand(signers.valid == 0);
        }
    }
    (void)image_trust_sections(i, NULL);
}

static void try_anchors(const struct reader *r)
{
    struct anchors a;
    struct anchor one;
    if (anchors_open(&a, r) != RC_OK)
        return;
    demand(a.count >= 1 && a.count <= ANCHORS_MAX);
    for (unsigned n = 0; n < a.count; n++)
        demand(anchors_get(&a, n, &one) != RC_NOT_FOUND);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* the keyring by which is judged, and then the image */
    size_t keys_len = size < 2 ? 0 : (size_t)get_le16(data) % (KEYRING_BYTES_MAX + 8);
    if (size < 2 || keys_len > size - 2)
        return 0;
    size_t len = size - 2 - keys_len;
    uint8_t *keys = malloc(keys_len + 1), *image = malloc(len + 1);
    demand(keys != NULL && image != NULL);
    memcpy(keys, data + 2, keys_len);
    memcpy(image, data + 2 + keys_len, len);
    struct keyring by;
    struct image i;
    if (keyring_open(&by, span_bytes(keys, keys_len)) == RC_OK)
        check_keyring(&by);
    struct span bytes = span_bytes(image, len);
    struct reader r = reader_on_span(&bytes);
    try_anchors(&r);
    mend(image, len);
    if (image_open(&i, &r) == RC_OK)
        judge(&i, &by);
    free(keys);
    free(image);
    return 0;
}
