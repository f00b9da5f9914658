/* What the tests of key management share: templates in short words, and a read/write session. */
#ifndef KV_TESTS_P11_MANAGE_HELP_H
#define KV_TESTS_P11_MANAGE_HELP_H

#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

#define ITEM(type, value)                                                                                    \
    {                                                                                                        \
        type, (void *)&(value), sizeof(value)                                                                \
    }
#define TEXT(type, text)                                                                                     \
    {                                                                                                        \
        type, (void *)(text), sizeof(text) - 1                                                               \
    }
#define COUNT(array) (sizeof(array) / sizeof *(array))

__attribute__((unused)) static CK_MECHANISM rsa_pair = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 },
                                            ec_pair
                                            __attribute__((unused)) = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };

static const struct ec_name {
    const char *curve, *group;
    CK_BYTE params[10];
    CK_ULONG len;
} ec_names[] __attribute__((unused)) = {
    { "P-256", "prime256v1", { 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, 10 },
    { "P-384", "secp384r1", { 0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x22 }, 7 },
    { "P-521", "secp521r1", { 0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x23 }, 7 },
    { "P-256K", "secp256k1", { 0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x0a }, 7 },
};

static inline CK_SESSION_HANDLE open_rw(CK_SLOT_ID slot)
{
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    ok(world.p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
    return session;
}

/* A process that starts anew under this identity and these settings. */
static inline CK_SESSION_HANDLE begin(const char *identity, const char *settings, CK_SLOT_ID slot)
{
    configure_as(identity, "none", settings);
    CK_RV rv = world.p11->C_Finalize(NULL);
    assert_true(rv == CKR_OK || rv == CKR_CRYPTOKI_NOT_INITIALIZED);
    initialize();
    return open_rw(slot);
}

struct pair {
    CK_OBJECT_HANDLE public, private;
};

static inline CK_RV make_rsa(CK_SESSION_HANDLE session, const char *label, struct pair *ret)
{
    static const CK_ULONG bits = 2048;
    CK_ATTRIBUTE public[] = { ITEM(CKA_TOKEN, yes), ITEM(CKA_MODULUS_BITS, bits) };
    CK_ATTRIBUTE private[] = { ITEM(CKA_TOKEN, yes), { CKA_LABEL, (void *)label, strlen(label) } };
    *ret = (struct pair){ 0 };
    return world.p11->C_GenerateKeyPair(session, &rsa_pair, public, 2, private, 2, &ret->public,
                                        &ret->private);
}

static inline void text_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                           char ret[256])
{
    ret[attribute(session, object, type, ret, 255)] = 0;
}

static inline void assert_text(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                               const char *should)
{
    char is[256];
    text_of(session, object, type, is);
    assert_string_equal(is, should);
}

/* The module's log says this since the start. */
static inline void assert_logged(const char *words)
{
    char *log = module_log();
    if (!strstr(log, words))
        fail_msg("'%s' does not stand in the log: %s", words,
                 strlen(log) > 2000 ? log + strlen(log) - 2000 : log);
    free(log);
}

#endif
