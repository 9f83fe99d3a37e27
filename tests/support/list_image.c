#include "tests/support/list_image.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/signing.h"
#include "toolchain/tools/common/list_writer.h"

#define CREATED 1600000000
#define LIFE_S (14 * 86400)
#define ROOTS "tests/vectors/roots/three.pem"

static void must(enum rc rc)
{
    if (rc != RC_OK) {
        fprintf(stderr, "list_image: %s\n", rc_name(rc));
        abort();
    }
}

static void add_domain(struct list_source *s, unsigned number)
{
    char name[40], mx[80];
    snprintf(name, sizeof name, "d%u.example", number);
    /* Hosts of no pattern, so that an image is about as large as it has domains. */
    snprintf(mx, sizeof mx, "m%08x.%s", number * 2654435761u, name);
    struct list_source_domain *d = &s->domains[s->count++];
    *d = (struct list_source_domain){ .name = tool_copy(span_of(name)), .mode = LIST_ENFORCE, .mx_count = 1 };
    d->mx = tool_alloc(1, sizeof *d->mx);
    d->mx[0] = tool_copy(span_of(mx));
}

static void make_policies(struct byte_buffer *out, unsigned domains, unsigned without)
{
    struct list_source s = { .timestamp = CREATED, .expires = CREATED + LIFE_S, .author = "tests" };
    s.domains = tool_alloc(domains, sizeof *s.domains);
    for (unsigned i = 0; i < domains; i++)
        if (!without || i % without)
            add_domain(&s, i);
    must(list_write(&s, out));
    list_source_free(&s);
}

static void make_roots(struct byte_buffer *out)
{
    struct byte_buffer pem = { NULL, 0, 0 };
    char words[100];
    struct strbuf why = STRBUF(words);
    unsigned count;
    must(file_read(ROOTS, &pem));
    must(roots_write(byte_buffer_span(&pem), out, &count, &why));
    byte_buffer_free(&pem);
}

void list_image_make(struct byte_buffer *out, uint64_t version, unsigned domains, unsigned without)
{
    struct byte_buffer policies = { NULL, 0, 0 }, roots = { NULL, 0, 0 };
    make_policies(&policies, domains, without);
    make_roots(&roots);
    const struct image_source_section sections[] = { { IMAGE_POLICIES, byte_buffer_span(&policies) },
                                                     { IMAGE_ROOTS, byte_buffer_span(&roots) } };
    const struct image_source s = { .kind = IMAGE_LIST,
                                    .board = "any",
                                    .version = version,
                                    .created = version > CREATED ? (int64_t)version : CREATED,
                                    .expires = (version > CREATED ? (int64_t)version : CREATED) + LIFE_S,
                                    .sections = sections,
                                    .count = 2 };
    struct byte_buffer made = { NULL, 0, 0 };
    signing_image(&s, (const unsigned[]){ LIST_A, 0 }, &made);
    byte_buffer_add(out, made.p, made.len);
    byte_buffer_free(&made);
    byte_buffer_free(&policies);
    byte_buffer_free(&roots);
}
