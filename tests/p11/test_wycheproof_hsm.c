/* Wycheproof's symmetric vectors where PKCS#11 3.0 and a Managed HSM come in: AES-GCM by messages, and with keys that are imported into the emulator's
 * HSM, where the service decrypts and unwraps. */
#include "wycheproof.h"

#include <stdio.h>
#include "base/encode.h"

static CK_SESSION_HANDLE session, hsm;

static int start(void **state)
{
    if (world_start(state))
        return -1;
    configure("none", "api_version = 2026-04-01"); /* which tells a secret key's size */
    initialize();
    session = open_session(PROD);
    hsm = open_session(HSM);
    return 0;
}

static CK_OBJECT_HANDLE import(const struct vector *v, struct kv_view key)
{
    static unsigned count;
    char name[48], path[96], body[256];
    KV_AUTO_TEXT char *k = kv_encode_base64url(key);
    snprintf(name, sizeof name, "wycheproof-%u-%d", ++count, (int)v->id);
    snprintf(path, sizeof path, "/vaults/hsm/keys/%s/import", name);
    snprintf(body, sizeof body,
             "{\"key\":{\"kty\":\"oct-HSM\",\"k\":\"%s\",\"key_ops\":[\"encrypt\",\"decrypt\",\"wrapKey\","
             "\"unwrapKey\"]}}",
             k);
    control_do("POST", path, body);
    return find_one(hsm, CKO_SECRET_KEY, name);
}

/* --- AES-GCM --- */

struct gcm {
    struct kv_bytes key, iv, aad, tag, plain, cipher;
};

static void gcm_free(struct gcm *gcm)
{
    struct kv_bytes *all[] = { &gcm->key, &gcm->iv, &gcm->aad, &gcm->tag, &gcm->plain, &gcm->cipher };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        kv_bytes_free(all[i]);
}

static struct gcm gcm_of(const struct vector *v)
{
    return (struct gcm){ vector_bytes(v->test, "key"), vector_bytes(v->test, "iv"),
                         vector_bytes(v->test, "aad"), vector_bytes(v->test, "tag"),
                         vector_bytes(v->test, "msg"), vector_bytes(v->test, "ct") };
}

/* By C_EncryptMessage with the vector's nonce; the tag must come out as the vector has it. */
static bool seals(const struct vector *v, const struct gcm *gcm)
{
    struct result out = { .len = sizeof out.data };
    CK_BYTE tag[16] = { 0 };
    CK_GCM_MESSAGE_PARAMS params = { gcm->iv.data, gcm->iv.len, 0, CKG_NO_GENERATE, tag, 128 };
    return wanted(v, "C_EncryptMessage", CKR_OK,
                  world.p11_3->C_EncryptMessage(session, &params, sizeof params, gcm->aad.data, gcm->aad.len,
                                                gcm->plain.data, gcm->plain.len, out.data, &out.len)) &&
           same(v, "C_EncryptMessage", KV_VIEW(gcm->cipher), BYTES(out.data, out.len)) &&
           same(v, "the tag", KV_VIEW(gcm->tag), BYTES(tag, sizeof tag));
}

static CK_RV unseal(CK_SESSION_HANDLE in, const struct gcm *gcm, struct result *ret)
{
    CK_GCM_MESSAGE_PARAMS params = { gcm->iv.data,    gcm->iv.len,   0,
                                     CKG_NO_GENERATE, gcm->tag.data, gcm->tag.len * 8 };
    ret->len = sizeof ret->data;
    return world.p11_3->C_DecryptMessage(in, &params, sizeof params, gcm->aad.data, gcm->aad.len,
                                         gcm->cipher.data, gcm->cipher.len, ret->data, &ret->len);
}

/* The verdict of one way to decrypt: `rv` and what came out. */
static enum verdict opened(const struct vector *v, const struct gcm *gcm, CK_RV refusal, CK_RV rv,
                           const struct result *out)
{
    if (!v->valid)
        return wanted(v, "decryption", refusal, rv) ? REFUSED : DEVIATES;
    bool good = wanted(v, "decryption", CKR_OK, rv) &&
                same(v, "decryption", KV_VIEW(gcm->plain), BYTES(out->data, out->len));
    return good ? ACCEPTED : DEVIATES;
}

