/* AES-CBC with the secret keys of a Managed HSM: what the service computes is what OpenSSL computes with the same bytes, in one request, whatever
 * size the key has and in however many parts the data come. */
#include "hsm_help.h"

static CK_SESSION_HANDLE session;
static CK_BYTE iv[16] = "initial vector.";
static CK_MECHANISM cbc = { CKM_AES_CBC, iv, 16 }, cbc_pad = { CKM_AES_CBC_PAD, iv, 16 };
static const unsigned sizes[] = { 128, 192, 256 };
static const char *const names[] = { "aes-128", "aes-192", "aes-256" };

static int start(void **state)
{
    if (world_start(state))
        return -1;
    for (int i = 0; i < 3; i++)
        import_aes(names[i], sizes[i]);
    configure("hsm.db", "");
    initialize();
    session = open_session(HSM);
    return 0;
}

static CK_OBJECT_HANDLE key_of(const char *label)
{
    return find_one(session, CKO_SECRET_KEY, label);
}

/* --- sizes --- */

/* First of all tests: nothing is known of the keys yet. */
static void test_a_size_is_found_once_and_remembered(void **state)
{
    static const size_t tries[] = { 3, 2, 1 };
    CK_BYTE plain[32] = "two blocks", place[8];
    for (int i = 0; i < 3; i++) {
        CK_OBJECT_HANDLE key = key_of(names[i]);
        CK_ATTRIBUTE len = { CKA_VALUE_LEN, place, sizeof place };
        assert_int_not_equal(world.p11->C_GetAttributeValue(session, key, &len, 1), CKR_OK);
        clear_log();
        encrypt(session, &cbc, key, plain, 32);
        assert_int_equal(requests("/encrypt"), tries[i]);
        clear_log();
        encrypt(session, &cbc_pad, key, plain, 32);
        assert_int_equal(requests("/encrypt"), 1);
        /* Seen anew, it tells. */
        CK_ULONG told = 0;
        attribute(session, key_of(names[i]), CKA_VALUE_LEN, &told, sizeof told);
        assert_int_equal(told, sizes[i] / 8);
    }
    session = restart(HSM);
    for (int i = 0; i < 3; i++) {
        CK_OBJECT_HANDLE key = key_of(names[i]);
        clear_log();
        encrypt(session, &cbc, key, plain, 32);
        assert_int_equal(requests("/encrypt"), 1);
    }
}

/* Since 2026-04-01 the vault tells. */
static void test_a_size_that_is_told_is_not_searched(void **state)
{
    CK_BYTE plain[16] = "one block";
    CK_ULONG told = 0;
    configure("none", "api_version = 2026-04-01");
    session = restart(HSM);
    CK_OBJECT_HANDLE key = key_of("aes-128");
    attribute(session, key, CKA_VALUE_LEN, &told, sizeof told);
    assert_int_equal(told, 16);
    clear_log();
    encrypt(session, &cbc, key, plain, 16);
    assert_int_equal(requests("/encrypt"), 1);
    configure("hsm.db", "");
    session = restart(HSM);
}

/* Decryption with the wrong size is refused as decryption with the wrong key is: it is told apart by trying. */
static void test_a_size_is_found_by_decrypting(void **state)
{
    static const CK_BYTE plain[20] = "twenty bytes of text";
    import_aes("opened-first", 128);
    struct aes aes = { known, iv, 128, true, true };
    struct result cipher = openssl_cbc(&aes, plain, 20);
    CK_OBJECT_HANDLE key = key_of("opened-first");
    clear_log();
    struct result back = decrypt(session, &cbc_pad, key, &cipher);
    assert_int_equal(back.len, 20);
    assert_memory_equal(back.data, plain, 20);
    assert_int_equal(requests("/decrypt"), 3);
    decrypt(session, &cbc_pad, key, &cipher);
    assert_int_equal(requests("/decrypt"), 4);
}

/* --- what comes out --- */

