/* What the tests of messages share: one message with its parameter, and the calls in short words. */
#ifndef KV_TESTS_P11_MESSAGES_HELP_H
#define KV_TESTS_P11_MESSAGES_HELP_H

#include "harness.h"

static CK_SESSION_HANDLE session;
static const CK_BYTE key_value[33] = "0123456789abcdef0123456789abcdef";
static CK_MECHANISM gcm = { CKM_AES_GCM, NULL, 0 };
static CK_BYTE aad[] = "header", text[] = "forty-eight bytes, whatever they may be good for";
enum { AAD = sizeof aad - 1, TEXT = sizeof text - 1 };

/* One message: its parameter with the places that it names. */
struct message {
    CK_GCM_MESSAGE_PARAMS params;
    CK_BYTE iv[128], tag[16];
};

static inline void prepare(struct message *message, CK_GENERATOR_FUNCTION generator)
{
    memset(message, 0xee, sizeof *message);
    memset(message->iv, 7, 16);
    message->params = (CK_GCM_MESSAGE_PARAMS){ message->iv, 12, 0, generator, message->tag, 128 };
}

/* --- the calls in short words --- */

static inline CK_RV seal(struct message *message, struct result *ret)
{
    ret->len = sizeof ret->data;
    return world.p11_3->C_EncryptMessage(session, &message->params, sizeof message->params, aad, AAD, text,
                                         TEXT, ret->data, &ret->len);
}

static inline CK_RV unseal(struct message *message, const struct result *cipher, struct result *ret)
{
    ret->len = sizeof ret->data;
    return world.p11_3->C_DecryptMessage(session, &message->params, sizeof message->params, aad, AAD,
                                         (CK_BYTE *)cipher->data, cipher->len, ret->data, &ret->len);
}

static inline CK_RV seal_begin(struct message *message)
{
    return world.p11_3->C_EncryptMessageBegin(session, &message->params, sizeof message->params, aad, AAD);
}

static inline CK_RV seal_next(struct message *message, struct kv_view part, struct result *ret,
                              CK_FLAGS flags)
{
    CK_ULONG room = sizeof ret->data - ret->len;
    CK_RV rv =
        world.p11_3->C_EncryptMessageNext(session, &message->params, sizeof message->params,
                                          (CK_BYTE *)part.data, part.len, ret->data + ret->len, &room, flags);
    ret->len += rv ? 0 : room;
    return rv;
}

static inline CK_RV unseal_begin(struct message *message)
{
    return world.p11_3->C_DecryptMessageBegin(session, &message->params, sizeof message->params, aad, AAD);
}

static inline CK_RV unseal_next(struct message *message, struct kv_view part, struct result *ret,
                                CK_FLAGS flags)
{
    CK_ULONG room = sizeof ret->data - ret->len;
    CK_RV rv =
        world.p11_3->C_DecryptMessageNext(session, &message->params, sizeof message->params,
                                          (CK_BYTE *)part.data, part.len, ret->data + ret->len, &room, flags);
    ret->len += rv ? 0 : room;
    return rv;
}

static inline void begin_both(CK_OBJECT_HANDLE key)
{
    ok(world.p11_3->C_MessageEncryptInit(session, &gcm, key));
    ok(world.p11_3->C_MessageDecryptInit(session, &gcm, key));
}

static inline void end_both(void)
{
    ok(world.p11_3->C_MessageEncryptFinal(session));
    ok(world.p11_3->C_MessageDecryptFinal(session));
}

#endif
