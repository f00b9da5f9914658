#include "private_private.h"

#include <string.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include "base/locked.h"
#include "base/ossl.h"
#include "mech_private.h"

KV_DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free)
KV_DEFINE_CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
KV_DEFINE_CLEANUP(EC_GROUP, EC_GROUP_free)
KV_DEFINE_CLEANUP(EC_POINT, EC_POINT_free)
KV_DEFINE_CLEANUP(BIGNUM, BN_clear_free)
KV_DEFINE_CLEANUP(BN_CTX, BN_CTX_free)

/* The numbers as bytes in one locked block, of which the views are parts. */
enum kv_status kv_private_export(BIGNUM *const numbers[], size_t count, struct kv_bytes *ret_block,
                                 struct kv_view *ret_parts)
{
    size_t size = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        size += (size_t)BN_num_bytes(numbers[i]);
    KV_TRY(kv_bytes_alloc_locked(size, ret_block));
    for (size_t i = 0; i < count; i++) {
        size_t len = (size_t)BN_num_bytes(numbers[i]);
        BN_bn2bin(numbers[i], ret_block->data + at);
        ret_parts[i] = (struct kv_view){ ret_block->data + at, len };
        at += len;
    }
    return KV_OK;
}

/* --- EC --- */

/* The public point of a scalar that is on the curve's group; 1 ≤ scalar < order. */
static enum kv_status point_of(const struct kv_curve *curve, struct kv_view scalar, unsigned char *ret)
{
    KV_CLEANUP(BN_CTX_free_cleanup) BN_CTX *context = BN_CTX_new_ex(kv_ossl_context());
    KV_CLEANUP(BN_clear_free_cleanup) BIGNUM *d = BN_bin2bn(scalar.data, (int)scalar.len, NULL);
    KV_CLEANUP(EC_GROUP_free_cleanup)
    EC_GROUP *group = EC_GROUP_new_by_curve_name_ex(kv_ossl_context(), NULL, OBJ_sn2nid(curve->group));
    KV_CLEANUP(EC_POINT_free_cleanup) EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    if (!context || !d || !point)
        return KV_NO_MEMORY;
    BN_set_flags(d, BN_FLG_CONSTTIME);
    if (BN_is_zero(d) || BN_cmp(d, EC_GROUP_get0_order(group)) >= 0)
        return KV_BAD_DATA;
    size_t size = 1 + 2 * (size_t)curve->width;
    if (EC_POINT_mul(group, point, d, NULL, NULL, context) != 1 ||
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, ret, size, context) != size)
        return KV_INTERNAL;
    return KV_OK;
}

enum kv_status kv_private_from_ec(const struct kv_curve *curve, struct kv_view scalar,
                                  struct kv_private **ret, struct kv_error *err)
{
    KV_AUTO_BYTES struct kv_bytes wide = { 0 };
    struct kv_view parts[KV_PRIVATE_PARTS] = { 0 };
    struct kv_public *public = NULL;
    unsigned char point[160];
    scalar = kv_view_minimal(scalar);
    if (!scalar.len || scalar.len > curve->width)
        return kv_fail(err, KV_BAD_DATA, "not a private value of %s", curve->name);
    if (kv_bytes_alloc_locked(curve->width, &wide))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    memcpy(wide.data + wide.len - scalar.len, scalar.data, scalar.len);
    enum kv_status status = point_of(curve, scalar, point);
    if (status)
        return kv_fail(err, status, "not a private value of %s", curve->name);
    KV_TRY(kv_public_from_ec(curve->name, (struct kv_view){ point + 1, curve->width },
                             (struct kv_view){ point + 1 + curve->width, curve->width }, &public, err));
    parts[KV_PART_SCALAR] = KV_VIEW(wide);
    return kv_private_join(public, parts, ret, err);
}

/* --- new ones --- */

EVP_PKEY *kv_private_generate(EVP_PKEY_CTX *context)
{
    EVP_PKEY *made = NULL;
    return EVP_PKEY_generate(context, &made) == 1 ? made : NULL;
}

