/* What the emulator's vaults do with key material: generate, import, describe as JWK, and the operations of the
 * contract (encrypt … verify). OpenSSL underneath, nothing shared with the module. A struct em_material is owned by
 * whoever made it and is immutable afterwards, so threads may share one. Contract §5.2, §7. */
#ifndef EM_CRYPTO_H
#define EM_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

struct em_material; /* one version's private or symmetric key */

/* A refusal as the service words it: HTTP status, code, innererror (NULL: none), message. */
struct em_refusal {
    int status;
    const char *code, *inner;
    char message[512];
};

/* The operations that carry bytes. */
enum em_op { EM_ENCRYPT, EM_DECRYPT, EM_WRAP, EM_UNWRAP, EM_SIGN, EM_VERIFY };

struct em_blob {
    unsigned char *data;
    size_t len;
};

struct em_op_in {
    enum em_op op;
    const char *alg; /* "RSA-OAEP-256" */
    const char *kid; /* for the error texts */
    /* Borrowed; data NULL: absent. As in the request: what is signed is the value; a verification has the signature
     * as its value and what was signed as its digest. */
    struct em_blob value, digest, iv, aad, tag;
};

struct em_op_out {
    struct em_blob value, iv,
        tag; /* owned by the caller, freed with em_blob_free; iv only from an AES encryption */
    bool verified;
};

/* kty "RSA" | "RSA-HSM" | "EC" | "EC-HSM" | "oct-HSM"; bits for RSA and oct, curve for EC (JWK names).
 * A wrong size or curve is refused with 400 BadParameter. */
bool em_material_generate(const char *kty, int bits, long public_exponent, const char *curve,
                          struct em_material **ret, struct em_refusal *refusal);
/* From the "key" member of an import body (JWK with its private part). Leading zero bytes are accepted (§5.1). */
bool em_material_import(const json_t *jwk, struct em_material **ret, struct em_refusal *refusal);
void em_material_free(struct em_material *material);

/* "RSA", "EC" or "oct" without -HSM; bits; JWK curve name or NULL. */
const char *em_material_type(const struct em_material *material);
int em_material_bits(const struct em_material *material);
const char *em_material_curve(const struct em_material *material);

/* Of a symmetric key; 0: of another kind. */
unsigned em_material_oct_bits(const struct em_material *material);

/* Adds the public members (n, e | crv, x, y) to a JWK in the service's order. */
void em_material_describe(const struct em_material *material, json_t *jwk);
/* The whole private key as JWK members, and back: for the state directory and for backup blobs. */
json_t *em_material_save(const struct em_material *material);
bool em_material_load(const json_t *saved, struct em_material **ret);

/* One operation. Checks algorithm against key type, curve and size, and input lengths; on refusal fills *refusal. */
bool em_material_operate(const struct em_material *material, const struct em_op_in *in, struct em_op_out *ret,
                         struct em_refusal *refusal);

/* A self-signed certificate and the request it could have come from (x509.c). Names as OpenSSL's configuration writes them, NULL: none. */
struct em_certificate_wishes {
    const char *subject; /* "CN=xyz, O=Example" */
    const char *key_usage, *ekus,
        *sans; /* "digitalSignature,keyEncipherment", "1.3.6.1.5.5.7.3.1", "DNS:a,DNS:b" */
    bool ca;
    long long not_before, not_after; /* seconds */
};
bool em_material_certify(const struct em_material *material, const struct em_certificate_wishes *wishes,
                         struct em_blob *ret_cer, struct em_blob *ret_csr, struct em_refusal *refusal);
bool em_sha1(struct em_blob data, unsigned char ret[20]);

void em_blob_free(struct em_blob *blob);
bool em_random(unsigned char *out, size_t len);

/* base64url without padding (input may be padded), standard base64 with padding; NULL or false on failure. */
char *em_base64url(const unsigned char *data, size_t len);
bool em_unbase64url(const char *text, struct em_blob *ret);
char *em_base64(const unsigned char *data, size_t len);
bool em_unbase64(const char *text, struct em_blob *ret);

/* AES-256-GCM under a key of the caller's (backup blobs): 12-byte nonce ‖ ciphertext ‖ 16-byte tag. */
bool em_seal(const unsigned char key[32], struct em_blob plain, struct em_blob *ret);
bool em_open(const unsigned char key[32], struct em_blob sealed, struct em_blob *ret);

#endif
