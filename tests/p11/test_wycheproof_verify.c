/* Wycheproof's vectors with a public key: C_CreateObject, then C_Verify. */
#include "wycheproof.h"

#include "base/encode.h"

static CK_SESSION_HANDLE session;

static int start(void **state)
{
    if (world_start(state))
        return -1;
    initialize();
    session = open_session(PROD);
    return 0;
}

/* --- public keys --- */

static CK_OBJECT_HANDLE create_public(CK_KEY_TYPE kind, CK_ATTRIBUTE first, CK_ATTRIBUTE second)
{
    CK_OBJECT_CLASS type = CKO_PUBLIC_KEY;
    CK_BBOOL yes = CK_TRUE;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &kind, sizeof kind },
                                { CKA_VERIFY, &yes, sizeof yes },
                                first,
                                second };
    ok(world.p11->C_CreateObject(session, template, 5, &key));
    return key;
}

/* The vectors write integers as DER does, with a zero byte where the first bit is set; PKCS#11 has none. */
static struct kv_view without_zero(struct kv_view integer)
{
    bool zero = integer.len > 1 && !integer.data[0];
    return (struct kv_view){ integer.data + zero, integer.len - zero };
}

static CK_OBJECT_HANDLE create_rsa(const struct kv_json *from)
{
    KV_AUTO_BYTES struct kv_bytes n = vector_bytes(from, "modulus"), e = vector_bytes(from, "publicExponent");
    struct kv_view modulus = without_zero(KV_VIEW(n)), exponent = without_zero(KV_VIEW(e));
    return create_public(CKK_RSA, (CK_ATTRIBUTE){ CKA_MODULUS, (void *)modulus.data, modulus.len },
                         (CK_ATTRIBUTE){ CKA_PUBLIC_EXPONENT, (void *)exponent.data, exponent.len });
}

