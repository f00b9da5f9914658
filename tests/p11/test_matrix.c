/* Every row of the mechanism table through the module, against the emulator: a row that is added is tested before anyone writes a test. What the
 * vault signs is verified here by OpenSSL, without the module; what is encrypted here the vault decrypts. */
#include "harness.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include "base/encode.h"
#include "mech/local.h"

static const struct {
    enum kv_kind kind;
    const char *curve, *label, *create;
} keys[] = {
    { KV_RSA, NULL, "m-rsa", "{\"kty\":\"RSA\",\"key_size\":2048}" },
    { KV_EC, "P-256", "m-p256", "{\"kty\":\"EC\",\"crv\":\"P-256\"}" },
    { KV_EC, "P-384", "m-p384", "{\"kty\":\"EC\",\"crv\":\"P-384\"}" },
    { KV_EC, "P-521", "m-p521", "{\"kty\":\"EC\",\"crv\":\"P-521\"}" },
    { KV_EC, "P-256K", "m-p256k", "{\"kty\":\"EC\",\"crv\":\"P-256K\"}" },
};
enum { KEYS = sizeof keys / sizeof *keys };
static CK_OBJECT_HANDLE private_keys[KEYS], public_keys[KEYS];
static EVP_PKEY *open_keys[KEYS];
static CK_SESSION_HANDLE session;

/* A row's mechanism with parameters as the standard wants them. */
struct mechanism {
    CK_MECHANISM mechanism;
    union {
        CK_RSA_PKCS_PSS_PARAMS pss;
        CK_RSA_PKCS_OAEP_PARAMS oaep;
    } params;
};

static CK_RSA_PKCS_MGF_TYPE mgf_of(CK_MECHANISM_TYPE digest)
{
    return digest == CKM_SHA256   ? CKG_MGF1_SHA256
           : digest == CKM_SHA384 ? CKG_MGF1_SHA384
           : digest == CKM_SHA512 ? CKG_MGF1_SHA512
                                  : CKG_MGF1_SHA1;
}

static CK_MECHANISM *mechanism_of(const struct kv_mech *row, struct mechanism *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->mechanism.mechanism = row->type;
    if (row->padding == RSA_PKCS1_PSS_PADDING) {
        ret->params.pss =
            (CK_RSA_PKCS_PSS_PARAMS){ row->digest, mgf_of(row->digest), kv_digest_size(row->evp) };
        ret->mechanism.pParameter = &ret->params.pss;
        ret->mechanism.ulParameterLen = sizeof ret->params.pss;
    }
    if (row->padding == RSA_PKCS1_OAEP_PADDING) {
        ret->params.oaep =
            (CK_RSA_PKCS_OAEP_PARAMS){ row->digest, mgf_of(row->digest), CKZ_DATA_SPECIFIED, NULL, 0 };
        ret->mechanism.pParameter = &ret->params.oaep;
        ret->mechanism.ulParameterLen = sizeof ret->params.oaep;
    }
    return &ret->mechanism;
}

static size_t key_of(const struct kv_mech *row)
{
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].kind == row->kind && (!row->curve || !strcmp(row->curve, keys[i].curve)))
            return i;
    fail_msg("no key for %s", row->name);
    return 0;
}

static bool asymmetric(const struct kv_mech *row, unsigned operation)
{
    /* RSNULL, which has no digest and is only offered when asked for, has a test of its own in test_codes.c. */
    return row->kind != KV_OCT && row->operations & operation && row != kv_mech_rsnull();
}

static EVP_PKEY *read_public(CK_OBJECT_HANDLE object)
{
    unsigned char der[1024];
    const unsigned char *at = der;
    size_t len = attribute(session, object, CKA_PUBLIC_KEY_INFO, der, sizeof der);
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)len);
    assert_non_null(key);
    return key;
}