static void one_round(const char *name, const struct aes *like, CK_MECHANISM *mechanism, size_t len)
{
    static const CK_BYTE text[256] = "a text that is longer than some blocks and shorter than others";
    struct aes forth = *like;
    forth.encrypt = true;
    CK_OBJECT_HANDLE key = key_of(name);
    struct result here = openssl_cbc(&forth, text, len), there = encrypt(session, mechanism, key, text, len);
    same(&there, &here);
    struct result opened = decrypt(session, mechanism, key, &here);
    assert_int_equal(opened.len, len);
    assert_memory_equal(opened.data, text, len);
}

static void test_the_same_as_openssl(void **state)
{
    static const size_t plain[] = { 16, 32, 240 }, padded[] = { 1, 15, 16, 17, 31, 200 };
    for (int i = 0; i < 3; i++) {
        struct aes aes = { known, iv, sizes[i], false, false };
        for (size_t k = 0; k < sizeof plain / sizeof *plain; k++)
            one_round(names[i], &aes, &cbc, plain[k]);
        aes.pads = true;
        for (size_t k = 0; k < sizeof padded / sizeof *padded; k++)
            one_round(names[i], &aes, &cbc_pad, padded[k]);
    }
    /* Nothing at all: no block without padding, one block with. */
    clear_log();
    assert_int_equal(encrypt(session, &cbc, key_of("aes-256"), "", 0).len, 0);
    assert_int_equal(requests("/encrypt"), 0);
    struct result empty = encrypt(session, &cbc_pad, key_of("aes-256"), "", 0);
    assert_int_equal(empty.len, 16);
    assert_int_equal(decrypt(session, &cbc_pad, key_of("aes-256"), &empty).len, 0);
}

/* In parts of every size nothing is asked before the last call, and the result is the same. */
static void test_parts(void **state)
{
    static const CK_BYTE text[100] = "a hundred bytes";
    CK_OBJECT_HANDLE key = key_of("aes-192");
    struct result whole = encrypt(session, &cbc_pad, key, text, 100);
    for (size_t part = 1; part <= 100; part += 33) {
        struct result out = { .len = 0 };
        CK_ULONG room = 0;
        CK_BYTE nowhere[1];
        clear_log();
        ok(world.p11->C_EncryptInit(session, &cbc_pad, key));
        for (size_t at = 0; at < 100; at += part, room = 0)
            ok(world.p11->C_EncryptUpdate(session, (CK_BYTE *)text + at, 100 - at < part ? 100 - at : part,
                                          nowhere, &room));
        ok(world.p11->C_EncryptFinal(session, NULL, &room));
        assert_int_equal(room, 112);
        room = 111;
        expect(CKR_BUFFER_TOO_SMALL, world.p11->C_EncryptFinal(session, out.data, &room));
        assert_int_equal(room, 112);
        assert_int_equal(requests(NULL), 0);
        ok(world.p11->C_EncryptFinal(session, out.data, &room));
        out.len = room;
        same(&out, &whole);
        assert_int_equal(requests(NULL), 1);
        expect(CKR_OPERATION_NOT_INITIALIZED, world.p11->C_EncryptFinal(session, out.data, &room));
    }
}

static void test_decryption_in_parts(void **state)
{
    static const CK_BYTE text[100] = "a hundred bytes";
    CK_OBJECT_HANDLE key = key_of("aes-256");
    struct result cipher = encrypt(session, &cbc_pad, key, text, 100), out = { .len = 0 };
    CK_ULONG room = 99;
    clear_log();
    ok(world.p11->C_DecryptInit(session, &cbc_pad, key));
    ok(world.p11->C_DecryptUpdate(session, cipher.data, 50, out.data, &room));
    assert_int_equal(room, 0);
    /* A query takes nothing in. */
    ok(world.p11->C_DecryptUpdate(session, cipher.data + 50, 62, NULL, &room));
    ok(world.p11->C_DecryptUpdate(session, cipher.data + 50, 62, out.data, &room));
    ok(world.p11->C_DecryptFinal(session, NULL, &room));
    assert_in_range(room, 100, 112);
    assert_int_equal(requests(NULL), 0);
    room = 99;
    expect(CKR_BUFFER_TOO_SMALL, world.p11->C_DecryptFinal(session, out.data, &room));
    assert_int_equal(room, 100);
    ok(world.p11->C_DecryptFinal(session, out.data, &room));
    assert_memory_equal(out.data, text, 100);
    assert_int_equal(requests(NULL), 1);
    /* What is under way in parts is not ended by a call for a single one. */
    ok(world.p11->C_DecryptInit(session, &cbc_pad, key));
    room = sizeof out.data;
    ok(world.p11->C_DecryptUpdate(session, cipher.data, 16, out.data, &room));
    expect(CKR_OPERATION_ACTIVE, world.p11->C_Decrypt(session, cipher.data, cipher.len, out.data, &room));
    world.p11->C_DecryptInit(session, NULL, 0);
}

