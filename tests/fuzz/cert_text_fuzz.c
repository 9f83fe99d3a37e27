/* PEM and the walk over a certificate's DER on any bytes. What is found lies inside, and what is written is read again. */
#include <string.h>

#include "hal/base/pem.h"
#include "hal/crypto/der_cert.h"
#include "tests/fuzz/demand.h"

static void fuzz_der(struct span der)
{
    struct span dn;
    if (x509_subject_dn(der, &dn) == RC_OK)
        demand(dn.len >= 2 && dn.p > der.p && dn.p + dn.len <= der.p + der.len && dn.p[0] == 0x30);
    else
        demand(dn.len == 0);
    demand((x509_issuer_dn(der, &dn) == RC_OK) == (dn.len > 0));
}

static void fuzz_pem(struct span text)
{
    static uint8_t bytes[8192], again[8192];
    static char written[16384];
    struct span label, body;
    while (pem_block(&text, &label, &body) == RC_OK) {
        size_t len = 0, len_again = 0;
        if (pem_decode(body, bytes, sizeof bytes, &len) != RC_OK)
            continue;
        demand(len <= PEM_DECODED_MAX(body.len));
        fuzz_der(span_bytes(bytes, len));
        struct strbuf out = STRBUF(written);
        pem_write(&out, "X", span_bytes(bytes, len));
        struct span rest = strbuf_span(&out);
        demand(!out.overflow && pem_next(&rest, "X", again, sizeof again, &len_again) == RC_OK);
        demand(len == len_again && memcmp(bytes, again, len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_der(span_bytes(data, size));
    fuzz_pem(span_bytes(data, size));
    return 0;
}