static int start(void **state)
{
    if (world_start(state))
        return -1;
    configure("none", "rsa1_5 = yes");
    for (size_t i = 0; i < KEYS; i++)
        create_key("prod", keys[i].label, keys[i].create);
    initialize();
    session = open_session(PROD);
    for (size_t i = 0; i < KEYS; i++) {
        private_keys[i] = find_one(session, CKO_PRIVATE_KEY, keys[i].label);
        public_keys[i] = find_one(session, CKO_PUBLIC_KEY, keys[i].label);
        open_keys[i] = read_public(public_keys[i]);
    }
    return 0;
}

static int stop(void **state)
{
    for (size_t i = 0; i < KEYS; i++)
        EVP_PKEY_free(open_keys[i]);
    return world_stop(state);
}

/* --- signatures --- */

/* The input a row takes, for the message "kvp11": the message, its digest, or the digest in a DigestInfo. */
static struct result input_of(const struct kv_mech *row, const char *message)
{
    static const struct {
        CK_MECHANISM_TYPE digest;
        unsigned char prefix[19];
    } infos[] = {
        { CKM_SHA256, "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20" },
        { CKM_SHA384, "\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30" },
        { CKM_SHA512, "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40" },
    };
    struct result input = { .len = 0 };
    if (row->input == KV_MESSAGE) {
        input.len = strlen(message);
        memcpy(input.data, message, input.len);
        return input;
    }
    for (size_t i = 0; row->input == KV_DIGESTINFO && i < 3; i++)
        if (infos[i].digest == row->digest) {
            memcpy(input.data, infos[i].prefix, 19);
            input.len = 19;
        }
    unsigned len = 0;
    EVP_MD *md = EVP_MD_fetch(NULL, row->evp ? row->evp : "SHA2-256", NULL);
    assert_int_equal(EVP_Digest(message, strlen(message), input.data + input.len, &len, md, NULL), 1);
    EVP_MD_free(md);
    input.len += len;
    return input;
}

/* Verifies with OpenSSL alone. ECDSA signatures are raw r‖s in PKCS#11 and DER in OpenSSL. */
static bool openssl_verifies(const struct kv_mech *row, const char *message, const struct result *signature)
{
    struct kv_bytes der = { 0 };
    struct kv_view view = { signature->data, signature->len };
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key = NULL;
    EVP_MD *md = EVP_MD_fetch(NULL, row->evp ? row->evp : "SHA2-256", NULL);
    assert_int_equal(EVP_DigestVerifyInit(context, &key, md, NULL, open_keys[key_of(row)]), 1);
    if (row->padding) {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(key, row->padding) > 0);
        if (row->padding == RSA_PKCS1_PSS_PADDING)
            assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(key, RSA_PSS_SALTLEN_DIGEST) > 0);
    } else {
        assert_int_equal(kv_ecdsa_to_der(view, &der), KV_OK);
        view = KV_VIEW(der);
    }
    int good =
        EVP_DigestVerify(context, view.data, view.len, (const unsigned char *)message, strlen(message));
    EVP_MD_CTX_free(context);
    EVP_MD_free(md);
    kv_bytes_free(&der);
    return good == 1;
}

static void test_one_shot_signatures_verify(void **state)
{
    size_t rows = 0;
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if (!asymmetric(row, KV_OP_SIGN))
            continue;
        struct mechanism mechanism;
        struct result input = input_of(row, "kvp11");
        struct result signature =
            sign(session, mechanism_of(row, &mechanism), private_keys[key_of(row)], input.data, input.len);
        if (!openssl_verifies(row, "kvp11", &signature))
            fail_msg("%s %s: OpenSSL refuses the signature", row->name, row->alg);
        if (openssl_verifies(row, "kvp12", &signature))
            fail_msg("%s %s: the signature fits another message", row->name, row->alg);
        rows++;
    }
    assert_true(rows >= 24);
}

