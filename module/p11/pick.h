/* The key and the mechanism of one operation, chosen and checked once, and the work done with the two: in the vault, with its public key, or
 * with a session's key (pick_here.c). Belongs to one operation. PKCS#11 §5.8–§5.14, §5.16. */
#ifndef KV_P11_PICK_H
#define KV_P11_PICK_H

#include "keys/key_ops.h"
#include "object.h"

struct kv_call;

struct kv_pick {
    unsigned operation; /* one KV_OP_*, without KV_OP_MESSAGE */
    struct kv_object
        *object; /* counted: its version stays to the end, whatever is rotated meanwhile; NULL: a digest */
    struct kv_mech_use mech;
};
void kv_pick_free(struct kv_pick *pick); /* contents, and zeroes them */
#define KV_AUTO_PICK KV_CLEANUP(kv_pick_free)

struct kv_pick_wish {
    unsigned operation; /* one KV_OP_*; with KV_OP_MESSAGE for the message-based functions */
    const CK_MECHANISM *mechanism;
    CK_OBJECT_HANDLE key;
};
/* KV_NOT_FOUND, KV_KEY_TYPE, KV_KEY_OPERATION and what kv_mech_select says. */
KV_MUST_USE enum kv_status kv_pick_open(struct kv_call *call, const struct kv_pick_wish *wish,
                                        struct kv_pick *ret);
/* The row of a mechanism that needs no key: KV_OP_DIGEST, KV_OP_GENERATE. */
KV_MUST_USE enum kv_status kv_pick_keyless(struct kv_call *call, const CK_MECHANISM *mechanism,
                                           unsigned operation, const struct kv_mech **ret);

/* May its value go into a digest of this mechanism? A vault's key has none here. */
bool kv_pick_digestible(const struct kv_object *object, const struct kv_mech *row);

/* Encrypt, decrypt, wrap, unwrap in one piece. What a session's key opens stands in locked memory. */
KV_MUST_USE enum kv_status kv_pick_run(struct kv_call *call, const struct kv_pick *pick, struct kv_view in,
                                       struct kv_bytes *ret);
/* Encrypts one message with a key whose service makes the nonce: the associated data stands in pick->mech. */
KV_MUST_USE enum kv_status kv_pick_seal(struct kv_call *call, const struct kv_pick *pick,
                                        struct kv_view plain, struct kv_sealed *ret);
KV_MUST_USE enum kv_status kv_pick_sign(struct kv_call *call, const struct kv_pick *pick,
                                        struct kv_view digest, struct kv_bytes *ret);
KV_MUST_USE enum kv_status kv_pick_verify(struct kv_call *call, const struct kv_pick *pick,
                                          struct kv_view digest, struct kv_view signature);
bool kv_pick_in_session(const struct kv_pick *pick); /* the key lives in the session: OpenSSL does the work */
bool kv_pick_streams(const struct kv_pick *pick);    /* encrypts or decrypts here, in any number of parts */
KV_MUST_USE enum kv_status kv_pick_cipher(const struct kv_pick *pick, struct kv_cipher **ret);
KV_MUST_USE enum kv_status kv_pick_mac(const struct kv_pick *pick, struct kv_mac **ret); /* a session's key */
/* What comes out for `len` bytes, without a request: exact but for decrypt and unwrap, where it is an upper bound. Not for the ciphers of session keys. */
size_t kv_pick_size(const struct kv_pick *pick, size_t len);

#endif
