/* Wycheproof's symmetric vectors through session keys: every valid one both ways and in parts, every invalid one refused with its code. */
#include "wycheproof.h"

static CK_SESSION_HANDLE session;

static int start(void **state)
{
    if (world_start(state))
        return -1;
    initialize();
    session = open_session(PROD);
    return 0;
}

/* --- both ways, whole and in two parts --- */

struct way {
    const struct vector *v;
    CK_MECHANISM *mechanism;
    CK_OBJECT_HANDLE key;
};

static bool encrypts(const struct way *way, struct kv_view plain, struct kv_view expected)
{
    struct result out;
    return wanted(way->v, "C_Encrypt", CKR_OK, run_encrypt(session, way->mechanism, way->key, plain, &out)) &&
           same(way->v, "C_Encrypt", expected, BYTES(out.data, out.len));
}

static bool decrypts(const struct way *way, struct kv_view cipher, struct kv_view expected)
{
    struct result out;
    return wanted(way->v, "C_Decrypt", CKR_OK,
                  run_decrypt(session, way->mechanism, way->key, cipher, &out)) &&
           same(way->v, "C_Decrypt", expected, BYTES(out.data, out.len));
}

/* C_…Update twice and C_…Final, split in the middle. */
static bool in_parts(const struct way *way, bool encrypt, struct kv_view in, struct kv_view expected)
{
    CK_FUNCTION_LIST *f = world.p11;
    struct result out = { .len = 0 };
    CK_BYTE *data = (CK_BYTE *)in.data;
    CK_ULONG half = in.len / 2, room = sizeof out.data;
    ok((encrypt ? f->C_EncryptInit : f->C_DecryptInit)(session, way->mechanism, way->key));
    ok((encrypt ? f->C_EncryptUpdate : f->C_DecryptUpdate)(session, data, half, out.data, &room));
    out.len = room;
    room = sizeof out.data - out.len;
    ok((encrypt ? f->C_EncryptUpdate : f->C_DecryptUpdate)(session, data + half, in.len - half,
                                                           out.data + out.len, &room));
    out.len += room;
    room = sizeof out.data - out.len;
    ok((encrypt ? f->C_EncryptFinal : f->C_DecryptFinal)(session, out.data + out.len, &room));
    out.len += room;
    return same(way->v, encrypt ? "encryption in parts" : "decryption in parts", expected,
                BYTES(out.data, out.len));
}

static bool goes_both_ways(const struct way *way, struct kv_view plain, struct kv_view cipher)
{
    return encrypts(way, plain, cipher) && decrypts(way, cipher, plain) &&
           in_parts(way, true, plain, cipher) && in_parts(way, false, cipher, plain);
}

/* Refused whole and in parts, and nothing is left under way. */
static bool refuses(const struct way *way, struct kv_view cipher, CK_RV expected)
{
    struct result out = { .len = sizeof out.data };
    if (!wanted(way->v, "C_Decrypt", expected,
                run_decrypt(session, way->mechanism, way->key, cipher, &out)) ||
        !wanted(way->v, "C_Decrypt after it", CKR_OPERATION_NOT_INITIALIZED,
                world.p11->C_Decrypt(session, out.data, 16, out.data, &out.len)))
        return false;
    CK_ULONG room = sizeof out.data;
    ok(world.p11->C_DecryptInit(session, way->mechanism, way->key));
    ok(world.p11->C_DecryptUpdate(session, (CK_BYTE *)cipher.data, cipher.len, out.data, &room));
    room = sizeof out.data;
    return wanted(way->v, "C_DecryptFinal", expected, world.p11->C_DecryptFinal(session, out.data, &room));
}

/* --- AES-GCM --- */

/* PKCS#11 lets an initial value have 1 to 256 bytes, OpenSSL 1 to 128: what is longer is refused as a parameter, and so is none at all. */
enum { GCM_IV_MAX = 128 };

static enum verdict check_gcm_parameter(const struct way *way)
{
    bool good = wanted(way->v, "C_EncryptInit", CKR_MECHANISM_PARAM_INVALID,
                       world.p11->C_EncryptInit(session, way->mechanism, way->key)) &&
                wanted(way->v, "C_DecryptInit", CKR_MECHANISM_PARAM_INVALID,
                       world.p11->C_DecryptInit(session, way->mechanism, way->key));
    return good ? NOT_OFFERED : DEVIATES;
}