static void test_multi_part_signatures_verify(void **state)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if (!asymmetric(row, KV_OP_SIGN))
            continue;
        struct mechanism mechanism;
        struct result signature = { .len = sizeof signature.data };
        ok(world.p11->C_SignInit(session, mechanism_of(row, &mechanism), private_keys[key_of(row)]));
        if (row->input != KV_MESSAGE) {
            expect(CKR_FUNCTION_NOT_SUPPORTED, world.p11->C_SignUpdate(session, (CK_BYTE *)"kv", 2));
            continue;
        }
        ok(world.p11->C_SignUpdate(session, (CK_BYTE *)"kv", 2));
        ok(world.p11->C_SignUpdate(session, NULL, 0));
        ok(world.p11->C_SignUpdate(session, (CK_BYTE *)"p11", 3));
        ok(world.p11->C_SignFinal(session, signature.data, &signature.len));
        if (!openssl_verifies(row, "kvp11", &signature))
            fail_msg("%s %s: OpenSSL refuses the signature", row->name, row->alg);
    }
}

static void test_module_verifies_and_refuses(void **state)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if (!asymmetric(row, KV_OP_VERIFY))
            continue;
        struct mechanism made;
        CK_MECHANISM *mechanism = mechanism_of(row, &made);
        CK_OBJECT_HANDLE key = public_keys[key_of(row)];
        struct result input = input_of(row, "kvp11");
        struct result signature = sign(session, mechanism, private_keys[key_of(row)], input.data, input.len);
        clear_log();
        if (!verifies(session, mechanism, key, BYTES(input.data, input.len), &signature))
            fail_msg("%s %s: refused", row->name, row->alg);
        signature.data[signature.len / 2] ^= 1;
        if (verifies(session, mechanism, key, BYTES(input.data, input.len), &signature))
            fail_msg("%s %s: a tampered signature passed", row->name, row->alg);
        signature.data[signature.len / 2] ^= 1;
        input.data[input.len - 1] ^= 1;
        if (verifies(session, mechanism, key, BYTES(input.data, input.len), &signature))
            fail_msg("%s %s: a tampered message passed", row->name, row->alg);
        ok(world.p11->C_VerifyInit(session, mechanism, key));
        expect(CKR_SIGNATURE_LEN_RANGE,
               world.p11->C_Verify(session, input.data, input.len, signature.data, signature.len - 1));
        if (row->input == KV_MESSAGE) {
            input.data[input.len - 1] ^= 1;
            ok(world.p11->C_VerifyInit(session, mechanism, key));
            ok(world.p11->C_VerifyUpdate(session, input.data, 1));
            ok(world.p11->C_VerifyUpdate(session, input.data + 1, input.len - 1));
            ok(world.p11->C_VerifyFinal(session, signature.data, signature.len));
        }
        assert_int_equal(requests(NULL), 0);
    }
}

/* A size query and a short buffer cost no request, keep the operation, and the signature comes with the next call. */
static void test_signing_is_one_request(void **state)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if (!asymmetric(row, KV_OP_SIGN))
            continue;
        struct mechanism made;
        struct result input = input_of(row, "kvp11"), signature;
        CK_ULONG size = 12345, shorter;
        clear_log();
        ok(world.p11->C_SignInit(session, mechanism_of(row, &made), private_keys[key_of(row)]));
        ok(world.p11->C_Sign(session, input.data, input.len, NULL, &size));
        shorter = size - 1;
        expect(CKR_BUFFER_TOO_SMALL,
               world.p11->C_Sign(session, input.data, input.len, signature.data, &shorter));
        assert_int_equal(shorter, size);
        assert_int_equal(requests(NULL), 0);
        signature.len = size;
        ok(world.p11->C_Sign(session, input.data, input.len, signature.data, &signature.len));
        assert_int_equal(signature.len, size);
        assert_int_equal(requests("/sign"), 1);
        assert_int_equal(requests(NULL), 1);
        expect(CKR_OPERATION_NOT_INITIALIZED,
               world.p11->C_Sign(session, input.data, input.len, signature.data, &size));
    }
}

/* --- encryption --- */

