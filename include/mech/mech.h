/* The mechanism table and how a CK_MECHANISM becomes one of its rows. One row for each (CKM, Key Vault algorithm) pair. Everything that
 * knows a mechanism reads this table. Immutable; any thread. PKCS#11 mechanisms §6, contract §7. */
#ifndef KV_MECH_MECH_H
#define KV_MECH_MECH_H

#include "mech/pkcs11.h"
#include "base/bytes.h"
#include "base/kinds.h"

/* What the caller's bytes are. */
enum kv_input { KV_MESSAGE, KV_DIGEST, KV_DIGESTINFO, KV_PLAIN };

/* Who can do the private (or secret) half. KV_ANY: every vault, and OpenSSL for keys that live in the session; KV_SESSION: only keys that live in the session, by OpenSSL. */
enum kv_service { KV_ANY, KV_MANAGED_HSM, KV_SESSION };

struct kv_mech {
    CK_MECHANISM_TYPE type; /* what the application names */
    const char *name;       /* "CKM_SHA256_RSA_PKCS_PSS" */
    enum kv_kind kind;
    unsigned operations;      /* KV_OP_*; DIGEST, GENERATE, PAIR and DERIVE stand alone */
    const char *alg;          /* what Key Vault names: "PS256"; NULL: no vault key can do it */
    CK_MECHANISM_TYPE digest; /* selects the row among those of one type; 0: none */
    const char *evp;          /* the digest (or cipher) as OpenSSL fetches it: "SHA2-256", "AES-256-GCM" */
    const char *curve;        /* JWK "crv", or NULL */
    int padding;              /* RSA_PKCS1_PADDING, RSA_PKCS1_PSS_PADDING, RSA_PKCS1_OAEP_PADDING; 0: none */
    unsigned key_bits;        /* oct: the key size that this row serves; 0: any */
    enum kv_input input;
    enum kv_service service;
};

extern const struct kv_mech kv_mech_table[];
extern const size_t kv_mech_count;

/* What of the table a slot offers, from its configuration. */
struct kv_mech_offer {
    bool managed_hsm, rsa1_5, session_ciphers, digests, rsnull, hsm_hmac, manage;
};
bool kv_mech_offered(const struct kv_mech *row, const struct kv_mech_offer *offer);
/* The service makes the nonce of each encryption and takes none (AES-GCM, contract §7.2): C_EncryptInit and C_WrapKey, whose parameter has it, cannot work. */
bool kv_mech_makes_nonce(const struct kv_mech *row);
/* Distinct types that are offered, in table order; returns how many there are, fills at most `room`. */
size_t kv_mech_types(const struct kv_mech_offer *offer, CK_MECHANISM_TYPE *ret, size_t room);
/* C_GetMechanismInfo: the fold of the rows. KV_MECHANISM when not offered. */
KV_MUST_USE enum kv_status kv_mech_info(const struct kv_mech_offer *offer, CK_MECHANISM_TYPE type,
                                        CK_MECHANISM_INFO *ret);
const char *kv_mech_type_name(CK_MECHANISM_TYPE type); /* "CKM_…", or "0x…"-free NULL when unknown */

/* The longest secret key of a session, bytes: all that HKDF with SHA-512 can give. */
enum { KV_SECRET_MAX = 255 * 64 };

/* The key as far as the choice of a row needs it. */
struct kv_mech_key {
    enum kv_kind kind;
    unsigned bits;     /* RSA modulus, EC field, secret key bits (0: the vault does not tell) */
    const char *curve; /* EC */
    bool session;      /* lives in the session, not in a vault */
};

/* A mechanism with its parameters, checked and copied: what an operation keeps from its Init to its end. */
struct kv_mech_use {
    const struct kv_mech
        *row; /* for KV_DIGESTINFO input: the first row of the type; the data decide (kv_mech_digestinfo) */
    struct kv_bytes iv, aad;
    size_t tag_len;        /* GCM, bytes; of an HMAC of general length (0: whole) */
    unsigned counter_bits; /* CTR */
    bool any_digest;       /* row is to be chosen by DigestInfo */
    bool any_bytes;        /* what is no DigestInfo goes by kv_mech_rsnull */
};
void kv_mech_use_free(struct kv_mech_use *use);