static void test_lengths_and_parameters(void **state)
{
    CK_BYTE data[33] = { 0 }, out[64];
    CK_OBJECT_HANDLE key = key_of("aes-256");
    const struct {
        CK_MECHANISM *mechanism;
        bool opens;
        CK_ULONG len;
        CK_RV rv;
    } rows[] = {
        { &cbc, false, 15, CKR_DATA_LEN_RANGE },
        { &cbc, false, 33, CKR_DATA_LEN_RANGE },
        { &cbc, true, 15, CKR_ENCRYPTED_DATA_LEN_RANGE },
        { &cbc_pad, true, 33, CKR_ENCRYPTED_DATA_LEN_RANGE },
        { &cbc_pad, true, 0, CKR_ENCRYPTED_DATA_LEN_RANGE },
    };
    clear_log();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CK_ULONG room = sizeof out;
        if (rows[i].opens) {
            ok(world.p11->C_DecryptInit(session, rows[i].mechanism, key));
            expect(rows[i].rv, world.p11->C_Decrypt(session, data, rows[i].len, out, &room));
            expect(CKR_OPERATION_NOT_INITIALIZED, world.p11->C_Decrypt(session, data, 16, out, &room));
        } else {
            ok(world.p11->C_EncryptInit(session, rows[i].mechanism, key));
            expect(rows[i].rv, world.p11->C_Encrypt(session, data, rows[i].len, out, &room));
        }
    }
    CK_MECHANISM short_iv = { CKM_AES_CBC, iv, 15 }, none = { CKM_AES_CBC, NULL, 0 },
                 ctr = { CKM_AES_CTR, iv, 16 };
    expect(CKR_MECHANISM_PARAM_INVALID, world.p11->C_EncryptInit(session, &short_iv, key));
    expect(CKR_MECHANISM_PARAM_INVALID, world.p11->C_DecryptInit(session, &none, key));
    expect(CKR_KEY_TYPE_INCONSISTENT, world.p11->C_EncryptInit(session, &ctr, key));
    assert_int_equal(requests(NULL), 0);
    /* Padding that is none. */
    struct result cipher = encrypt(session, &cbc, key, data, 32);
    CK_ULONG room = sizeof out;
    ok(world.p11->C_DecryptInit(session, &cbc_pad, key));
    expect(CKR_ENCRYPTED_DATA_INVALID, world.p11->C_Decrypt(session, cipher.data, 32, out, &room));
}

/* --- keys under keys --- */

