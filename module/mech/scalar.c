/* The public point of an EC private key that comes without it, as PKCS#11 has them: templates name the curve and the scalar alone. */
#include "mech/local.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include "base/ossl.h"
#include "mech_private.h"

KV_DEFINE_CLEANUP(EC_GROUP, EC_GROUP_free)
KV_DEFINE_CLEANUP(EC_POINT, EC_POINT_free)
KV_DEFINE_CLEANUP(BIGNUM, BN_clear_free)
KV_DEFINE_CLEANUP(BN_CTX, BN_CTX_free)

enum { POINT_MAX = 1 + 2 * 66 };

/* Between 1 and the group's order less one. */
static bool in_range(const EC_GROUP *group, const BIGNUM *scalar)
{
    return !BN_is_zero(scalar) && BN_cmp(scalar, EC_GROUP_get0_order(group)) < 0;
}

static enum kv_status multiply(const EC_GROUP *group, const BIGNUM *scalar, unsigned char point[POINT_MAX],
                               size_t len)
{
    KV_CLEANUP(BN_CTX_free_cleanup) BN_CTX *context = BN_CTX_secure_new_ex(kv_ossl_context());
    KV_CLEANUP(EC_POINT_free_cleanup) EC_POINT *public = EC_POINT_new(group);
    if (!context || !public)
        return KV_NO_MEMORY;
    if (!EC_POINT_mul(group, public, scalar, NULL, NULL, context) ||
        EC_POINT_point2oct(group, public, POINT_CONVERSION_UNCOMPRESSED, point, POINT_MAX, context) != len)
        return KV_BAD_DATA;
    return KV_OK;
}

enum kv_status kv_public_from_scalar(const struct kv_curve *curve, struct kv_view scalar,
                                     struct kv_public **ret, struct kv_error *err)
{
    unsigned char point[POINT_MAX];
    KV_CLEANUP(EC_GROUP_free_cleanup)
    EC_GROUP *group = EC_GROUP_new_by_curve_name_ex(kv_ossl_context(), NULL, OBJ_txt2nid(curve->group));
    KV_CLEANUP(BN_clear_free_cleanup)
    BIGNUM *number = scalar.len <= curve->width ? BN_bin2bn(scalar.data, (int)scalar.len, NULL) : NULL;
    if (!group || (!number && scalar.len <= curve->width))
        return kv_fail(err, KV_NO_MEMORY, "OpenSSL cannot work on curve '%s'", curve->name);
    if (!number || !in_range(group, number))
        return kv_fail(err, KV_BAD_DATA, "the private key is no number of curve '%s'", curve->name);
    enum kv_status status = multiply(group, number, point, 1 + 2 * (size_t)curve->width);
    if (status != KV_OK)
        return kv_fail(err, status, "the public point of a key on '%s' cannot be computed", curve->name);
    return kv_public_from_ec(curve->name, (struct kv_view){ point + 1, curve->width },
                             (struct kv_view){ point + 1 + curve->width, curve->width }, ret, err);
}