static enum verdict run_messages(const struct vector *v, const struct gcm *gcm)
{
    struct result out;
    if (gcm->iv.len < 1 || gcm->iv.len > 128) /* PKCS#11 allows 256 bytes, OpenSSL 128 */
        return wanted(v, "C_DecryptMessage", CKR_MECHANISM_PARAM_INVALID, unseal(session, gcm, &out))
                   ? NOT_OFFERED
                   : DEVIATES;
    if (v->valid && !seals(v, gcm))
        return DEVIATES;
    CK_RV rv = unseal(session, gcm, &out);
    return opened(v, gcm, CKR_AEAD_DECRYPT_FAILED, rv, &out);
}

static enum verdict check_messages(const struct vector *v)
{
    KV_CLEANUP(gcm_free) struct gcm gcm = gcm_of(v);
    CK_MECHANISM mechanism = { CKM_AES_GCM, NULL, 0 };
    CK_OBJECT_HANDLE key = aes_key(session, gcm.key.data, gcm.key.len, true);
    ok(world.p11_3->C_MessageEncryptInit(session, &mechanism, key));
    ok(world.p11_3->C_MessageDecryptInit(session, &mechanism, key));
    enum verdict verdict = run_messages(v, &gcm);
    ok(world.p11_3->C_MessageEncryptFinal(session));
    ok(world.p11_3->C_MessageDecryptFinal(session));
    ok(world.p11->C_DestroyObject(session, key));
    return verdict;
}

static void test_gcm_messages(void **state)
{
    walk_vectors("aes_gcm", DEVIATES, check_messages);
}

/* The service's nonce has 12 bytes and it makes it itself, so an HSM key decrypts only: by a message, and by the classic call. */
static enum verdict check_hsm(const struct vector *v)
{
    KV_CLEANUP(gcm_free) struct gcm gcm = gcm_of(v);
    KV_AUTO_BUFFER struct kv_buffer whole = { 0 };
    CK_GCM_PARAMS params = { .pIv = gcm.iv.data,
                             .ulIvLen = gcm.iv.len,
                             .ulIvBits = gcm.iv.len * 8,
                             .pAAD = gcm.aad.data,
                             .ulAADLen = gcm.aad.len,
                             .ulTagBits = gcm.tag.len * 8 };
    CK_MECHANISM classic = { CKM_AES_GCM, &params, sizeof params }, messages = { CKM_AES_GCM, NULL, 0 };
    CK_OBJECT_HANDLE key = import(v, KV_VIEW(gcm.key));
    struct result by_message, by_call;
    assert_int_equal(kv_buffer_add(&whole, KV_VIEW(gcm.cipher)), KV_OK);
    assert_int_equal(kv_buffer_add(&whole, KV_VIEW(gcm.tag)), KV_OK);
    ok(world.p11_3->C_MessageDecryptInit(hsm, &messages, key));
    CK_RV message_rv = unseal(hsm, &gcm, &by_message);
    ok(world.p11_3->C_MessageDecryptFinal(hsm));
    CK_RV call_rv = run_decrypt(hsm, &classic, key, KV_VIEW(whole.bytes), &by_call);
    if (gcm.iv.len != 12)
        return wanted(v, "C_DecryptMessage", CKR_MECHANISM_PARAM_INVALID, message_rv) &&
                       wanted(v, "C_Decrypt", CKR_MECHANISM_PARAM_INVALID, call_rv)
                   ? NOT_OFFERED
                   : DEVIATES;
    enum verdict verdict = opened(v, &gcm, CKR_AEAD_DECRYPT_FAILED, message_rv, &by_message);
    if (verdict == DEVIATES)
        return DEVIATES;
    return opened(v, &gcm, CKR_ENCRYPTED_DATA_INVALID, call_rv, &by_call);
}

static void test_gcm_of_the_hsm(void **state)
{
    walk_vectors("aes_gcm", DEVIATES, check_hsm);
}

/* --- AES-CBC with padding --- */

