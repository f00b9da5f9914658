/* The parameter of one message of message-based encryption: CK_GCM_MESSAGE_PARAMS, checked, and the initialization vectors that are made for it.
 * The buffers are the caller's. Any thread. PKCS#11 3.0 mechanisms §2.11 (AES-GCM, MessageEncrypt). */
#ifndef KV_MECH_MESSAGE_PARAM_H
#define KV_MECH_MESSAGE_PARAM_H

#include "mech/mech.h"

struct kv_message_param {
    unsigned char *iv;
    size_t iv_len;
    size_t fixed_bits; /* the most significant ones of iv, which a generator leaves alone */
    CK_GENERATOR_FUNCTION generator;
    unsigned char *tag; /* NULL: not given */
    size_t tag_len;
};

/* `encrypt`: the generator counts, too; for decryption it and fixed_bits are ignored, as the standard says. KV_MECHANISM_PARAM. */
KV_MUST_USE enum kv_status kv_message_param_read(const void *parameter, size_t len, bool encrypt,
                                                 struct kv_message_param *ret);
/* The vector of one encryption: the caller's own, or the fixed bits with what the generator makes. `count`: how many the counter has made before.
 * KV_MECHANISM_PARAM when the generated bits are too few to be unlike all others. */
KV_MUST_USE enum kv_status kv_message_param_iv(const struct kv_message_param *param, uint64_t count,
                                               struct kv_bytes *ret);

/* Key and mechanism of C_MessageEncryptInit and C_MessageDecryptInit (`operation` KV_OP_ENCRYPT, KV_OP_DECRYPT): as kv_mech_select, but a
 * parameter is only a pattern here, and need not be there. */
KV_MUST_USE enum kv_status kv_message_param_select(const CK_MECHANISM *mechanism,
                                                   const struct kv_mech_key *key, unsigned operation,
                                                   const struct kv_mech_offer *offer,
                                                   struct kv_mech_use *ret);

#endif
