#include "mech_private.h"

#include <string.h>
#include <openssl/rsa.h>

enum { AES_BLOCK = 16 };

static const struct {
    CK_MECHANISM_TYPE digest;
    CK_RSA_PKCS_MGF_TYPE mgf;
    unsigned long len; /* bytes */
} hashes[] = {
    { CKM_SHA_1, CKG_MGF1_SHA1, 20 },
    { CKM_SHA256, CKG_MGF1_SHA256, 32 },
    { CKM_SHA384, CKG_MGF1_SHA384, 48 },
    { CKM_SHA512, CKG_MGF1_SHA512, 64 },
};

static int find_hash(CK_MECHANISM_TYPE digest)
{
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
        if (hashes[i].digest == digest)
            return (int)i;
    return -1;
}

/* The service salts with as many bytes as the hash has, and masks with the same hash (contract §7.3). */
static enum kv_status read_pss(const CK_MECHANISM *mechanism, struct kv_mech_use *ret,
                               CK_MECHANISM_TYPE *ret_digest)
{
    CK_RSA_PKCS_PSS_PARAMS params;

    if (!mechanism->pParameter || mechanism->ulParameterLen != sizeof params)
        return KV_MECHANISM_PARAM;
    memcpy(&params, mechanism->pParameter, sizeof params);
    int hash = find_hash(params.hashAlg);
    if (hash < 0 || params.mgf != hashes[hash].mgf || params.sLen != hashes[hash].len)
        return KV_MECHANISM_PARAM;
    *ret_digest = params.hashAlg;
    return KV_OK;
}

/* Lenient where real clients are careless: no parameter and hash 0 mean PKCS#1's default SHA-1, mgf 0 means MGF1 with the same hash, source 0 means
 * no label. A label and two different hashes are refused: the service has neither (contract §7.2). */
static enum kv_status read_oaep(const CK_MECHANISM *mechanism, struct kv_mech_use *ret,
                                CK_MECHANISM_TYPE *ret_digest)
{
    CK_RSA_PKCS_OAEP_PARAMS params = { 0 };

    if (mechanism->pParameter && mechanism->ulParameterLen == sizeof params)
        memcpy(&params, mechanism->pParameter, sizeof params);
    else if (mechanism->pParameter || mechanism->ulParameterLen)
        return KV_MECHANISM_PARAM;
    int hash = find_hash(params.hashAlg ? params.hashAlg : CKM_SHA_1);
    if (hash < 0 || (params.mgf && params.mgf != hashes[hash].mgf))
        return KV_MECHANISM_PARAM;
    if ((params.source && params.source != CKZ_DATA_SPECIFIED) || params.ulSourceDataLen)
        return KV_MECHANISM_PARAM;
    *ret_digest = hashes[hash].digest;
    return KV_OK;
}

/* CK_GCM_PARAMS as the amendment to PKCS#11 2.20, and many clients to this day, have it: without ulIvBits. */
struct gcm_params_short {
    CK_BYTE_PTR iv;
    CK_ULONG iv_len;
    CK_BYTE_PTR aad;
    CK_ULONG aad_len, tag_bits;
};

static bool read_gcm_layout(const CK_MECHANISM *mechanism, struct gcm_params_short *ret)
{
    CK_GCM_PARAMS full;

    if (!mechanism->pParameter)
        return false;
    if (mechanism->ulParameterLen == sizeof *ret) {
        memcpy(ret, mechanism->pParameter, sizeof *ret);
        return true;
    }
    if (mechanism->ulParameterLen != sizeof full)
        return false;
    memcpy(&full, mechanism->pParameter, sizeof full);
    *ret = (struct gcm_params_short){ full.pIv, full.ulIvLen, full.aad_ptr, full.aad_len, full.ulTagBits };
    return true;
}

static enum kv_status read_gcm(const CK_MECHANISM *mechanism, struct kv_mech_use *ret,
                               CK_MECHANISM_TYPE *ret_digest)
{
    struct gcm_params_short params;

    if (!read_gcm_layout(mechanism, &params))
        return KV_MECHANISM_PARAM;
    if (!params.iv || params.iv_len < 1 || params.iv_len > KV_GCM_IV_MAX || (!params.aad && params.aad_len))
        return KV_MECHANISM_PARAM;
    if (params.tag_bits % 8 || params.tag_bits < 8 * KV_GCM_TAG_MIN || params.tag_bits > 8 * KV_GCM_TAG_MAX)
        return KV_MECHANISM_PARAM;
    ret->tag_len = params.tag_bits / 8;
    KV_TRY(kv_bytes_copy((struct kv_view){ params.iv, params.iv_len }, &ret->iv));
    return kv_bytes_copy((struct kv_view){ params.aad, params.aad_len }, &ret->aad);
}

static enum kv_status read_iv(const CK_MECHANISM *mechanism, struct kv_mech_use *ret,
                              CK_MECHANISM_TYPE *ret_digest)
{
    if (!mechanism->pParameter || mechanism->ulParameterLen != AES_BLOCK)
        return KV_MECHANISM_PARAM;
    return kv_bytes_copy((struct kv_view){ mechanism->pParameter, AES_BLOCK }, &ret->iv);
}

