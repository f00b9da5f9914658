/* What the steps of the scenario share: how they fail, what they hand on to each other, and their names. */
#ifndef KV_TESTS_INJECT_STEPS_H
#define KV_TESTS_INJECT_STEPS_H

#include "scenario.h"

#include "../p11/harness.h"

#define STEP(call)                                                                                           \
    do {                                                                                                     \
        CK_RV step_rv = (call);                                                                              \
        if (step_rv)                                                                                         \
            return step_rv;                                                                                  \
    } while (0)
#define HOLDS(what)                                                                                          \
    do {                                                                                                     \
        if (!(what))                                                                                         \
            return WRONG;                                                                                    \
    } while (0)
#define ITEM(type, value)                                                                                    \
    {                                                                                                        \
        type, (void *)&(value), sizeof(value)                                                                \
    }

static const CK_BYTE __attribute__((unused))
digest[32] = "thirty-two bytes of some digest",
    text[48] = "forty-eight bytes that are encrypted and opened",
    p256[10] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
static const CK_BBOOL __attribute__((unused)) yes = CK_TRUE, no = CK_FALSE;

extern struct world_of {
    CK_SESSION_HANDLE prod, manage, hsm;
    CK_OBJECT_HANDLE ec_shut, ec_open, rsa_shut, rsa_open, oct, gcm, mac, aes, made;
    CK_BYTE signature[64], cipher[256], sealed[64], wrapped[256];
    CK_ULONG cipher_len, sealed_len, wrapped_len;
} world_of;

/* The one object of this class and label. */
CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS type, const char *label, CK_OBJECT_HANDLE *ret);
/* A key of the session with the bytes of `digest`, which may leave it. */
CK_RV create_object(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *ret);
/* Signs `text` with the one key and verifies with the other; then so does a signature with one bit changed not. */
CK_RV sign_and_verify(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE shut,
                      CK_OBJECT_HANDLE open);

/* scenario_session.c */
CK_RV create_and_look_after(void);
CK_RV session_ciphers(void);
CK_RV generate(void);
CK_RV pairs(void);
CK_RV copy_pairs(void);
CK_RV derive(void);
CK_RV session_codes(void);
CK_RV cancel(void);

/* scenario_hsm.c */
CK_RV wrap_by_rsa(void);
CK_RV unwrap_by_rsa(void);
CK_RV wrap_in_the_hsm(void);
CK_RV messages(void);
CK_RV hsm_codes(void);
CK_RV hsm_cbc(void);
CK_RV hsm_random(void);

/* scenario_calls.c */
CK_RV interfaces(void);
CK_RV login(void);
CK_RV constant_answers(void);
CK_RV digest_a_key(void);
CK_RV ciphers_in_parts(void);
CK_RV messages_in_parts(void);
CK_RV close_all(void);

/* scenario_vault.c */
CK_RV vault_certificate(void);
CK_RV folder_certificate(void);
CK_RV own_certificate(void);
CK_RV fixed_objects(void);
CK_RV generate_in_the_vault(void);
CK_RV import_an_ec_key(void);
CK_RV import_an_rsa_key(void);
CK_RV change_a_key(void);
CK_RV disable_a_key(void);

#endif
