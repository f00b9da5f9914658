/* Wycheproof's vectors with an RSA private key, end to end: the key is imported into the emulator, and the module decrypts and signs with it there.
 * Then the same once more with the key as an object of the session, where the module computes. */
#include "wycheproof.h"

#include <stdio.h>
#include "base/encode.h"

static CK_SESSION_HANDLE session;

static int start(void **state)
{
    if (world_start(state))
        return -1;
    configure("none", "rsa1_5 = yes");
    create_key("prod", "any", "{\"kty\":\"RSA\"}");
    initialize();
    session = open_session(PROD);
    return 0;
}

/* --- a group's key in the vault --- */

static char *import_body(const struct kv_json *jwk)
{
    static const char *const members[] = { "kty", "n", "e", "d", "p", "q", "dp", "dq", "qi" };
    KV_AUTO_JSON struct kv_json *body = kv_json_object();
    struct kv_json *key = kv_json_object();
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        kv_json_put_text(key, members[i], vector_text(jwk, members[i]));
    kv_json_put(body, "key", key);
    char *text = kv_json_print(body, false);
    assert_non_null(text);
    return text;
}

struct pair {
    CK_OBJECT_HANDLE shut, open;
};
static bool in_session; /* which of the two ways is walked */

static struct pair import(const struct vector *v)
{
    char name[32], path[96];
    snprintf(name, sizeof name, "wycheproof-%u", v->group_number);
    snprintf(path, sizeof path, "/vaults/prod/keys/%s/import", name);
    KV_AUTO_TEXT char *body = import_body(kv_json_get(v->group, "privateKeyJwk"));
    control_do("POST", path, body);
    return (struct pair){ find_one(session, CKO_PRIVATE_KEY, name), find_one(session, CKO_PUBLIC_KEY, name) };
}

/* --- a group's key in the session --- */

static const struct {
    const char *member;
    CK_ATTRIBUTE_TYPE type;
} parts[] = {
    { "n", CKA_MODULUS },     { "e", CKA_PUBLIC_EXPONENT }, { "d", CKA_PRIVATE_EXPONENT },
    { "p", CKA_PRIME_1 },     { "q", CKA_PRIME_2 },         { "dp", CKA_EXPONENT_1 },
    { "dq", CKA_EXPONENT_2 }, { "qi", CKA_COEFFICIENT },
};
enum { PARTS = sizeof parts / sizeof *parts, PUBLIC_PARTS = 2 };

static CK_OBJECT_HANDLE create(CK_OBJECT_CLASS type, const struct kv_bytes *values, size_t count)
{
    CK_KEY_TYPE rsa = CKK_RSA;
    CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
    CK_ATTRIBUTE template[2 + PARTS] = { { CKA_CLASS, &type, sizeof type },
                                         { CKA_KEY_TYPE, &rsa, sizeof rsa } };
    for (size_t i = 0; i < count; i++)
        template[2 + i] = (CK_ATTRIBUTE){ parts[i].type, values[i].data, values[i].len };
    ok(world.p11->C_CreateObject(session, template, 2 + count, &key));
    return key;
}

static struct pair create_pair(const struct vector *v)
{
    struct kv_bytes values[PARTS] = { 0 };
    const struct kv_json *jwk = kv_json_get(v->group, "privateKeyJwk");
    for (size_t i = 0; i < PARTS; i++)
        assert_int_equal(kv_decode_base64url(vector_text(jwk, parts[i].member), &values[i]), KV_OK);
    struct pair pair = { create(CKO_PRIVATE_KEY, values, PARTS),
                         create(CKO_PUBLIC_KEY, values, PUBLIC_PARTS) };
    for (size_t i = 0; i < PARTS; i++)
        kv_bytes_free(&values[i]);
    return pair;
}

static struct pair imported(const struct vector *v)
{
    static unsigned group; /* of the last call: groups come one after the other */
    static struct pair pair;
    if (group != v->group_number)
        pair = in_session ? create_pair(v) : import(v);
    group = v->group_number;
    return pair;
}

/* --- decryption --- */

/* What has not the length of the modulus is refused without asking the vault. */
static bool refuses(const struct vector *v, CK_MECHANISM *mechanism, struct kv_view cipher)
{
    struct result out;
    struct pair key = imported(v);
    bool fits = cipher.len == 256;
    clear_log();
    return wanted(v, "C_Decrypt", fits ? CKR_ENCRYPTED_DATA_INVALID : CKR_ENCRYPTED_DATA_LEN_RANGE,
                  run_decrypt(session, mechanism, key.shut, cipher, &out)) &&
           wanted(v, "requests", fits && !in_session, requests("/decrypt"));
}

static bool decrypts(const struct vector *v, CK_MECHANISM *mechanism, struct kv_view cipher,
                     struct kv_view plain)
{
    struct result out;
    struct pair key = imported(v);
    return wanted(v, "C_Decrypt", CKR_OK, run_decrypt(session, mechanism, key.shut, cipher, &out)) &&
           same(v, "C_Decrypt", plain, BYTES(out.data, out.len));
}

static enum verdict check_decryption(const struct vector *v, CK_MECHANISM *mechanism)
{
    KV_AUTO_BYTES struct kv_bytes cipher = vector_bytes(v->test, "ct"), plain = vector_bytes(v->test, "msg");
    if (v->valid)
        return decrypts(v, mechanism, KV_VIEW(cipher), KV_VIEW(plain)) ? ACCEPTED : DEVIATES;
    return refuses(v, mechanism, KV_VIEW(cipher)) ? REFUSED : DEVIATES;
}

