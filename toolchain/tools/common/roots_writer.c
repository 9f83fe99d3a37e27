#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/crypto/der_cert.h"
#include "hal/base/pem.h"
#include "policy/roots.h"
#include "toolchain/tools/common/image_writer.h"

struct root {
    uint8_t *der;
    size_t len;
    struct span subject, validity, key, key_id; /* in der */
    uint8_t path_length;
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

/* --- What a box needs of a certificate (RFC 5280 section 4.1) */

#define TAG_BOOLEAN 0x01
#define TAG_INTEGER 0x02
#define TAG_OCTETS 0x04
#define TAG_OID 0x06
#define TAG_SEQUENCE 0x30

/* RC_INVALID: not one; RC_UNSUPPORTED: no authority's. */
static enum rc take_basic_constraints(struct span value, struct root *r)
{
    struct span whole, body, flag, number;
    if (!der_take(&value, TAG_SEQUENCE, &whole, &body) || value.len != 0)
        return RC_INVALID;
    if (!der_take(&body, TAG_BOOLEAN, &whole, &flag) || flag.len != 1 || flag.p[0] == 0)
        return RC_UNSUPPORTED;
    if (body.len == 0)
        return RC_OK;
    if (!der_take(&body, TAG_INTEGER, &whole, &number) || number.len != 1 || (uint8_t)number.p[0] > 0x7f)
        return RC_INVALID;
    r->path_length = (uint8_t)number.p[0];
    return RC_OK;
}

static enum rc take_extension(struct span extension, struct root *r)
{
    struct span whole, oid, unused, value, id;
    if (!der_take(&extension, TAG_OID, &whole, &oid))
        return RC_INVALID;
    (void)der_take(&extension, TAG_BOOLEAN, &whole, &unused);
    if (!der_take(&extension, TAG_OCTETS, &whole, &value))
        return RC_INVALID;
    if (span_eq(oid, SPAN("\x55\x1d\x13")))
        return take_basic_constraints(value, r);
    if (span_eq(oid, SPAN("\x55\x1d\x1e"))) /* name constraints, which the box's paths do not know */
        return RC_UNSUPPORTED;
    if (span_eq(oid, SPAN("\x55\x1d\x0e")) && der_take(&value, TAG_OCTETS, &whole, &id) && id.len <= ROOT_KEY_ID_MAX)
        r->key_id = id;
    return RC_OK;
}

static enum rc take_extensions(struct span tbs, struct root *r)
{
    struct span whole, outer, list, one;
    (void)der_take(&tbs, 0x81, &whole, &outer); /* unique identifiers: of old, and long gone */
    (void)der_take(&tbs, 0x82, &whole, &outer);
    if (tbs.len == 0)
        return RC_OK; /* version 1 has no extensions */
    if (!der_take(&tbs, 0xa3, &whole, &outer) || tbs.len != 0 || !der_take(&outer, TAG_SEQUENCE, &whole, &list))
        return RC_INVALID;
    while (list.len > 0) {
        enum rc rc = der_take(&list, TAG_SEQUENCE, &whole, &one) ? take_extension(one, r) : RC_INVALID;
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc parse_certificate(struct root *r)
{
    struct span der = span_bytes(r->der, r->len), whole, body, tbs;
    r->path_length = ROOT_NO_PATH_LENGTH;
    if (!der_take(&der, TAG_SEQUENCE, &whole, &body) || der.len != 0 || !der_take(&body, TAG_SEQUENCE, &whole, &tbs))
        return RC_INVALID;
    (void)der_take(&tbs, 0xa0, &whole, &body);
    bool ok = der_take(&tbs, TAG_INTEGER, &whole, &body) && der_take(&tbs, TAG_SEQUENCE, &whole, &body) &&
              der_take(&tbs, TAG_SEQUENCE, &whole, &body) && der_take(&tbs, TAG_SEQUENCE, &r->validity, &body) &&
              der_take(&tbs, TAG_SEQUENCE, &r->subject, &body) && der_take(&tbs, TAG_SEQUENCE, &r->key, &body);
    return ok ? take_extensions(tbs, r) : RC_INVALID;
}

/* What it takes on the box, with the certificate that is made of it. */
static size_t room_on_box(const struct root *r)
{
    return 2 * (r->validity.len + r->key.len + r->key_id.len) + 3 * r->subject.len + 128;
}

static enum rc add_root(struct root_set *set, struct span body, unsigned number, struct strbuf *why)
{
    struct root r = { .der = tool_alloc(PEM_DECODED_MAX(body.len), 1) };
    enum rc rc = pem_decode(body, r.der, PEM_DECODED_MAX(body.len), &r.len);
    if (rc != RC_OK)
        strbuf_printf(why, "certificate %u: not base64", number);
    else if ((rc = parse_certificate(&r)) != RC_OK)
        strbuf_printf(why, "certificate %u: %s", number,
                      rc == RC_UNSUPPORTED ? "not an authority's, or one with constraints on names" : "not an X.509 certificate");
    else if (room_on_box(&r) > ROOT_DER_MAX)
        strbuf_printf(why, "certificate %u: its name and key are larger than a box takes", number);
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

static size_t write_root(const struct root *r, struct byte_buffer *out)
{
    size_t start = out->len;
    byte_buffer_u8(out, (uint8_t)r->key_id.len);
    byte_buffer_u8(out, r->path_length);
    byte_buffer_add(out, r->subject.p, r->subject.len);
    byte_buffer_add(out, r->validity.p, r->validity.len);
    byte_buffer_add(out, r->key.p, r->key.len);
    byte_buffer_add(out, r->key_id.p, r->key_id.len);
    return out->len - start;
}

static void write_section(const struct root_set *set, struct byte_buffer *out)
{
    struct byte_buffer index = { NULL, 0, 0 }, roots = { NULL, 0, 0 };
    for (size_t i = 0; i < set->count; i++) {
        byte_buffer_u32(&index, set->roots[i].subject_crc);
        byte_buffer_u32(&index, (uint32_t)roots.len);
        byte_buffer_u32(&index, (uint32_t)write_root(&set->roots[i], &roots));
    }
    size_t start = out->len;
    byte_buffer_add(out, "PRTS", 4);
    byte_buffer_u32(out, ROOTS_FORMAT);
    byte_buffer_u32(out, (uint32_t)set->count);
    byte_buffer_u32(out, (uint32_t)roots.len);
    uint32_t crc = crc32_update(0, out->p + start, out->len - start);
    byte_buffer_u32(out, crc32_update(crc, index.p, index.len));
    byte_buffer_add(out, index.p, index.len);
    byte_buffer_add(out, roots.p, roots.len);
    byte_buffer_free(&index);
    byte_buffer_free(&roots);
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