static void test_local_encryption_is_decrypted_by_the_vault(void **state)
{
    size_t rows = 0;
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if (!asymmetric(row, KV_OP_ENCRYPT))
            continue;
        struct mechanism made;
        CK_MECHANISM *mechanism = mechanism_of(row, &made);
        clear_log();
        struct result cipher = encrypt(session, mechanism, public_keys[key_of(row)], "a data key", 10);
        assert_int_equal(requests(NULL), 0);
        struct result plain = decrypt(session, mechanism, private_keys[key_of(row)], &cipher);
        assert_int_equal(requests(NULL), 1);
        assert_int_equal(plain.len, 10);
        assert_memory_equal(plain.data, "a data key", 10);

        cipher.data[cipher.len - 1] ^= 1;
        CK_RV rv = world.p11->C_DecryptInit(session, mechanism, private_keys[key_of(row)]);
        assert_int_equal(rv, CKR_OK);
        plain.len = sizeof plain.data;
        expect(CKR_ENCRYPTED_DATA_INVALID,
               world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
        ok(world.p11->C_DecryptInit(session, mechanism, private_keys[key_of(row)]));
        clear_log();
        expect(CKR_ENCRYPTED_DATA_LEN_RANGE,
               world.p11->C_Decrypt(session, cipher.data, cipher.len - 1, plain.data, &plain.len));
        assert_int_equal(requests(NULL), 0);
        rows++;
    }
    assert_int_equal(rows, 3);
}

static void test_too_much_plaintext(void **state)
{
    static unsigned char much[256];
    struct result cipher = { .len = sizeof cipher.data };
    ok(world.p11->C_EncryptInit(session, &oaep_sha256, public_keys[0]));
    expect(CKR_DATA_LEN_RANGE,
           world.p11->C_Encrypt(session, much, 256 - 2 * 32 - 1, cipher.data, &cipher.len));
    expect(CKR_OPERATION_NOT_INITIALIZED, world.p11->C_Encrypt(session, much, 10, cipher.data, &cipher.len));
}

/* Two calls, one request: the plaintext of a buffer that was too small waits for the next call. */
static void test_decryption_is_one_request(void **state)
{
    struct result cipher = encrypt(session, &oaep_sha256, public_keys[0], "a data key", 10), plain;
    CK_ULONG size = 0, little = 9;
    clear_log();
    ok(world.p11->C_DecryptInit(session, &oaep_sha256, private_keys[0]));
    ok(world.p11->C_Decrypt(session, cipher.data, cipher.len, NULL, &size));
    assert_in_range(size, 10, 256);
    assert_int_equal(requests(NULL), 0);
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &little));
    assert_int_equal(little, 10);
    ok(world.p11->C_Decrypt(session, cipher.data, cipher.len, NULL, &size));
    assert_int_equal(size, 10);
    plain.len = 10;
    ok(world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
    assert_memory_equal(plain.data, "a data key", 10);
    assert_int_equal(requests("/decrypt") + requests("/unwrapkey"), 1);
    assert_int_equal(requests(NULL), 1);
    expect(CKR_OPERATION_NOT_INITIALIZED,
           world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
}

/* What waits is the answer to that ciphertext and to no other. */
static void test_a_kept_result_is_not_for_other_data(void **state)
{
    struct result cipher = encrypt(session, &oaep_sha256, public_keys[0], "a data key", 10), plain;
    CK_ULONG little = 1;
    ok(world.p11->C_DecryptInit(session, &oaep_sha256, private_keys[0]));
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &little));
    cipher.data[0] ^= 1;
    plain.len = sizeof plain.data;
    expect(CKR_ARGUMENTS_BAD, world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
    expect(CKR_OPERATION_NOT_INITIALIZED,
           world.p11->C_Decrypt(session, cipher.data, cipher.len, plain.data, &plain.len));
}

/* --- refusals that are the same for every row --- */