/* The service has no labels: named, a label is a parameter that is not offered; left out, the ciphertext does not open. */
static enum verdict check_label(const struct vector *v, CK_MECHANISM *mechanism, struct kv_view label)
{
    KV_AUTO_BYTES struct kv_bytes cipher = vector_bytes(v->test, "ct");
    CK_RSA_PKCS_OAEP_PARAMS params = *(CK_RSA_PKCS_OAEP_PARAMS *)mechanism->pParameter;
    CK_MECHANISM labelled = { CKM_RSA_PKCS_OAEP, &params, sizeof params };
    params.pSourceData = (void *)label.data;
    params.ulSourceDataLen = label.len;
    bool good = wanted(v, "C_DecryptInit with a label", CKR_MECHANISM_PARAM_INVALID,
                       world.p11->C_DecryptInit(session, &labelled, imported(v).shut)) &&
                wanted(v, "C_EncryptInit with a label", CKR_MECHANISM_PARAM_INVALID,
                       world.p11->C_EncryptInit(session, &labelled, imported(v).open)) &&
                refuses(v, mechanism, KV_VIEW(cipher));
    return good ? NOT_OFFERED : DEVIATES;
}

static enum verdict check_oaep(const struct vector *v)
{
    KV_AUTO_BYTES struct kv_bytes label = vector_bytes(v->test, "label");
    CK_MECHANISM *mechanism = strcmp(vector_text(v->group, "sha"), "SHA-1") ? &oaep_sha256 : &oaep_sha1;
    return label.len ? check_label(v, mechanism, KV_VIEW(label)) : check_decryption(v, mechanism);
}

static void test_oaep_sha1(void **state)
{
    walk_vectors("rsa_oaep_2048_sha1_mgf1sha1", DEVIATES, check_oaep);
}

static void test_oaep_sha256(void **state)
{
    walk_vectors("rsa_oaep_2048_sha256_mgf1sha256", DEVIATES, check_oaep);
}

static enum verdict check_pkcs1(const struct vector *v)
{
    CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
    return check_decryption(v, &mechanism);
}

static void test_pkcs1(void **state)
{
    walk_vectors("rsa_pkcs1_2048", DEVIATES, check_pkcs1);
}

/* --- signatures --- */

static const struct {
    const char *sha;
    CK_MECHANISM_TYPE type;
    bool offered; /* the service signs no SHA-1 and no SHA-224 */
} hashes[] = {
    { "SHA-1", CKM_SHA1_RSA_PKCS, false },    { "SHA-224", CKM_SHA224_RSA_PKCS, false },
    { "SHA-256", CKM_SHA256_RSA_PKCS, true }, { "SHA-384", CKM_SHA384_RSA_PKCS, true },
    { "SHA-512", CKM_SHA512_RSA_PKCS, true },
};

static bool signs(const struct vector *v, CK_MECHANISM *mechanism)
{
    KV_AUTO_BYTES struct kv_bytes message = vector_bytes(v->test, "msg"),
                                  expected = vector_bytes(v->test, "sig");
    struct pair key = imported(v);
    struct result signature = { .len = sizeof signature.data };
    ok(world.p11->C_SignInit(session, mechanism, key.shut));
    CK_RV rv = world.p11->C_Sign(session, message.data, message.len, signature.data, &signature.len);
    return wanted(v, "C_Sign", CKR_OK, rv) &&
           same(v, "C_Sign", KV_VIEW(expected), BYTES(signature.data, signature.len)) &&
           wanted(v, "C_Verify", true, verifies(session, mechanism, key.open, KV_VIEW(message), &signature));
}

/* Acceptable are keys with a public exponent of 3, which the service takes and which sign as all others; and hashes that are not offered. */
static enum verdict check_signing(const struct vector *v)
{
    const char *sha = vector_text(v->group, "sha");
    size_t i = 0;
    while (strcmp(hashes[i].sha, sha))
        assert_true(++i < sizeof hashes / sizeof *hashes);
    CK_MECHANISM mechanism = { hashes[i].type, NULL, 0 };
    if (hashes[i].offered)
        return signs(v, &mechanism) ? ACCEPTED : DEVIATES;
    CK_OBJECT_HANDLE any = find_one(session, CKO_PRIVATE_KEY, "any"); /* these groups have no JWK */
    return wanted(v, "C_SignInit", CKR_MECHANISM_INVALID, world.p11->C_SignInit(session, &mechanism, any))
               ? NOT_OFFERED
               : DEVIATES;
}

static void test_signing(void **state)
{
    walk_vectors("rsa_pkcs1_2048_sig_gen", ACCEPTED, check_signing);
}

static int walk_the_session(void **state)
{
    in_session = true;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oaep_sha1),
        cmocka_unit_test(test_oaep_sha256),
        cmocka_unit_test(test_pkcs1),
        cmocka_unit_test(test_signing),
        cmocka_unit_test_setup(test_oaep_sha1, walk_the_session),
        cmocka_unit_test(test_oaep_sha256),
        cmocka_unit_test(test_pkcs1),
        cmocka_unit_test(test_signing),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
