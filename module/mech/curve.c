#include "mech_private.h"

#include <string.h>

/* The order of P-521 has 521 bits, yet ES512 takes the 64 bytes of SHA-512 (contract §7.3). */
static const struct kv_curve curves[] = {
    { "P-256", "prime256v1", { 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, 10, 256, 32, 32 },
    { "P-384", "secp384r1", { 0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x22 }, 7, 384, 48, 48 },
    { "P-521", "secp521r1", { 0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x23 }, 7, 521, 66, 64 },
    { "P-256K", "secp256k1", { 0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x0a }, 7, 256, 32, 32 },
};

const struct kv_curve *kv_curve_find(const char *name)
{
    for (size_t i = 0; name && i < sizeof curves / sizeof *curves; i++)
        if (strcmp(curves[i].name, name) == 0)
            return &curves[i];
    return NULL;
}

const struct kv_curve *kv_curve_by_params(struct kv_view params)
{
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (kv_view_equal((struct kv_view){ curves[i].params, curves[i].params_len }, params))
            return &curves[i];
    return NULL;
}

/* bits2int (RFC 6979 §2.3.2) reads the leftmost bits of a long digest and the value of a short one, so cutting and left-padding change nothing in
 * the signature. For P-521 that holds up to 64 bytes: of a longer one it would read 521 bits, which the service cannot be sent. */
enum kv_status kv_mech_fit_digest(const struct kv_mech *row, struct kv_view digest, struct kv_bytes *ret)
{
    const struct kv_curve *curve = kv_curve_find(row->curve);
    if (!curve)
        return KV_INTERNAL;
    if (digest.len == 0 || (digest.len > curve->digest && curve->bits > 8 * curve->digest))
        return KV_DATA_LENGTH;

    struct kv_bytes fitted;
    KV_TRY(kv_bytes_alloc(curve->digest, &fitted));
    size_t used = digest.len < fitted.len ? digest.len : fitted.len;
    memcpy(fitted.data + fitted.len - used, digest.data, used);
    *ret = fitted;
    return KV_OK;
}
