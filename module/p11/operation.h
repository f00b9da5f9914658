/* Operations: what an Init began, to its end. One of each kind in a session at a time. Used under the session's lock. PKCS#11 §5.8–§5.13. */
#ifndef KV_P11_OPERATION_H
#define KV_P11_OPERATION_H

#include "out.h"
#include "pick.h"

enum kv_operation_kind {
    KV_ENCRYPTION,
    KV_DECRYPTION,
    KV_DIGESTION,
    KV_SIGNING,
    KV_VERIFICATION,
    KV_OPERATION_KINDS
};

enum kv_step { KV_ONCE, KV_UPDATE, KV_FINAL };

struct kv_operation {
    bool active, parted; /* parted: an Update has been made */
    struct kv_pick pick;
    /* The engine (engine.h): one of these, or none for a single-part mechanism. */
    struct kv_digest *digest;   /* of a KV_MESSAGE mechanism */
    struct kv_mac *mac;         /* of a session's key */
    struct kv_cipher *cipher;   /* of a session's key */
    bool collects;              /* for one request with a vault's secret key */
    struct kv_buffer collected; /* the parts so far */
    /* A result that the caller's buffer did not take, with what it is the result of: two calls, one request. */
    enum kv_step kept_step;
    struct kv_bytes kept_input, kept;
};
void kv_operation_reset(struct kv_operation *operation); /* wipes what it held */

/* `mechanism` NULL ends an operation that is under way. `key` is ignored for a digest. */
CK_RV kv_operation_init(struct kv_call *call, enum kv_operation_kind kind, const CK_MECHANISM *mechanism,
                        CK_OBJECT_HANDLE key);

struct kv_piece {
    enum kv_step step;
    const unsigned char *data;
    size_t len;
};
/* A step that gives bytes: C_Encrypt*, C_Decrypt*, C_Digest, C_DigestFinal, C_Sign, C_SignFinal. */
CK_RV kv_operation_step(struct kv_call *call, enum kv_operation_kind kind, struct kv_piece in,
                        struct kv_out out);
/* A step that only takes bytes: C_DigestUpdate, C_SignUpdate, C_VerifyUpdate. */
CK_RV kv_operation_absorb(struct kv_call *call, enum kv_operation_kind kind, struct kv_piece in);
/* C_DigestKey: as if the key's value had been given. For secret keys of a session: a vault's has no value here. */
CK_RV kv_operation_digest_key(struct kv_call *call, CK_OBJECT_HANDLE key);
/* C_Verify, C_VerifyFinal. */
CK_RV kv_operation_verify(struct kv_call *call, struct kv_piece in, struct kv_piece signature);

#endif