static enum verdict check_gcm(const struct vector *v)
{
    KV_AUTO_BYTES struct kv_bytes key = vector_bytes(v->test, "key"), iv = vector_bytes(v->test, "iv");
    KV_AUTO_BYTES struct kv_bytes aad = vector_bytes(v->test, "aad"), tag = vector_bytes(v->test, "tag");
    KV_AUTO_BYTES struct kv_bytes plain = vector_bytes(v->test, "msg"), cipher = vector_bytes(v->test, "ct");
    KV_AUTO_BUFFER struct kv_buffer whole = { 0 };
    assert_int_equal(kv_buffer_add(&whole, KV_VIEW(cipher)), KV_OK);
    assert_int_equal(kv_buffer_add(&whole, KV_VIEW(tag)), KV_OK);
    CK_GCM_PARAMS params = { .pIv = iv.data,
                             .ulIvLen = iv.len,
                             .ulIvBits = iv.len * 8,
                             .pAAD = aad.data,
                             .ulAADLen = aad.len,
                             .ulTagBits = tag.len * 8 };
    CK_MECHANISM mechanism = { CKM_AES_GCM, &params, sizeof params };
    struct way way = { v, &mechanism, aes_key(session, key.data, key.len, true) };
    enum verdict verdict = DEVIATES;
    if (iv.len < 1 || iv.len > GCM_IV_MAX)
        verdict = check_gcm_parameter(&way);
    else if (!v->valid && refuses(&way, KV_VIEW(whole.bytes), CKR_ENCRYPTED_DATA_INVALID))
        verdict = REFUSED;
    else if (v->valid && goes_both_ways(&way, KV_VIEW(plain), KV_VIEW(whole.bytes)))
        verdict = ACCEPTED;
    ok(world.p11->C_DestroyObject(session, way.key));
    return verdict;
}

static void test_gcm(void **state)
{
    walk_vectors("aes_gcm", DEVIATES, check_gcm);
}

/* --- AES-CBC with padding --- */

static enum verdict check_cbc(const struct vector *v)
{
    KV_AUTO_BYTES struct kv_bytes key = vector_bytes(v->test, "key"), iv = vector_bytes(v->test, "iv");
    KV_AUTO_BYTES struct kv_bytes plain = vector_bytes(v->test, "msg"), cipher = vector_bytes(v->test, "ct");
    CK_MECHANISM mechanism = { CKM_AES_CBC_PAD, iv.data, iv.len };
    struct way way = { v, &mechanism, aes_key(session, key.data, key.len, true) };
    CK_RV code =
        cipher.len && cipher.len % 16 == 0 ? CKR_ENCRYPTED_DATA_INVALID : CKR_ENCRYPTED_DATA_LEN_RANGE;
    enum verdict verdict = DEVIATES;
    if (!v->valid && refuses(&way, KV_VIEW(cipher), code))
        verdict = REFUSED;
    else if (v->valid && goes_both_ways(&way, KV_VIEW(plain), KV_VIEW(cipher)))
        verdict = ACCEPTED;
    ok(world.p11->C_DestroyObject(session, way.key));
    return verdict;
}

static void test_cbc(void **state)
{
    walk_vectors("aes_cbc_pkcs5", DEVIATES, check_cbc);
}

/* --- AES key wrap, as a cipher and as a wrap --- */

static CK_RV make_generic(struct kv_view value, CK_OBJECT_HANDLE *ret)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &generic, sizeof generic },
                                { CKA_VALUE, (void *)value.data, value.len },
                                { CKA_EXTRACTABLE, &yes, sizeof yes },
                                { CKA_SENSITIVE, &no, sizeof no } };
    return world.p11->C_CreateObject(session, template, 5, ret);
}

/* `len` 0: the template says nothing of it. */
static CK_RV unwrap(const struct way *way, struct kv_view wrapped, CK_ULONG len, CK_OBJECT_HANDLE *ret)
{
    CK_OBJECT_CLASS type = CKO_SECRET_KEY;
    CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
    CK_BBOOL no = CK_FALSE;
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &type, sizeof type },
                                { CKA_KEY_TYPE, &generic, sizeof generic },
                                { CKA_SENSITIVE, &no, sizeof no },
                                { CKA_VALUE_LEN, &len, sizeof len } };
    return world.p11->C_UnwrapKey(session, way->mechanism, way->key, (CK_BYTE *)wrapped.data, wrapped.len,
                                  template, len ? 4 : 3, ret);
}

static bool unwraps(const struct way *way, struct kv_view wrapped, CK_ULONG len, struct kv_view value)
{
    struct result out;
    CK_OBJECT_HANDLE back;
    if (!wanted(way->v, "C_UnwrapKey", CKR_OK, unwrap(way, wrapped, len, &back)))
        return false;
    out.len = attribute(session, back, CKA_VALUE, out.data, sizeof out.data);
    ok(world.p11->C_DestroyObject(session, back));
    return same(way->v, "C_UnwrapKey", value, BYTES(out.data, out.len));
}

