#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/crypto/der_cert.h"
#include "hal/base/pem.h"
#include "policy/roots.h"
#include "toolchain/tools/common/image_writer.h"

struct root {
    uint8_t *der;
    size_t len;
    struct span subject; /* in der */
    uint32_t subject_crc;
};

struct root_set {
    struct root *roots;
    size_t count, cap;
};

static int root_cmp(const void *a, const void *b)
{
    const struct root *x = a, *y = b;
    if (x->subject_crc != y->subject_crc)
        return x->subject_crc < y->subject_crc ? -1 : 1;
    int order = span_cmp(x->subject, y->subject);
    return order != 0 ? order : span_cmp(span_bytes(x->der, x->len), span_bytes(y->der, y->len));
}

static enum rc add_root(struct root_set *set, struct span body, unsigned number, struct strbuf *why)
{
    struct root r = { .der = tool_alloc(PEM_DECODED_MAX(body.len), 1) };
    enum rc rc = pem_decode(body, r.der, PEM_DECODED_MAX(body.len), &r.len);
    if (rc != RC_OK)
        strbuf_printf(why, "certificate %u: not base64", number);
    else if (r.len > ROOT_DER_MAX)
        strbuf_printf(why, "certificate %u: %zu bytes are more than the %d that a box takes", number, r.len, ROOT_DER_MAX);
    else if (x509_subject_dn(span_bytes(r.der, r.len), &r.subject) != RC_OK)
        strbuf_printf(why, "certificate %u: not an X.509 certificate", number);
    if (why->len > 0) {
        free(r.der);
        return RC_INVALID;
    }
    r.subject_crc = crc32_update(0, r.subject.p, r.subject.len);
    if (set->count == set->cap) {
        set->cap = set->cap * 2 + 64;
        set->roots = tool_resize(set->roots, set->cap, sizeof *set->roots);
    }
    set->roots[set->count++] = r;
    return RC_OK;
}

static enum rc collect(struct root_set *set, struct span pem, struct strbuf *why)
{
    struct span label, body;
    unsigned number = 0;
    enum rc rc;
    while ((rc = pem_block(&pem, &label, &body)) == RC_OK) {
        number++;
        if (!span_is(label, "CERTIFICATE")) {
            strbuf_printf(why, "block %u is \"%.*s\", not a certificate", number, (int)label.len, label.p);
            return RC_INVALID;
        }
        rc = add_root(set, body, number, why);
        if (rc != RC_OK)
            return rc;
    }
    if (rc != RC_NOT_FOUND)
        strbuf_printf(why, "after %u certificates: a PEM block that does not end", number);
    else if (set->count == 0)
        strbuf_puts(why, "there is no PEM certificate in it");
    else if (set->count > ROOTS_MAX)
        strbuf_printf(why, "%zu certificates are more than the %d that a box takes", set->count, ROOTS_MAX);
    return why->len > 0 ? RC_INVALID : RC_OK;
}

static void sort_and_drop_doubles(struct root_set *set)
{
    qsort(set->roots, set->count, sizeof *set->roots, root_cmp);
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (kept > 0 && root_cmp(&set->roots[kept - 1], &set->roots[i]) == 0)
            free(set->roots[i].der);
        else
            set->roots[kept++] = set->roots[i];
    }
    set->count = kept;
}

static void write_section(const struct root_set *set, struct byte_buffer *out)
{
    struct byte_buffer index = { NULL, 0, 0 }, certificates = { NULL, 0, 0 };
    for (size_t i = 0; i < set->count; i++) {
        byte_buffer_u32(&index, set->roots[i].subject_crc);
        byte_buffer_u32(&index, (uint32_t)certificates.len);
        byte_buffer_u32(&index, (uint32_t)set->roots[i].len);
        byte_buffer_add(&certificates, set->roots[i].der, set->roots[i].len);
    }
    size_t start = out->len;
    byte_buffer_add(out, "PRTS", 4);
    byte_buffer_u32(out, ROOTS_FORMAT);
    byte_buffer_u32(out, (uint32_t)set->count);
    byte_buffer_u32(out, (uint32_t)certificates.len);
    uint32_t crc = crc32_update(0, out->p + start, out->len - start);
    byte_buffer_u32(out, crc32_update(crc, index.p, index.len));
    byte_buffer_add(out, index.p, index.len);
    byte_buffer_add(out, certificates.p, certificates.len);
    byte_buffer_free(&index);
    byte_buffer_free(&certificates);
}

enum rc roots_write(struct span pem, struct byte_buffer *out, unsigned *count, struct strbuf *why)
{
    struct root_set set = { NULL, 0, 0 };
    enum rc rc = collect(&set, pem, why);
    if (rc == RC_OK) {
        sort_and_drop_doubles(&set);
        write_section(&set, out);
        *count = (unsigned)set.count;
    }
    for (size_t i = 0; i < set.count; i++)
        free(set.roots[i].der);
    free(set.roots);
    return rc;
}