static CK_RV init_for(unsigned operation, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    CK_FUNCTION_LIST *p11 = world.p11;
    CK_RV rv = operation == KV_OP_SIGN      ? p11->C_SignInit(session, mechanism, key)
               : operation == KV_OP_VERIFY  ? p11->C_VerifyInit(session, mechanism, key)
               : operation == KV_OP_ENCRYPT ? p11->C_EncryptInit(session, mechanism, key)
                                            : p11->C_DecryptInit(session, mechanism, key);
    p11->C_SignInit(session, NULL, 0);
    p11->C_VerifyInit(session, NULL, 0);
    p11->C_EncryptInit(session, NULL, 0);
    p11->C_DecryptInit(session, NULL, 0);
    return rv;
}

static void test_wrong_keys_and_parameters(void **state)
{
    static const unsigned operations[] = { KV_OP_SIGN, KV_OP_VERIFY, KV_OP_ENCRYPT, KV_OP_DECRYPT };
    clear_log();
    for (size_t i = 0; i < kv_mech_count; i++)
        for (size_t k = 0; k < 4; k++) {
            const struct kv_mech *row = &kv_mech_table[i];
            if (!asymmetric(row, operations[k]))
                continue;
            bool open_half = operations[k] & (KV_OP_VERIFY | KV_OP_ENCRYPT);
            CK_OBJECT_HANDLE *half = open_half ? public_keys : private_keys;
            CK_OBJECT_HANDLE *other_half = open_half ? private_keys : public_keys;
            size_t other_kind = row->kind == KV_RSA ? 1 : 0;
            struct mechanism made;
            CK_MECHANISM *mechanism = mechanism_of(row, &made);
            expect(CKR_OK, init_for(operations[k], mechanism, half[key_of(row)]));
            expect(CKR_KEY_TYPE_INCONSISTENT, init_for(operations[k], mechanism, half[other_kind]));
            expect(CKR_KEY_TYPE_INCONSISTENT, init_for(operations[k], mechanism, other_half[key_of(row)]));
            expect(CKR_KEY_HANDLE_INVALID, init_for(operations[k], mechanism, 999999));
            unsigned char garbage[3] = "??";
            mechanism->pParameter = garbage;
            mechanism->ulParameterLen = sizeof garbage;
            expect(CKR_MECHANISM_PARAM_INVALID, init_for(operations[k], mechanism, half[key_of(row)]));
            mechanism->pParameter = NULL;
            expect(CKR_MECHANISM_PARAM_INVALID, init_for(operations[k], mechanism, half[key_of(row)]));
        }
    CK_MECHANISM unknown = { CKM_RSA_X_509, NULL, 0 }, sha1 = { CKM_SHA1_RSA_PKCS, NULL, 0 };
    expect(CKR_MECHANISM_INVALID, init_for(KV_OP_SIGN, &unknown, private_keys[0]));
    expect(CKR_MECHANISM_INVALID, init_for(KV_OP_DECRYPT, &unknown, private_keys[0]));
    expect(CKR_MECHANISM_INVALID, init_for(KV_OP_SIGN, &sha1, private_keys[0]));
    assert_int_equal(requests(NULL), 0);
}

/* ECDSA with a digest of any length: shorter is padded, longer is cut (bits2int). */
static void test_ecdsa_takes_any_digest(void **state)
{
    static unsigned char digest[64] = { 1, 2, 3 };
    static const size_t lengths[] = { 20, 28, 32, 48, 64 };
    for (size_t i = 1; i < KEYS; i++)
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            struct kv_bytes der = { 0 };
            struct result signature = sign(session, &ecdsa, private_keys[i], digest, lengths[k]);
            EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(open_keys[i], NULL);
            assert_int_equal(kv_ecdsa_to_der((struct kv_view){ signature.data, signature.len }, &der), KV_OK);
            assert_int_equal(EVP_PKEY_verify_init(context), 1);
            if (EVP_PKEY_verify(context, der.data, der.len, digest, lengths[k]) != 1)
                fail_msg("%s: a digest of %zu bytes", keys[i].label, lengths[k]);
            EVP_PKEY_CTX_free(context);
            kv_bytes_free(&der);
        }
}

