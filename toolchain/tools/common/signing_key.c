/* DER of a P-256 key has fixed lengths in each of the forms that are written: what comes before and behind the numbers is compared. */
#include "toolchain/tools/common/signing_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hal/base/pem.h"
#include "hal/crypto/ecdsa.h"
#include "hal/random.h"
#include "toolchain/tools/common/byte_buffer.h"

#define PRIVATE_LABEL "PRIVATE KEY"

/* Before the private number, between it and the point's x, and whether it is there at all. */
static const struct form {
    const char *label;
    struct span before, between;
    bool has_private;
} forms[] = {
    { PRIVATE_LABEL,
      { "\x30\x81\x87\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x04\x6d\x30"
        "\x6b\x02"
        "\x01\x01\x04\x20",
        36 },
      { "\xa1\x44\x03\x42\x00\x04", 6 },
      true },
    { "EC PRIVATE KEY",
      { "\x30\x77\x02\x01\x01\x04\x20", 7 },
      { "\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\xa1\x44\x03\x42\x00\x04", 18 },
      true },
    { "PUBLIC KEY",
      { "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04", 27 },
      { "", 0 },
      false },
};

static enum rc complain(const char *path, const char *why)
{
    fprintf(stderr, "error: %s: %s\n", path, why);
    return RC_INVALID;
}

void signing_key_wipe(struct signing_key *k)
{
    explicit_bzero(k, sizeof *k);
}

static bool take(struct span *der, struct span expected)
{
    bool fits = span_eq(span_sub(*der, 0, expected.len), expected);
    *der = span_from(*der, expected.len);
    return fits;
}

static bool take_bytes(struct span *der, uint8_t *out, size_t len)
{
    if (der->len < len)
        return false;
    memcpy(out, der->p, len);
    *der = span_from(*der, len);
    return true;
}

static bool parse(const struct form *f, struct span der, struct signing_key *out)
{
    uint8_t point[KEYRING_KEY_BYTES];
    out->has_private = f->has_private;
    bool ok = take(&der, f->before) && (!f->has_private || take_bytes(&der, out->private_key, sizeof out->private_key)) &&
              take(&der, f->between) && take_bytes(&der, out->public_xy, sizeof out->public_xy) && der.len == 0;
    if (ok && f->has_private)
        ok = ecdsa_p256_public(out->private_key, point) && memcmp(point, out->public_xy, sizeof point) == 0;
    keyring_key_id(out->public_xy, out->id);
    return ok;
}

static bool parse_pem(struct span text, struct signing_key *out)
{
    struct span label, body;
    uint8_t der[256];
    size_t len;
    bool ok = false;
    while (!ok && pem_block(&text, &label, &body) == RC_OK) {
        for (size_t i = 0; !ok && i < sizeof forms / sizeof forms[0]; i++)
            ok = span_is(label, forms[i].label) && pem_decode(body, der, sizeof der, &len) == RC_OK &&
                 parse(&forms[i], span_bytes(der, len), out);
    }
    explicit_bzero(der, sizeof der);
    return ok;
}

enum rc signing_key_read(const char *path, struct signing_key *out)
{
    struct byte_buffer text = { NULL, 0, 0 };
    *out = (struct signing_key){ .has_private = false };
    enum rc rc = file_read(path, &text);
    if (rc == RC_OK && !parse_pem(byte_buffer_span(&text), out)) {
        signing_key_wipe(out);
        rc = complain(path, "not a key for P-256 in PEM (PKCS#8, SEC1 or public), unencrypted");
    }
    if (text.len > 0)
        explicit_bzero(text.p, text.len);
    byte_buffer_free(&text);
    return rc;
}

static void write_pem(const struct signing_key *k, struct strbuf *out)
{
    char memory[256];
    struct strbuf der = STRBUF(memory);
    strbuf_add(&der, forms[0].before);
    strbuf_add(&der, span_bytes(k->private_key, sizeof k->private_key));
    strbuf_add(&der, forms[0].between);
    strbuf_add(&der, span_bytes(k->public_xy, sizeof k->public_xy));
    pem_write(out, PRIVATE_LABEL, strbuf_span(&der));
    explicit_bzero(memory, sizeof memory);
}

static enum rc write_new(const char *path, struct span text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) {
        (void)complain(path, errno == EEXIST ? "there already; a key is never written over" : strerror(errno));
        return RC_IO;
    }
    bool ok = write(fd, text.p, text.len) == (ssize_t)text.len && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (ok)
        return RC_OK;
    (void)complain(path, strerror(errno));
    unlink(path);
    return RC_IO;
}

enum rc signing_key_make(const char *path, struct signing_key *out)
{
    char text[512];
    struct strbuf pem = STRBUF(text);
    out->has_private = true;
    do {
        random_bytes(out->private_key, sizeof out->private_key);
    } while (!ecdsa_p256_public(out->private_key, out->public_xy));
    keyring_key_id(out->public_xy, out->id);
    write_pem(out, &pem);
    enum rc rc = write_new(path, strbuf_span(&pem));
    explicit_bzero(text, sizeof text);
    if (rc != RC_OK)
        signing_key_wipe(out);
    return rc;
}
