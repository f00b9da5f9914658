/* The mechanism table as the tests walk it: every row with every key that serves it, its mechanism with parameters as the standard wants them,
 * input that it takes, and OpenSSL's answer to the same (reference.h). A row whose type stands in no test table fails every program that
 * walks, so that no mechanism is offered before it is tested. One world a program, one thread. */
#ifndef KV_TESTS_P11_MATRIX_H
#define KV_TESTS_P11_MATRIX_H

#include "harness.h"

#include <openssl/evp.h>
#include "mech/mech.h"

/* What a mechanism computes, and so which tests it has. */
enum matrix_scheme {
    MATRIX_RSA, /* sign: PKCS#1 v1.5 or PSS; encrypt: PKCS#1 v1.5 or OAEP; by the row's padding */
    MATRIX_ECDSA,
    MATRIX_MAC,
    MATRIX_CBC,
    MATRIX_CBC_PAD,
    MATRIX_CTR,
    MATRIX_GCM,
    MATRIX_KW,
    MATRIX_KWP,
    MATRIX_DIGEST,
    MATRIX_GENERATE,
    MATRIX_PAIR,
    MATRIX_DERIVE
};

/* What stands in pParameter. */
enum matrix_form {
    MATRIX_BARE,
    MATRIX_PSS_PARAM,
    MATRIX_OAEP_PARAM,
    MATRIX_IV_PARAM,
    MATRIX_CTR_PARAM,
    MATRIX_GCM_PARAM,
    MATRIX_KW_PARAM, /* none, or the standard's own initial value */
    MATRIX_KWP_PARAM,
    MATRIX_HKDF_PARAM,
    MATRIX_LENGTH_PARAM /* of a MAC that is cut */
};
enum { MATRIX_MAC_LEN = 11 };

struct matrix_key {
    const char *name; /* label; for failures, too */
    enum kv_kind kind;
    bool in_session; /* lives in a session, else in a vault */
    bool mac;        /* HMAC, and nothing else */
    CK_SLOT_ID slot;
    unsigned bits;
    const char *curve;
    /* Filled by matrix_start. */
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE shut, open; /* private and public object; a secret key is both */
    EVP_PKEY *pkey;              /* the whole pair */
    struct kv_view value;        /* the secret key's bytes */
};

struct matrix_case {
    const struct kv_mech *row;
    const struct matrix_key *key;
    enum matrix_scheme scheme;
    enum matrix_form form;
};

int matrix_start(void **state); /* group fixtures; rsa1_5 is on */
int matrix_stop(void **state);

/* Calls `arm` for every row that has this KV_OP_*, with each key that serves it; answers how often. Fails for a row of an unknown type and for
 * one that no key serves. */
typedef void matrix_arm(const struct matrix_case *it);
size_t matrix_walk(unsigned operation, matrix_arm *arm);
/* The rows that have it, and refuse it by its classic function for good: AES-GCM of a Managed HSM takes no nonce. */
size_t matrix_walk_refused(unsigned operation, matrix_arm *arm);
/* The same without keys: digests, generation, derivation. */
size_t matrix_walk_keyless(unsigned operation, matrix_arm *arm);
size_t matrix_keys(const struct matrix_key **ret); /* all keys */
/* One row with one key, whether it serves or not; false: the row has no key. */
bool matrix_case_of(const struct kv_mech *row, const struct matrix_key *key, struct matrix_case *ret);
/* One that serves no row of this kind of key, in the same slot. */
const struct matrix_key *matrix_stranger(const struct matrix_case *it);
const struct matrix_key *matrix_find(const char *name);
/* Puts the key's material once more into its vault, under another name and with these key_ops (NULL: all); answers the version. */
const char *matrix_import(const struct matrix_key *key, const char *name, const char *ops);
const char *matrix_vault(const struct matrix_key *key); /* as the control API names it */

const char *matrix_name(const struct matrix_case *it); /* in a static buffer */
#define EXPECT(it, rv, call)                                                                                 \
    do {                                                                                                     \
        CK_RV expect_rv = (call);                                                                            \
        if (expect_rv != (rv))                                                                               \
            fail_msg("%s: %s: 0x%lx instead of 0x%lx (%s)", matrix_name(it), #call, expect_rv, (CK_RV)(rv),  \
                     #rv);                                                                                   \
    } while (0)
#define OK(it, call) EXPECT(it, CKR_OK, call)
#define HOLDS(it, truth)                                                                                     \
    do {                                                                                                     \
        if (!(truth))                                                                                        \
            fail_msg("%s: not so: %s", matrix_name(it), #truth);                                             \
    } while (0)

/* A mechanism and all that its parameter points at: not to be copied once made. */
struct matrix_mechanism {
    CK_MECHANISM mechanism;
    union {
        CK_RSA_PKCS_PSS_PARAMS pss;
        CK_RSA_PKCS_OAEP_PARAMS oaep;
        CK_GCM_PARAMS gcm;
        CK_AES_CTR_PARAMS ctr;
        CK_ULONG length;
        unsigned char bytes[32];
    } params;
    unsigned char iv[16], aad[8];
};
CK_MECHANISM *matrix_mechanism(const struct matrix_case *it, struct matrix_mechanism *ret);
CK_RSA_PKCS_MGF_TYPE matrix_mgf(CK_MECHANISM_TYPE digest);

/* Whether a vault computes this half: then it costs one request, else none. */
bool matrix_is_remote(const struct matrix_case *it, unsigned operation);
/* Whether the operation takes its input in parts. */
bool matrix_has_parts(const struct matrix_case *it);
/* Plaintext that the row takes, `len` bytes of it. */
struct kv_view matrix_plain(const struct matrix_case *it);
/* The *Init of a KV_OP_*; and an end of whatever goes on. */
CK_RV matrix_init(const struct matrix_case *it, unsigned operation, CK_MECHANISM *mechanism,
                  CK_OBJECT_HANDLE key);
void matrix_cancel(const struct matrix_case *it);
CK_OBJECT_HANDLE matrix_half(const struct matrix_key *key, unsigned operation);

#endif