/* What the slot says of its mechanisms agrees with the table. */
static void test_mechanism_list(void **state)
{
    CK_MECHANISM_TYPE list[64];
    CK_ULONG count = (CK_ULONG)-7, room;
    ok(world.p11->C_GetMechanismList(PROD, NULL, &count));
    assert_in_range(count, 15, 64);
    room = count - 1;
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_GetMechanismList(PROD, list, &room));
    assert_int_equal(room, count);
    room = 64;
    ok(world.p11->C_GetMechanismList(PROD, list, &room));
    assert_int_equal(room, count);
    for (CK_ULONG i = 0; i < count; i++) {
        CK_MECHANISM_INFO info;
        ok(world.p11->C_GetMechanismInfo(PROD, list[i], &info));
        assert_true(info.flags & (CKF_SIGN | CKF_VERIFY | CKF_ENCRYPT | CKF_DECRYPT | CKF_WRAP | CKF_UNWRAP |
                                  CKF_DIGEST | CKF_GENERATE | CKF_GENERATE_KEY_PAIR | CKF_DERIVE));
        assert_non_null(kv_mech_type_name(list[i]));
        for (CK_ULONG k = 0; k < i; k++)
            assert_int_not_equal(list[i], list[k]);
    }
    CK_MECHANISM_INFO info;
    expect(CKR_MECHANISM_INVALID, world.p11->C_GetMechanismInfo(PROD, CKM_RSA_X_509, &info));
    expect(CKR_SLOT_ID_INVALID, world.p11->C_GetMechanismInfo(9, CKM_ECDSA, &info));
}

static void test_digests(void **state)
{
    for (size_t i = 0; i < kv_mech_count; i++) {
        const struct kv_mech *row = &kv_mech_table[i];
        if (!(row->operations & KV_OP_DIGEST))
            continue;
        struct result expected = { 0 }, digest = { .len = 0 };
        unsigned len = 0;
        EVP_MD *md = EVP_MD_fetch(NULL, row->evp, NULL);
        assert_int_equal(EVP_Digest("kvp11", 5, expected.data, &len, md, NULL), 1);
        EVP_MD_free(md);
        CK_MECHANISM mechanism = { row->type, NULL, 0 };
        ok(world.p11->C_DigestInit(session, &mechanism));
        ok(world.p11->C_Digest(session, (CK_BYTE *)"kvp11", 5, NULL, &digest.len));
        assert_int_equal(digest.len, len);
        ok(world.p11->C_Digest(session, (CK_BYTE *)"kvp11", 5, digest.data, &digest.len));
        assert_memory_equal(digest.data, expected.data, len);
        ok(world.p11->C_DigestInit(session, &mechanism));
        ok(world.p11->C_DigestUpdate(session, (CK_BYTE *)"kv", 2));
        ok(world.p11->C_DigestUpdate(session, (CK_BYTE *)"p11", 3));
        digest.len = len - 1;
        expect(CKR_BUFFER_TOO_SMALL, world.p11->C_DigestFinal(session, digest.data, &digest.len));
        ok(world.p11->C_DigestFinal(session, digest.data, &digest.len));
        assert_memory_equal(digest.data, expected.data, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_shot_signatures_verify),
        cmocka_unit_test(test_multi_part_signatures_verify),
        cmocka_unit_test(test_module_verifies_and_refuses),
        cmocka_unit_test(test_signing_is_one_request),
        cmocka_unit_test(test_local_encryption_is_decrypted_by_the_vault),
        cmocka_unit_test(test_too_much_plaintext),
        cmocka_unit_test(test_decryption_is_one_request),
        cmocka_unit_test(test_a_kept_result_is_not_for_other_data),
        cmocka_unit_test(test_wrong_keys_and_parameters),
        cmocka_unit_test(test_ecdsa_takes_any_digest),
        cmocka_unit_test(test_mechanism_list),
        cmocka_unit_test(test_digests),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
