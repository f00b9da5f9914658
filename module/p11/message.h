/* Message-based encryption and decryption: one key and mechanism from Init to Final, and between them any number of messages, each with a
 * parameter of its own, in one piece or in parts. One process of each kind in a session at a time. Used under the session's lock.
 * PKCS#11 3.0 §5.9, §5.11; mechanisms §2.11 (AES-GCM). */
#ifndef KV_P11_MESSAGE_H
#define KV_P11_MESSAGE_H

#include "out.h"
#include "pick.h"

enum kv_message_kind { KV_MESSAGE_ENCRYPTION, KV_MESSAGE_DECRYPTION, KV_MESSAGE_KINDS };

struct kv_message {
    bool active;              /* between Init and Final */
    bool begun;               /* between Begin and the end of that message */
    struct kv_pick pick;      /* its mech: vector and associated data of the message under way */
    uint64_t counted;         /* vectors that CKG_GENERATE_COUNTER has made */
    struct kv_cipher *cipher; /* the message under way, under a session's key */
    struct kv_buffer held;    /* parts that wait for the end of the message */
};
void kv_message_reset(struct kv_message *message); /* ends everything, wipes what it held */

/* What the caller hands in with a message or a part of one. */
struct kv_message_piece {
    const void *parameter;
    size_t parameter_len;
    struct kv_view aad; /* Begin, and a message in one piece */
    struct kv_view in;
    CK_FLAGS flags; /* Next */
};

/* `mechanism` NULL ends what is under way. */
CK_RV kv_message_init(struct kv_call *call, enum kv_message_kind kind, const CK_MECHANISM *mechanism,
                      CK_OBJECT_HANDLE key);
CK_RV kv_message_once(struct kv_call *call, enum kv_message_kind kind, const struct kv_message_piece *piece,
                      struct kv_out out);
CK_RV kv_message_begin(struct kv_call *call, enum kv_message_kind kind, const struct kv_message_piece *piece);
CK_RV kv_message_next(struct kv_call *call, enum kv_message_kind kind, const struct kv_message_piece *piece,
                      struct kv_out out);
CK_RV kv_message_final(struct kv_call *call, enum kv_message_kind kind);

#endif
