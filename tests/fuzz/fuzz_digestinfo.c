/* What stands in a DigestInfo, and the two forms of an ECDSA signature. */
#include "fuzz.h"
#include "base/encode.h"
#include "mech/mech.h"

static void read_info(struct kv_view data)
{
    const struct kv_mech *row = NULL;
    struct kv_view digest = { 0 };
    if (kv_mech_digestinfo(data, &row, &digest) != KV_OK)
        return;
    MUST(row && row->alg);
    MUST(digest.len == 32 || digest.len == 48 || digest.len == 64);
    MUST(digest.data + digest.len ==
         data.data + data.len); /* it ends the whole: nothing can hide behind it */
    MUST(data.len == digest.len + 19 || data.len == digest.len + 17);
}

static void read_signature(struct kv_view der, size_t width)
{
    struct kv_bytes raw = { 0 }, again = { 0 };
    if (kv_ecdsa_from_der(der, width, &raw) != KV_OK)
        return;
    MUST(raw.len == 2 * width);
    MUST(kv_ecdsa_to_der(KV_VIEW(raw), &again) == KV_OK);
    MUST(kv_view_equal(KV_VIEW(again), der)); /* one signature, one form */
    kv_bytes_free(&raw);
    kv_bytes_free(&again);
}

static void walk(struct kv_view rest, unsigned depth)
{
    struct kv_view inside;
    while (depth < 16 && rest.len && kv_der_read(&rest, rest.data[0], &inside) == KV_OK)
        walk(inside, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_view whole = { data, size };
    read_info(whole);
    read_signature(whole, 32);
    read_signature(whole, 66);
    walk(whole, 0);
    return 0;
}