/* What has not the length of blocks is refused without asking the service. */
static enum verdict check_cbc(const struct vector *v)
{
    KV_AUTO_BYTES struct kv_bytes key = vector_bytes(v->test, "key"), iv = vector_bytes(v->test, "iv");
    KV_AUTO_BYTES struct kv_bytes plain = vector_bytes(v->test, "msg"), cipher = vector_bytes(v->test, "ct");
    CK_MECHANISM mechanism = { CKM_AES_CBC_PAD, iv.data, iv.len };
    CK_OBJECT_HANDLE handle = import(v, KV_VIEW(key));
    struct result out;
    bool fits = cipher.len && cipher.len % 16 == 0;
    clear_log();
    CK_RV rv = run_decrypt(hsm, &mechanism, handle, KV_VIEW(cipher), &out);
    if (!wanted(v, "requests", fits, requests("/decrypt")))
        return DEVIATES;
    if (!v->valid)
        return wanted(v, "C_Decrypt", fits ? CKR_ENCRYPTED_DATA_INVALID : CKR_ENCRYPTED_DATA_LEN_RANGE, rv)
                   ? REFUSED
                   : DEVIATES;
    bool good = wanted(v, "C_Decrypt", CKR_OK, rv) &&
                same(v, "C_Decrypt", KV_VIEW(plain), BYTES(out.data, out.len)) &&
                wanted(v, "C_Encrypt", CKR_OK, run_encrypt(hsm, &mechanism, handle, KV_VIEW(plain), &out)) &&
                same(v, "C_Encrypt", KV_VIEW(cipher), BYTES(out.data, out.len));
    return good ? ACCEPTED : DEVIATES;
}

static void test_cbc_of_the_hsm(void **state)
{
    walk_vectors("aes_cbc_pkcs5", DEVIATES, check_cbc);
}

/* --- AES key wrap --- */

static CK_RV make_generic(struct kv_view value, CK_OBJECT_HANDLE *ret)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &generic, sizeof generic },
                                { CKA_VALUE, (void *)value.data, value.len },
                                { CKA_EXTRACTABLE, &yes, sizeof yes } };
    return world.p11->C_CreateObject(hsm, template, 4, ret);
}

static CK_RV unwrap(CK_OBJECT_HANDLE key, struct kv_view wrapped, struct result *ret)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    CK_BBOOL no = CK_FALSE;
    CK_OBJECT_HANDLE back;
    CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 };
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &generic, sizeof generic },
                                { CKA_SENSITIVE, &no, sizeof no } };
    CK_RV rv =
        world.p11->C_UnwrapKey(hsm, &kw, key, (CK_BYTE *)wrapped.data, wrapped.len, template, 3, &back);
    if (rv)
        return rv;
    ret->len = attribute(hsm, back, CKA_VALUE, ret->data, sizeof ret->data);
    return world.p11->C_DestroyObject(hsm, back);
}

static bool wraps(const struct vector *v, CK_OBJECT_HANDLE key, struct kv_view value, struct kv_view wrapped)
{
    struct result out = { .len = sizeof out.data };
    CK_OBJECT_HANDLE inner;
    CK_MECHANISM kw = { CKM_AES_KEY_WRAP, NULL, 0 };
    ok(make_generic(value, &inner));
    CK_RV rv = world.p11->C_WrapKey(hsm, &kw, key, inner, out.data, &out.len);
    ok(world.p11->C_DestroyObject(hsm, inner));
    return wanted(v, "C_WrapKey", CKR_OK, rv) && same(v, "C_WrapKey", wrapped, BYTES(out.data, out.len));
}

/* Acceptable are 8 wrapped bytes, which RFC 3394 does not have: refused. */
static enum verdict check_wrap(const struct vector *v)
{
    KV_AUTO_BYTES struct kv_bytes key = vector_bytes(v->test, "key"), value = vector_bytes(v->test, "msg");
    KV_AUTO_BYTES struct kv_bytes wrapped = vector_bytes(v->test, "ct");
    CK_OBJECT_HANDLE wrapping = import(v, KV_VIEW(key));
    struct result out;
    bool fits = wrapped.len >= 24 && wrapped.len % 8 == 0;
    CK_RV rv = unwrap(wrapping, KV_VIEW(wrapped), &out);
    if (!v->valid)
        return wanted(v, "C_UnwrapKey", fits ? CKR_WRAPPED_KEY_INVALID : CKR_WRAPPED_KEY_LEN_RANGE, rv)
                   ? REFUSED
                   : DEVIATES;
    return wanted(v, "C_UnwrapKey", CKR_OK, rv) &&
                   same(v, "C_UnwrapKey", KV_VIEW(value), BYTES(out.data, out.len)) &&
                   wraps(v, wrapping, KV_VIEW(value), KV_VIEW(wrapped))
               ? ACCEPTED
               : DEVIATES;
}

static void test_key_wrap_of_the_hsm(void **state)
{
    walk_vectors("aes_wrap", REFUSED, check_wrap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gcm_messages),
        cmocka_unit_test(test_gcm_of_the_hsm),
        cmocka_unit_test(test_cbc_of_the_hsm),
        cmocka_unit_test(test_key_wrap_of_the_hsm),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