static void test_keys_are_wrapped(void **state)
{
    static const CK_BYTE value[32] = "a data key of thirty-two bytes..";
    CK_MECHANISM *const mechanisms[] = { &cbc, &cbc_pad };
    CK_OBJECT_HANDLE wrapper = key_of("aes-192");
    for (int i = 0; i < 2; i++) {
        CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
        CK_KEY_TYPE type = CKK_AES;
        CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
        CK_ATTRIBUTE template[] = { { CKA_CLASS, &secret, sizeof secret },
                                    { CKA_KEY_TYPE, &type, sizeof type },
                                    { CKA_SENSITIVE, &no, 1 },
                                    { CKA_EXTRACTABLE, &yes, 1 } };
        struct aes aes = { known, iv, 192, i, true };
        struct result here = openssl_cbc(&aes, value, 32), blob = { .len = 0 };
        CK_OBJECT_HANDLE data_key = aes_key(session, value, 32, true), opened = 0;
        CK_BYTE got[32];
        clear_log();
        ok(world.p11->C_WrapKey(session, mechanisms[i], wrapper, data_key, NULL, &blob.len));
        assert_int_equal(blob.len, here.len);
        assert_int_equal(requests(NULL), 0);
        ok(world.p11->C_WrapKey(session, mechanisms[i], wrapper, data_key, blob.data, &blob.len));
        same(&blob, &here);
        ok(world.p11->C_UnwrapKey(session, mechanisms[i], wrapper, blob.data, blob.len, template, 4,
                                  &opened));
        assert_int_equal(requests("/wrapkey"), 1);
        assert_int_equal(requests("/unwrapkey"), 1);
        assert_int_equal(attribute(session, opened, CKA_VALUE, got, sizeof got), 32);
        assert_memory_equal(got, value, 32);
        expect(CKR_WRAPPED_KEY_LEN_RANGE,
               world.p11->C_UnwrapKey(session, mechanisms[i], wrapper, blob.data, 31, template, 4, &opened));
        ok(world.p11->C_DestroyObject(session, data_key));
    }
}

/* A key that may only wrap serves an encryption by wrapping: the computation is one. */
static void test_abilities_follow_key_ops(void **state)
{
    import_bytes("wraps", known, 32, "\"wrapKey\",\"unwrapKey\"");
    CK_OBJECT_HANDLE key = key_of("wraps");
    CK_KEY_TYPE type = 0;
    attribute(session, key, CKA_KEY_TYPE, &type, sizeof type);
    assert_int_equal(type, CKK_AES);
    assert_true(attribute_bool(session, key, CKA_WRAP));
    assert_false(attribute_bool(session, key, CKA_ENCRYPT));
    assert_false(attribute_bool(session, key, CKA_SIGN));
    expect(CKR_KEY_FUNCTION_NOT_PERMITTED, world.p11->C_EncryptInit(session, &cbc, key));
}

/* --- versions --- */

static void test_old_versions(void **state)
{
    static const CK_BYTE plain[16] = "sixteen bytes...";
    CK_BYTE other[32] = "another key, of the same length";
    char label[128];
    const char *first = import_aes("turns", 256);
    struct result old = encrypt(session, &cbc, key_of("turns"), plain, 16);
    struct aes aes = { known, iv, 256, false, true };
    struct result foreign = openssl_cbc(&aes, other, 16);
    import_bytes("turns", other, 32, CIPHER_OPS);
    configure("hsm.db", "refresh_seconds = 0");
    session = restart(HSM);
    snprintf(label, sizeof label, "turns@%s", first);
    /* By the bare name, which the ledger directs, and by its own. */
    struct result back = decrypt(session, &cbc, key_of("turns"), &old);
    assert_memory_equal(back.data, plain, 16);
    back = decrypt(session, &cbc, key_of(label), &old);
    assert_memory_equal(back.data, plain, 16);
    /* What the ledger does not know opens to something else, and is never tried on another version. */
    CK_OBJECT_HANDLE current = key_of("turns");
    clear_log();
    back = decrypt(session, &cbc, current, &foreign);
    assert_memory_not_equal(back.data, other, 16);
    assert_int_equal(requests("/decrypt"), 1);
    configure("hsm.db", "");
    session = restart(HSM);
}

/* --- recorded answers of the real service --- */

static struct kv_bytes member(const struct kv_json *json, const char *name)
{
    struct kv_bytes bytes = { 0 };
    assert_int_equal(kv_decode_base64url(kv_json_text(kv_json_get(json, name)), &bytes), KV_OK);
    return bytes;
}

static struct kv_json *read_answers(void)
{
    const char *data = getenv("KVP11_TEST_DATA"), *ci = getenv("CI");
    char path[4096], text[65536];
    struct kv_json *json = NULL;
    snprintf(path, sizeof path, "%s/recordings/mhsm-aes-kat.json", data ? data : "");
    FILE *file = data && *data ? fopen(path, "re") : NULL;
    if (!file && ci && !strcmp(ci, "true"))
        fail_msg("KVP11_TEST_DATA names no folder with recordings");
    if (!file) {
        print_message(
            "not run: recorded AES answers of a Managed HSM (KVP11_TEST_DATA does not have them)\n");
        return NULL;
    }
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = 0;
    fclose(file);
    assert_int_equal(kv_json_parse(kv_view_text(text), &json, NULL), KV_OK);
    return json;
}