static enum kv_status read_ctr(const CK_MECHANISM *mechanism, struct kv_mech_use *ret,
                               CK_MECHANISM_TYPE *ret_digest)
{
    CK_AES_CTR_PARAMS params;

    if (!mechanism->pParameter || mechanism->ulParameterLen != sizeof params)
        return KV_MECHANISM_PARAM;
    memcpy(&params, mechanism->pParameter, sizeof params);
    if (params.ulCounterBits < 1 || params.ulCounterBits > 8 * AES_BLOCK)
        return KV_MECHANISM_PARAM;
    ret->counter_bits = (unsigned)params.ulCounterBits;
    return kv_bytes_copy((struct kv_view){ params.cb, sizeof params.cb }, &ret->iv);
}

/* The default initial values of RFC 3394 and RFC 5649, or nothing: the service takes no other. */
static enum kv_status read_wrap(const CK_MECHANISM *mechanism, struct kv_mech_use *ret,
                                CK_MECHANISM_TYPE *ret_digest)
{
    static const unsigned char kw[8] = { 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6 };
    static const unsigned char kwp[4] = { 0xa6, 0x59, 0x59, 0xa6 };
    bool pads = mechanism->mechanism != CKM_AES_KEY_WRAP;
    struct kv_view standard = { pads ? kwp : kw, pads ? sizeof kwp : sizeof kw };

    if (!mechanism->ulParameterLen)
        return KV_OK;
    if (!mechanism->pParameter)
        return KV_MECHANISM_PARAM;
    struct kv_view given = { mechanism->pParameter, mechanism->ulParameterLen };
    return kv_view_equal(given, standard) ? KV_OK : KV_MECHANISM_PARAM;
}

/* Salt and information stay with the caller: a salt may be a key, which only the session knows. */
static enum kv_status read_hkdf(const CK_MECHANISM *mechanism, struct kv_mech_use *ret,
                                CK_MECHANISM_TYPE *ret_digest)
{
    CK_HKDF_PARAMS params;

    if (!mechanism->pParameter || mechanism->ulParameterLen != sizeof params)
        return KV_MECHANISM_PARAM;
    memcpy(&params, mechanism->pParameter, sizeof params);
    if ((!params.bExtract && !params.bExpand) || find_hash(params.prfHashMechanism) < 0)
        return KV_MECHANISM_PARAM;
    if (params.bExtract && params.ulSaltType != CKF_HKDF_SALT_NULL &&
        params.ulSaltType != CKF_HKDF_SALT_KEY &&
        (params.ulSaltType != CKF_HKDF_SALT_DATA || (!params.pSalt && params.ulSaltLen)))
        return KV_MECHANISM_PARAM;
    if (params.bExpand && !params.pInfo && params.ulInfoLen)
        return KV_MECHANISM_PARAM;
    *ret_digest = params.prfHashMechanism;
    return KV_OK;
}

/* CK_MAC_GENERAL_PARAMS: how many bytes of the code are wanted. */
static enum kv_status read_mac(const CK_MECHANISM *mechanism, struct kv_mech_use *ret,
                               CK_MECHANISM_TYPE *ret_digest)
{
    static const CK_MECHANISM_TYPE types[] = { CKM_SHA256_HMAC_GENERAL, CKM_SHA384_HMAC_GENERAL,
                                               CKM_SHA512_HMAC_GENERAL };
    CK_ULONG len;

    if (!mechanism->pParameter || mechanism->ulParameterLen != sizeof len)
        return KV_MECHANISM_PARAM;
    memcpy(&len, mechanism->pParameter, sizeof len);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i] == mechanism->mechanism && len >= 1 && len <= hashes[1 + i].len) {
            ret->tag_len = len;
            return KV_OK;
        }
    return KV_MECHANISM_PARAM;
}

/* By the padding of the type's rows, else by type. What stands in neither way here has no parameter. */
static const struct {
    int padding;
    CK_MECHANISM_TYPE type;
    enum kv_status (*read)(const CK_MECHANISM *mechanism, struct kv_mech_use *ret,
                           CK_MECHANISM_TYPE *ret_digest);
} readers[] = {
    { RSA_PKCS1_PSS_PADDING, 0, read_pss },
    { RSA_PKCS1_OAEP_PADDING, 0, read_oaep },
    { 0, CKM_AES_GCM, read_gcm },
    { 0, CKM_AES_CBC, read_iv },
    { 0, CKM_AES_CBC_PAD, read_iv },
    { 0, CKM_AES_CTR, read_ctr },
    { 0, CKM_AES_KEY_WRAP, read_wrap },
    { 0, CKM_AES_KEY_WRAP_PAD, read_wrap },
    { 0, CKM_AES_KEY_WRAP_KWP, read_wrap },
    { 0, CKM_SHA256_HMAC_GENERAL, read_mac },
    { 0, CKM_SHA384_HMAC_GENERAL, read_mac },
    { 0, CKM_SHA512_HMAC_GENERAL, read_mac },
    { 0, CKM_HKDF_DERIVE, read_hkdf },
};

enum kv_status kv_param_read(const CK_MECHANISM *mechanism, int padding, struct kv_mech_use *ret,
                             CK_MECHANISM_TYPE *ret_digest)
{
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (readers[i].padding ? readers[i].padding == padding : readers[i].type == mechanism->mechanism)
            return readers[i].read(mechanism, ret, ret_digest);
    return mechanism->ulParameterLen ? KV_MECHANISM_PARAM : KV_OK;
}