static CK_RV wrap(const struct way *way, struct kv_view value, struct result *ret)
{
    CK_OBJECT_HANDLE inner;
    ret->len = sizeof ret->data;
    ok(make_generic(value, &inner));
    CK_RV rv = world.p11->C_WrapKey(session, way->mechanism, way->key, inner, ret->data, &ret->len);
    ok(world.p11->C_DestroyObject(session, inner));
    return rv;
}

static bool wraps(const struct way *way, struct kv_view value, struct kv_view wrapped)
{
    struct result out;
    return wanted(way->v, "C_WrapKey", CKR_OK, wrap(way, value, &out)) &&
           same(way->v, "C_WrapKey", wrapped, BYTES(out.data, out.len));
}

/* RFC 3394 wraps at least two blocks of 8 bytes, so wrapped keys have 24 bytes or more, in eights. */
static bool refuses_to_unwrap(const struct way *way, struct kv_view wrapped)
{
    bool fits = wrapped.len >= 24 && wrapped.len % 8 == 0;
    CK_OBJECT_HANDLE none;
    return refuses(way, wrapped, fits ? CKR_ENCRYPTED_DATA_INVALID : CKR_ENCRYPTED_DATA_LEN_RANGE) &&
           wanted(way->v, "C_UnwrapKey", fits ? CKR_WRAPPED_KEY_INVALID : CKR_WRAPPED_KEY_LEN_RANGE,
                  unwrap(way, wrapped, 0, &none));
}

/* As data, what is no whole number of blocks, or less than two, is refused. A key is filled up with zeroes to whole blocks (PKCS#11 §6.13.4) and
 * comes back by its length; what is one block then is refused as well. There is no empty key. */
static bool refuses_to_encrypt(const struct way *way, struct kv_view value)
{
    CK_BYTE padded[32] = { 0 };
    size_t padded_len = (value.len + 7) / 8 * 8;
    struct result out;
    CK_OBJECT_HANDLE none;
    if (value.len >= 16 && value.len % 8 == 0)
        return true; /* only its ciphertext is bad */
    if (!wanted(way->v, "C_Encrypt", CKR_DATA_LEN_RANGE,
                run_encrypt(session, way->mechanism, way->key, value, &out)))
        return false;
    if (!value.len)
        return wanted(way->v, "C_CreateObject of an empty key", CKR_ATTRIBUTE_VALUE_INVALID,
                      make_generic(value, &none));
    if (padded_len < 16)
        return wanted(way->v, "C_WrapKey of a short key", CKR_KEY_SIZE_RANGE, wrap(way, value, &out));
    assert_in_range(padded_len, 16, sizeof padded);
    memcpy(padded, value.data, value.len);
    ok(run_encrypt(session, way->mechanism, way->key, BYTES(padded, padded_len), &out));
    struct kv_view wrapped = BYTES(out.data, out.len);
    return wraps(way, value, wrapped) && unwraps(way, wrapped, value.len, value);
}

/* Acceptable are 8 wrapped bytes, which some wrap though RFC 3394 does not: refused here. */
static enum verdict check_wrap(const struct vector *v)
{
    KV_AUTO_BYTES struct kv_bytes key = vector_bytes(v->test, "key"), value = vector_bytes(v->test, "msg");
    KV_AUTO_BYTES struct kv_bytes wrapped = vector_bytes(v->test, "ct");
    CK_MECHANISM mechanism = { CKM_AES_KEY_WRAP, NULL, 0 };
    struct way way = { v, &mechanism, aes_key(session, key.data, key.len, true) };
    enum verdict verdict = DEVIATES;
    if (!v->valid && refuses_to_unwrap(&way, KV_VIEW(wrapped)) && refuses_to_encrypt(&way, KV_VIEW(value)))
        verdict = REFUSED;
    else if (v->valid && goes_both_ways(&way, KV_VIEW(value), KV_VIEW(wrapped)) &&
             wraps(&way, KV_VIEW(value), KV_VIEW(wrapped)) &&
             unwraps(&way, KV_VIEW(wrapped), 0, KV_VIEW(value)))
        verdict = ACCEPTED;
    ok(world.p11->C_DestroyObject(session, way.key));
    return verdict;
}

static void test_key_wrap(void **state)
{
    walk_vectors("aes_wrap", REFUSED, check_wrap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gcm),
        cmocka_unit_test(test_cbc),
        cmocka_unit_test(test_key_wrap),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
