#include "mech/message_param.h"

#include <string.h>
#include "mech/local.h"
#include "mech_private.h"

/* Of a random part. NIST SP 800-38D wants 96 bits for 2^32 messages; with 64 a key is good for some millions, and with fewer a repetition is near. */
enum { RANDOM_BITS_MIN = 64 };

static bool lengths_fit(const CK_GCM_MESSAGE_PARAMS *params)
{
    return params->ulIvLen >= 1 && params->ulIvLen <= KV_GCM_IV_MAX && params->ulTagBits % 8 == 0 &&
           params->ulTagBits >= 8 * KV_GCM_TAG_MIN && params->ulTagBits <= 8 * KV_GCM_TAG_MAX;
}

static bool generator_fits(const CK_GCM_MESSAGE_PARAMS *params)
{
    return params->ivGenerator <= CKG_GENERATE_RANDOM && params->ulIvFixedBits <= 8 * params->ulIvLen;
}

enum kv_status kv_message_param_read(const void *parameter, size_t len, bool encrypt,
                                     struct kv_message_param *ret)
{
    CK_GCM_MESSAGE_PARAMS params;

    if (!parameter || len != sizeof params)
        return KV_MECHANISM_PARAM;
    memcpy(&params, parameter, sizeof params);
    if (!params.pIv || !lengths_fit(&params) || (encrypt && !generator_fits(&params)))
        return KV_MECHANISM_PARAM;
    *ret = (struct kv_message_param){ .iv = params.pIv,
                                      .iv_len = params.ulIvLen,
                                      .fixed_bits = encrypt ? params.ulIvFixedBits : 0,
                                      .generator = encrypt ? params.ivGenerator : CKG_NO_GENERATE,
                                      .tag = params.pTag,
                                      .tag_len = params.ulTagBits / 8 };
    return KV_OK;
}

/* `count` as a number that fills the vector from its end. */
static enum kv_status write_count(uint64_t count, size_t bits, struct kv_bytes *ret)
{
    if (bits < 64 && count >> bits)
        return KV_MECHANISM_PARAM;
    for (size_t i = ret->len; i-- > 0; count >>= 8)
        ret->data[i] = (unsigned char)count;
    return KV_OK;
}

static enum kv_status generate(const struct kv_message_param *param, uint64_t count, struct kv_bytes *ret)
{
    size_t bits = 8 * param->iv_len - param->fixed_bits;

    if (param->generator == CKG_GENERATE_COUNTER)
        return write_count(count, bits, ret);
    return bits < RANDOM_BITS_MIN ? KV_MECHANISM_PARAM : kv_random_bytes(ret->data, ret->len);
}

enum kv_status kv_message_param_iv(const struct kv_message_param *param, uint64_t count, struct kv_bytes *ret)
{
    KV_AUTO_BYTES struct kv_bytes iv = { 0 };
    size_t whole = param->fixed_bits / 8, rest = param->fixed_bits % 8;

    if (param->generator == CKG_NO_GENERATE)
        return kv_bytes_copy((struct kv_view){ param->iv, param->iv_len }, ret);
    KV_TRY(kv_bytes_alloc(param->iv_len, &iv));
    KV_TRY(generate(param, count, &iv));
    memcpy(iv.data, param->iv, whole);
    if (rest) {
        unsigned char made = (unsigned char)(0xff >> rest);
        iv.data[whole] = (unsigned char)((param->iv[whole] & ~made) | (iv.data[whole] & made));
    }
    *ret = kv_bytes_take(&iv);
    return KV_OK;
}

enum kv_status kv_message_param_select(const CK_MECHANISM *mechanism, const struct kv_mech_key *key,
                                       unsigned operation, const struct kv_mech_offer *offer,
                                       struct kv_mech_use *ret)
{
    const struct kv_mech *row = NULL;

    KV_TRY(kv_mech_find(mechanism->mechanism, key, operation, offer, &row));
    if (!(row->operations & KV_OP_MESSAGE))
        return KV_MECHANISM;
    if (mechanism->pParameter ? mechanism->ulParameterLen != sizeof(CK_GCM_MESSAGE_PARAMS)
                              : mechanism->ulParameterLen != 0)
        return KV_MECHANISM_PARAM;
    *ret = (struct kv_mech_use){ .row = row };
    return KV_OK;
}
