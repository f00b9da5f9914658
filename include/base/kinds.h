/* Words that the mechanism table, the vault and the keys share. */
#ifndef KV_BASE_KINDS_H
#define KV_BASE_KINDS_H

enum kv_kind { KV_RSA, KV_EC, KV_OCT };

/* What may be done with a key; a set. */
enum {
    KV_OP_ENCRYPT = 1u << 0,
    KV_OP_DECRYPT = 1u << 1,
    KV_OP_SIGN = 1u << 2,
    KV_OP_VERIFY = 1u << 3,
    KV_OP_WRAP = 1u << 4,
    KV_OP_UNWRAP = 1u << 5,
    KV_OP_ALL = (1u << 6) - 1,
    KV_OP_DIGEST = 1u << 6,   /* mechanisms only */
    KV_OP_GENERATE = 1u << 7, /* mechanisms only */
    KV_OP_DERIVE = 1u << 8,   /* session keys only */
    KV_OP_PAIR = 1u << 9,     /* mechanisms only: C_GenerateKeyPair */
    /* Beside ENCRYPT and DECRYPT: of a mechanism, that it has the message-based functions, too; of an operation, that it is one of them. */
    KV_OP_MESSAGE = 1u << 15
};

/* Bounded types of the contract (§2.2), with room for the NUL. */
enum {
    KV_NAME_SIZE = 128,
    KV_VERSION_SIZE = 65, /* 32 hex digits in all traffic; opaque, so with room */
    KV_CURVE_SIZE = 8,
    KV_ALG_SIZE = 24,
    KV_KID_SIZE = 512
};

/* The command that brings a deleted key back, in every text that knows of one: the vault's name, the key's, each a kv_word. */
#define KV_KEY_RECOVER "kvp11 --vault %s recover %s"

#endif
