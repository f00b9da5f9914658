/* The steps of the scenario, in their order. Each can be run again when it failed. */
#ifndef KV_TESTS_SCENARIO_H
#define KV_TESTS_SCENARIO_H

#include <stddef.h>
#include "mech/pkcs11.h"

/* What a step returns is the module's answer, or this: CKR_OK, and yet something wrong. */
#define WRONG ((CK_RV)0xdead)

/* What the codes say beside "something is missing here": an error of decryption is also what OpenSSL's own failure in the last block looks like. */
struct step {
    const char *name;
    CK_RV (*run)(void);
    CK_RV also;
};
extern const struct step steps[];
extern const size_t step_count;

/* Made before the seeds run: what stands in the certificate folder for key 'rsa', and an RSA key's modulus and exponents, public and private. */
struct prepared {
    CK_BYTE certificate[2048], numbers[3][256];
    CK_ULONG certificate_len, number_lens[3];
};
extern const struct prepared *prepared;

/* The module's functions, set by the program. */
extern CK_FUNCTION_LIST *p11;
extern CK_FUNCTION_LIST_3_0 *p11_3;

#endif