/* KV_MECHANISM, KV_MECHANISM_PARAM, KV_KEY_TYPE, KV_KEY_SIZE. `operation` is one KV_OP_* bit. Lenient where clients.md §5 asks: OAEP with NULL parameter, hash 0, mgf 0, source 0. */
KV_MUST_USE enum kv_status kv_mech_select(const CK_MECHANISM *mechanism, const struct kv_mech_key *key,
                                          unsigned operation, const struct kv_mech_offer *offer,
                                          struct kv_mech_use *ret);
/* CKM_RSA_PKCS sign and verify: the row (RS256, RS384, RS512) and the bare digest in a DER DigestInfo. KV_BAD_DATA. */
KV_MUST_USE enum kv_status kv_mech_digestinfo(struct kv_view data, const struct kv_mech **ret_row,
                                              struct kv_view *ret_digest);
/* CKM_RSA_PKCS of bytes that are no DigestInfo: PKCS#1 v1.5 padding and nothing else, k - 11 bytes at the most. */
const struct kv_mech *kv_mech_rsnull(void);
enum { KV_PKCS1_OVERHEAD = 11 }; /* what PKCS#1 v1.5 adds at the least (RFC 8017 §7.2.1, §9.2) */
/* A message authentication code: HMAC. */
bool kv_mech_is_mac(const struct kv_mech *row);
/* Is decryption with the wrong key sure to be noticed? Not where it may give other bytes: PKCS#1 v1.5 and CBC. */
bool kv_mech_proves(const struct kv_mech *row);
/* The row that does the same with a key of another size; bits 0: whatever the size. NULL: none. */
const struct kv_mech *kv_mech_sized(const struct kv_mech *row, unsigned bits);
/* ECDSA: left-pads or truncates a digest to what the row's algorithm takes (bits2int). */
KV_MUST_USE enum kv_status kv_mech_fit_digest(const struct kv_mech *row, struct kv_view digest,
                                              struct kv_bytes *ret);
/* What a signature is made over: the row and the bare digest that it takes, from what the caller handed in (for KV_DIGESTINFO the whole DigestInfo).
 * *ret_fitted owns the bytes when they had to change. KV_BAD_DATA, KV_DATA_LENGTH. */
struct kv_mech_input {
    struct kv_view given;
    const struct kv_mech *row; /* out */
    struct kv_view bare;       /* out: inside `given` or *ret_fitted */
};
KV_MUST_USE enum kv_status kv_mech_bare_digest(const struct kv_mech_use *use, struct kv_mech_input *input,
                                               struct kv_bytes *ret_fitted, struct kv_error *err);
/* CKA_ALLOWED_MECHANISMS of a vault key, for the KV_OP_* it may do. Returns how many, fills at most `room`. */
size_t kv_mech_allowed(const struct kv_mech_key *key, unsigned operations, const struct kv_mech_offer *offer,
                       CK_MECHANISM_TYPE *ret, size_t room);

/* Facts of curves: JWK name, DER of the named-curve OID, field bytes, order bits, the digest bytes its algorithm takes. NULL: unknown. */
struct kv_curve {
    const char *name;  /* "P-256" */
    const char *group; /* as OpenSSL: "prime256v1" */
    unsigned char params[16];
    size_t params_len;
    unsigned bits, width, digest; /* field bits; field bytes; bytes of the digest Key Vault wants */
};
const struct kv_curve *kv_curve_find(const char *name);
/* By the DER of its named-curve OID (CKA_EC_PARAMS); NULL: unknown. */
const struct kv_curve *kv_curve_by_params(struct kv_view params);

#endif