/* By object identifier, as public.c does and says why. */
EVP_PKEY_CTX *kv_private_generator(enum kv_kind kind)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(
        kv_ossl_context(), kind == KV_RSA ? "1.2.840.113549.1.1.1" : "1.2.840.10045.2.1", NULL);
    if (context && EVP_PKEY_keygen_init(context) != 1) {
        EVP_PKEY_CTX_free(context);
        return NULL;
    }
    return context;
}

enum kv_status kv_private_new_ec(const struct kv_curve *curve, struct kv_private **ret, struct kv_error *err)
{
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve->group,
                                                             0),
                            OSSL_PARAM_construct_end() };
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup) EVP_PKEY_CTX *context = kv_private_generator(KV_EC);
    KV_CLEANUP(EVP_PKEY_free_cleanup)
    EVP_PKEY *pkey =
        context && EVP_PKEY_CTX_set_params(context, params) == 1 ? kv_private_generate(context) : NULL;
    KV_CLEANUP(BN_clear_free_cleanup) BIGNUM *scalar = NULL;
    KV_AUTO_BYTES struct kv_bytes block = { 0 };
    struct kv_view bytes;
    if (!pkey || EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1)
        return kv_fail(err, KV_INTERNAL, "OpenSSL makes no key on %s", curve->name);
    if (kv_private_export(&scalar, 1, &block, &bytes))
        return kv_fail(err, KV_NO_MEMORY, "out of memory");
    return kv_private_from_ec(curve, bytes, ret, err);
}

/* --- for one operation --- */

const char *const kv_private_rsa_names[KV_RSA_PARTS] = {
    [KV_PART_MODULUS] = OSSL_PKEY_PARAM_RSA_N,
    [KV_PART_EXPONENT] = OSSL_PKEY_PARAM_RSA_E,
    [KV_PART_PRIVATE_EXPONENT] = OSSL_PKEY_PARAM_RSA_D,
    [KV_PART_PRIME_1] = OSSL_PKEY_PARAM_RSA_FACTOR1,
    [KV_PART_PRIME_2] = OSSL_PKEY_PARAM_RSA_FACTOR2,
    [KV_PART_EXPONENT_1] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
    [KV_PART_EXPONENT_2] = OSSL_PKEY_PARAM_RSA_EXPONENT2,
    [KV_PART_COEFFICIENT] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

/* OpenSSL reads numbers in the machine's own order: copies, turned where they must be, in a block that is wiped. */
static size_t add_number(OSSL_PARAM *param, const char *name, struct kv_view number, unsigned char *place)
{
    for (size_t i = 0; i < number.len; i++)
        place[i] = number.data[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? number.len - 1 - i : i];
    *param = OSSL_PARAM_construct_BN(name, place, number.len);
    return number.len;
}

static size_t describe(const struct kv_private *key, OSSL_PARAM *ret, unsigned char *block)
{
    size_t count = 0, at = 0;
    if (key->kind == KV_RSA) {
        for (int i = 0; i < KV_RSA_PARTS; i++)
            at += add_number(&ret[count++], kv_private_rsa_names[i], key->parts[i], block + at);
    } else {
        struct kv_view point = kv_public_point(key->public);
        const struct kv_curve *curve = kv_public_curve(key->public);
        ret[count++] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve->group, 0);
        ret[count++] =
            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point.data, point.len);
        add_number(&ret[count++], OSSL_PKEY_PARAM_PRIV_KEY, key->parts[KV_PART_SCALAR], block);
    }
    ret[count] = OSSL_PARAM_construct_end();
    return count;
}

EVP_PKEY *kv_private_open(const struct kv_private *key)
{
    OSSL_PARAM params[KV_RSA_PARTS + 1];
    KV_AUTO_BYTES struct kv_bytes block = { 0 };
    EVP_PKEY *pkey = NULL;
    KV_CLEANUP(EVP_PKEY_CTX_free_cleanup)
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(
        kv_ossl_context(), key->kind == KV_RSA ? "1.2.840.113549.1.1.1" : "1.2.840.10045.2.1", NULL);
    if (!context || kv_bytes_alloc_locked(key->pkcs8.len, &block))
        return NULL;
    describe(key, params, block.data);
    if (EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
        return NULL;
    return pkey;
}