static const struct curve {
    const char *name;
    const char *params; /* DER of its OID */
    size_t params_len, width;
    CK_MECHANISM_TYPE with_hash;
} curves[] = {
    { "secp256r1", "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10, 32, CKM_ECDSA_SHA256 },
    { "secp384r1", "\x06\x05\x2b\x81\x04\x00\x22", 7, 48, CKM_ECDSA_SHA384 },
};

static const struct curve *curve_of(const struct vector *v)
{
    const char *name = vector_text(kv_json_get(v->group, "publicKey"), "curve");
    size_t i = 0;
    while (strcmp(curves[i].name, name))
        assert_true(++i < sizeof curves / sizeof *curves);
    return &curves[i];
}

static CK_OBJECT_HANDLE create_ec(const struct vector *v)
{
    KV_AUTO_BYTES struct kv_bytes bare = vector_bytes(kv_json_get(v->group, "publicKey"), "uncompressed");
    KV_AUTO_BYTES struct kv_bytes point = { 0 };
    const struct curve *curve = curve_of(v);
    assert_int_equal(kv_der_wrap(0x04, KV_VIEW(bare), &point), KV_OK);
    return create_public(CKK_EC, (CK_ATTRIBUTE){ CKA_EC_PARAMS, (void *)curve->params, curve->params_len },
                         (CK_ATTRIBUTE){ CKA_EC_POINT, point.data, point.len });
}

/* The group's key; groups come one after the other. */
static CK_OBJECT_HANDLE key_of(const struct vector *v, bool ec)
{
    static unsigned group;
    static CK_OBJECT_HANDLE key;
    if (group == v->group_number)
        return key;
    if (group)
        ok(world.p11->C_DestroyObject(session, key));
    group = v->group_number;
    return key = ec ? create_ec(v) : create_rsa(kv_json_get(v->group, "publicKey"));
}

/* --- verification --- */

static CK_RV verify(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct kv_view message,
                    struct kv_view signature)
{
    CK_RV rv = world.p11->C_VerifyInit(session, mechanism, key);
    return rv ? rv
              : world.p11->C_Verify(session, (CK_BYTE *)message.data, message.len, (CK_BYTE *)signature.data,
                                    signature.len);
}

static CK_RV verify_in_parts(CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, struct kv_view message,
                             struct kv_view signature)
{
    CK_ULONG half = message.len / 2;
    ok(world.p11->C_VerifyInit(session, mechanism, key));
    ok(world.p11->C_VerifyUpdate(session, (CK_BYTE *)message.data, half));
    ok(world.p11->C_VerifyUpdate(session, (CK_BYTE *)message.data + half, message.len - half));
    return world.p11->C_VerifyFinal(session, (CK_BYTE *)signature.data, signature.len);
}

/* The one code that is right: a length that no signature of this key has is told apart from a signature that is wrong. */
static enum verdict verdict_of(const struct vector *v, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key,
                               struct kv_view signature, size_t right_len)
{
    KV_AUTO_BYTES struct kv_bytes message = vector_bytes(v->test, "msg");
    CK_RV rv = verify(mechanism, key, KV_VIEW(message), signature);
    CK_RV bad = signature.len == right_len ? CKR_SIGNATURE_INVALID : CKR_SIGNATURE_LEN_RANGE;
    if (!wanted(v, "C_VerifyFinal", rv, verify_in_parts(mechanism, key, KV_VIEW(message), signature)))
        return DEVIATES;
    if (!rv)
        return ACCEPTED;
    return wanted(v, "C_Verify", bad, rv) ? REFUSED : DEVIATES;
}

/* --- ECDSA --- */

static enum verdict check_raw(const struct vector *v)
{
    KV_AUTO_BYTES struct kv_bytes signature = vector_bytes(v->test, "sig");
    const struct curve *curve = curve_of(v);
    CK_MECHANISM mechanism = { curve->with_hash, NULL, 0 };
    return verdict_of(v, &mechanism, key_of(v, true), KV_VIEW(signature), 2 * curve->width);
}

static void test_ecdsa_p256_raw(void **state)
{
    walk_vectors("ecdsa_secp256r1_sha256_p1363", DEVIATES, check_raw);
}

static void test_ecdsa_p384_raw(void **state)
{
    walk_vectors("ecdsa_secp384r1_sha384_p1363", DEVIATES, check_raw);
}

/* DER: PKCS#11 has raw r‖s only, so the vector is converted, strictly, as a client that gets DER does it; what does not convert is refused there.
 * The DER bytes themselves are never a signature. */
static enum verdict check_der(const struct vector *v)
{
    KV_AUTO_BYTES struct kv_bytes der = vector_bytes(v->test, "sig"), raw = { 0 };
    const struct curve *curve = curve_of(v);
    CK_MECHANISM mechanism = { curve->with_hash, NULL, 0 };
    CK_OBJECT_HANDLE key = key_of(v, true);
    if (verdict_of(v, &mechanism, key, KV_VIEW(der), 2 * curve->width) != REFUSED)
        return DEVIATES;
    if (kv_ecdsa_from_der(KV_VIEW(der), curve->width, &raw))
        return REFUSED;
    return verdict_of(v, &mechanism, key, KV_VIEW(raw), 2 * curve->width);
}

static void test_ecdsa_der(void **state)
{
    walk_vectors("ecdsa_secp256r1_sha256", DEVIATES, check_der);
}

/* --- RSA --- */

/* The same through CKM_RSA_PKCS, where the caller makes the DigestInfo. */
static bool agrees_as_digestinfo(const struct vector *v, struct kv_view signature, CK_RV expected)
{
    static const CK_BYTE head[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                    0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    KV_AUTO_BYTES struct kv_bytes message = vector_bytes(v->test, "msg");
    CK_MECHANISM digest = { CKM_SHA256, NULL, 0 }, raw = { CKM_RSA_PKCS, NULL, 0 };
    CK_BYTE info[sizeof head + 32];
    CK_ULONG len = 32;
    memcpy(info, head, sizeof head);
    ok(world.p11->C_DigestInit(session, &digest));
    ok(world.p11->C_Digest(session, message.data, message.len, info + sizeof head, &len));
    return wanted(v, "C_Verify of CKM_RSA_PKCS", expected,
                  verify(&raw, key_of(v, false), BYTES(info, sizeof info), signature));
}

/* Acceptable is a DigestInfo without its NULL: RFC 8017 lets a verifier take it; refused here, as the service never makes one. */
static enum verdict check_pkcs1(const struct vector *v)
{
    KV_AUTO_BYTES struct kv_bytes signature = vector_bytes(v->test, "sig");
    CK_RV refusal = signature.len == 256 ? CKR_SIGNATURE_INVALID : CKR_SIGNATURE_LEN_RANGE;
    enum verdict verdict = verdict_of(v, &rsa_sha256, key_of(v, false), KV_VIEW(signature), 256);
    if (verdict == DEVIATES)
        return DEVIATES;
    return agrees_as_digestinfo(v, KV_VIEW(signature), verdict == ACCEPTED ? CKR_OK : refusal) ? verdict
                                                                                               : DEVIATES;
}

static void test_rsa_pkcs1(void **state)
{
    walk_vectors("rsa_signature_2048_sha256", REFUSED, check_pkcs1);
}

static enum verdict check_pss(const struct vector *v)
{
    KV_AUTO_BYTES struct kv_bytes signature = vector_bytes(v->test, "sig");
    CK_RSA_PKCS_PSS_PARAMS params = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS_PSS, &params, sizeof params };
    return verdict_of(v, &mechanism, key_of(v, false), KV_VIEW(signature), 256);
}

static void test_rsa_pss(void **state)
{
    walk_vectors("rsa_pss_2048_sha256_mgf1_32", DEVIATES, check_pss);
}

/* The service salts with as many bytes as the hash has. No salt is a parameter that is not offered, and such a signature is none with 32 bytes of salt:
 * all but the one invalid vector that was made with just those. */
static enum verdict check_pss_without_salt(const struct vector *v)
{
    CK_RSA_PKCS_PSS_PARAMS params = { CKM_SHA256, CKG_MGF1_SHA256, 0 };
    CK_MECHANISM mechanism = { CKM_SHA256_RSA_PKCS_PSS, &params, sizeof params };
    CK_OBJECT_HANDLE key = key_of(v, false);
    if (!wanted(v, "C_VerifyInit", CKR_MECHANISM_PARAM_INVALID,
                world.p11->C_VerifyInit(session, &mechanism, key)))
        return DEVIATES;
    bool salted = !strcmp(vector_text(v->test, "comment"), "s_len changed to 32");
    return check_pss(v) == (salted ? ACCEPTED : REFUSED) ? NOT_OFFERED : DEVIATES;
}

static void test_rsa_pss_without_salt(void **state)
{
    walk_vectors("rsa_pss_2048_sha256_mgf1_0", DEVIATES, check_pss_without_salt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ecdsa_p256_raw), cmocka_unit_test(test_ecdsa_p384_raw),
        cmocka_unit_test(test_ecdsa_der),      cmocka_unit_test(test_rsa_pkcs1),
        cmocka_unit_test(test_rsa_pss),        cmocka_unit_test(test_rsa_pss_without_salt),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