/* Its size is not told either; whole, and in parts that are one request all the same. */
static void gcm_opens(const struct kv_json *row, CK_OBJECT_HANDLE key, struct kv_view plain)
{
    struct kv_bytes nonce = member(row, "iv"), aad = member(row, "aad"), tag = member(row, "tag"),
                    value = member(row, "value");
    CK_GCM_PARAMS params = { nonce.data, nonce.len, 96, aad.data, aad.len, 128 };
    CK_MECHANISM gcm = { CKM_AES_GCM, &params, sizeof params };
    struct result cipher = { .len = value.len + tag.len }, parts = { .len = 0 };
    memcpy(cipher.data, value.data, value.len);
    memcpy(cipher.data + value.len, tag.data, tag.len);
    struct result whole = decrypt(session, &gcm, key, &cipher);
    assert_int_equal(whole.len, plain.len);
    assert_memory_equal(whole.data, plain.data, plain.len);
    clear_log();
    ok(world.p11->C_DecryptInit(session, &gcm, key));
    ok(world.p11->C_DecryptUpdate(session, cipher.data, 7, parts.data, &parts.len));
    parts.len = 0;
    ok(world.p11->C_DecryptUpdate(session, cipher.data + 7, cipher.len - 7, parts.data, &parts.len));
    parts.len = sizeof parts.data;
    ok(world.p11->C_DecryptFinal(session, parts.data, &parts.len));
    same(&parts, &whole);
    assert_int_equal(requests(NULL), 1);
    kv_bytes_free(&nonce);
    kv_bytes_free(&aad);
    kv_bytes_free(&tag);
    kv_bytes_free(&value);
}

static void test_recorded_answers(void **state)
{
    static const char *const rows[] = { "A256CBC", "A256CBCPAD" };
    struct kv_json *json = read_answers();
    if (!json)
        return;
    struct kv_bytes k = member(json, "k"), plain = member(json, "plaintext");
    import_bytes("recorded", k.data, k.len, CIPHER_OPS);
    CK_OBJECT_HANDLE key = key_of("recorded");
    gcm_opens(kv_json_get(json, "A256GCM"), key, KV_VIEW(plain));
    for (int i = 0; i < 2; i++) {
        const struct kv_json *row = kv_json_get(json, rows[i]);
        struct kv_bytes vector = member(row, "iv"), value = member(row, "value");
        CK_MECHANISM mechanism = { i ? CKM_AES_CBC_PAD : CKM_AES_CBC, vector.data, vector.len };
        struct result cipher = { .len = value.len };
        memcpy(cipher.data, value.data, value.len);
        struct result back = decrypt(session, &mechanism, key, &cipher);
        assert_true(back.len >= plain.len);
        assert_memory_equal(back.data, plain.data, plain.len);
        struct result again = encrypt(session, &mechanism, key, back.data, back.len);
        same(&again, &cipher);
        kv_bytes_free(&vector);
        kv_bytes_free(&value);
    }
    kv_bytes_free(&k);
    kv_bytes_free(&plain);
    kv_json_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_size_is_found_once_and_remembered),
        cmocka_unit_test(test_a_size_that_is_told_is_not_searched),
        cmocka_unit_test(test_a_size_is_found_by_decrypting),
        cmocka_unit_test(test_the_same_as_openssl),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_decryption_in_parts),
        cmocka_unit_test(test_lengths_and_parameters),
        cmocka_unit_test(test_keys_are_wrapped),
        cmocka_unit_test(test_abilities_follow_key_ops),
        cmocka_unit_test(test_old_versions),
        cmocka_unit_test(test_recorded_answers),
    };
    return cmocka_run_group_tests(tests, start, world_stop);
}
