/* What every row refuses, each with its own code and without a request: keys of another kind, the other half of a pair, handles of nothing, keys that may
 * not, and every parameter but its own. */
#include "exercise.h"

#include <stdio.h>

static CK_FUNCTION_LIST *p11;
static unsigned operation; /* of the walk that is under way */
static const unsigned operations[] = { KV_OP_SIGN,    KV_OP_VERIFY, KV_OP_ENCRYPT,
                                       KV_OP_DECRYPT, KV_OP_WRAP,   KV_OP_UNWRAP };
enum { OPERATIONS = sizeof operations / sizeof *operations };
static CK_OBJECT_HANDLE data_keys[3]; /* by slot */
static struct result blob = { .len = 256 };

static int start(void **state)
{
    int rc = matrix_start(state);
    p11 = world.p11;
    const CK_SLOT_ID slots[] = { PROD, HSM };
    for (size_t i = 0; i < 2; i++)
        data_keys[slots[i]] =
            exercise_data_key(matrix_find(slots[i] == HSM ? "m-rsa-hsm" : "m-rsa")->session);
    return rc;
}

/* The first call that has to look at mechanism and key. */
static CK_RV attempt(const struct matrix_case *it, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
    struct matrix_key other = *it->key;
    struct matrix_case as = *it;
    CK_ULONG room = sizeof blob.data;
    CK_OBJECT_HANDLE made = CK_INVALID_HANDLE;
    static CK_BYTE place[1024];
    if (operation == KV_OP_WRAP)
        return p11->C_WrapKey(it->key->session, mechanism, key, data_keys[it->key->slot], place, &room);
    if (operation == KV_OP_UNWRAP) {
        other.shut = key;
        as.key = &other;
        return exercise_unwrap(&as, mechanism, &blob, &made);
    }
    CK_RV rv = matrix_init(it, operation, mechanism, key);
    matrix_cancel(it);
    return rv;
}

static void walk_all(matrix_arm *arm)
{
    clear_log();
    for (size_t i = 0; i < OPERATIONS; i++) {
        operation = operations[i];
        matrix_walk(operation, arm);
        matrix_walk_refused(operation, arm);
    }
    assert_int_equal(requests(NULL), 0);
}

/* The same mistake has its own name where a key is wrapped. */
static CK_RV in_words_of(CK_RV plain)
{
    static const struct {
        CK_RV plain, wrap, unwrap;
    } words[] = {
        { CKR_KEY_TYPE_INCONSISTENT, CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
          CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT },
        { CKR_KEY_HANDLE_INVALID, CKR_WRAPPING_KEY_HANDLE_INVALID, CKR_UNWRAPPING_KEY_HANDLE_INVALID },
    };
    for (size_t i = 0; i < 2; i++)
        if (words[i].plain == plain && operation & (KV_OP_WRAP | KV_OP_UNWRAP))
            return operation == KV_OP_WRAP ? words[i].wrap : words[i].unwrap;
    return plain;
}

static void wrong_keys(const struct matrix_case *it)
{
    struct matrix_mechanism made;
    CK_MECHANISM *mechanism = matrix_mechanism(it, &made);
    const struct matrix_key *stranger = matrix_stranger(it), *keys;
    CK_RV type = in_words_of(CKR_KEY_TYPE_INCONSISTENT), handle = in_words_of(CKR_KEY_HANDLE_INVALID);
    EXPECT(it, type, attempt(it, mechanism, matrix_half(stranger, operation)));
    if (it->key->kind != KV_OCT) {
        bool open = matrix_half(it->key, operation) == it->key->open;
        EXPECT(it, type, attempt(it, mechanism, open ? it->key->shut : it->key->open));
    }
    EXPECT(it, handle, attempt(it, mechanism, 999999));
    EXPECT(it, handle, attempt(it, mechanism, CK_INVALID_HANDLE));
    /* A key of another slot is no key here. */
    size_t count = matrix_keys(&keys);
    for (size_t i = 0; i < count; i++)
        if (keys[i].slot != it->key->slot && keys[i].kind == it->key->kind && !keys[i].in_session)
            EXPECT(it, handle, attempt(it, mechanism, matrix_half(&keys[i], operation)));
    /* A generic secret has no cipher, an AES key no HMAC. */
    for (size_t i = 0; i < count && it->key->in_session && it->key->kind == KV_OCT; i++)
        if (keys[i].in_session && keys[i].kind == KV_OCT && keys[i].mac != it->key->mac)
            EXPECT(it, type, attempt(it, mechanism, keys[i].open));
}

static void test_wrong_keys(void **state)
{
    walk_all(wrong_keys);
}

static void no_mechanism(const struct matrix_case *it)
{
    CK_MECHANISM none[] = { { CKM_RSA_X_509, NULL, 0 },
                            { CKM_SHA1_RSA_PKCS, NULL, 0 },
                            { CKM_DES3_CBC, NULL, 0 },
                            { CKM_VENDOR_DEFINED, NULL, 0 },
                            { CK_UNAVAILABLE_INFORMATION, NULL, 0 } };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        EXPECT(it, CKR_MECHANISM_INVALID, attempt(it, &none[i], matrix_half(it->key, operation)));
}

static void test_mechanisms_that_are_not_offered(void **state)
{
    walk_all(no_mechanism);
}

/* --- parameters --- */

static CK_BYTE many[600];

#define CHANGE(name) static void name(const struct matrix_case *it, struct matrix_mechanism *made)

CHANGE(garbage)
{
    made->mechanism.pParameter = "??";
    made->mechanism.ulParameterLen = 3;
}
CHANGE(length_without_parameter)
{
    made->mechanism.pParameter = NULL;
    made->mechanism.ulParameterLen = made->mechanism.ulParameterLen ? made->mechanism.ulParameterLen : 8;
}
CHANGE(no_parameter)
{
    made->mechanism.pParameter = NULL;
    made->mechanism.ulParameterLen = 0;
}
CHANGE(cut_short)
{
    made->mechanism.ulParameterLen--;
}
CHANGE(too_long)
{
    made->mechanism.ulParameterLen++;
}
CHANGE(salt_longer)
{
    made->params.pss.sLen++;
}
CHANGE(salt_shorter)
{
    made->params.pss.sLen--;
}
CHANGE(salt_none)
{
    made->params.pss.sLen = 0;
}
CHANGE(salt_huge)
{
    made->params.pss.sLen = (CK_ULONG)-1;
}
CHANGE(pss_mgf_other)
{
    made->params.pss.mgf = CKG_MGF1_SHA1;
}
CHANGE(pss_mgf_none)
{
    made->params.pss.mgf = 0;
}
CHANGE(pss_hash_other)
{
    made->params.pss.hashAlg = it->row->digest == CKM_SHA256 ? CKM_SHA384 : CKM_SHA256;
}
CHANGE(pss_hash_none)
{
    made->params.pss.hashAlg = 0;
}
CHANGE(pss_sha1)
{
    made->params.pss = (CK_RSA_PKCS_PSS_PARAMS){ CKM_SHA_1, CKG_MGF1_SHA1, 20 };
}
CHANGE(oaep_label)
{
    made->params.oaep.pSourceData = "label";
    made->params.oaep.ulSourceDataLen = 5;
}
CHANGE(oaep_label_of_nothing)
{
    made->params.oaep.ulSourceDataLen = 5;
}
CHANGE(oaep_source)
{
    made->params.oaep.source = 2;
}
CHANGE(oaep_mgf_other)
{
    made->params.oaep.mgf = it->row->digest == CKM_SHA256 ? CKG_MGF1_SHA1 : CKG_MGF1_SHA256;
}
CHANGE(oaep_sha384)
{
    made->params.oaep.hashAlg = CKM_SHA384;
    made->params.oaep.mgf = CKG_MGF1_SHA384;
}
CHANGE(oaep_hash_unknown)
{
    made->params.oaep.hashAlg = CKM_MD5;
}
CHANGE(counter_of_no_bits)
{
    made->params.ctr.ulCounterBits = 0;
}
CHANGE(counter_of_129_bits)
{
    made->params.ctr.ulCounterBits = 129;
}
CHANGE(counter_as_bare_iv)
{
    made->mechanism.pParameter = made->iv;
    made->mechanism.ulParameterLen = 16;
}
CHANGE(gcm_iv_missing)
{
    made->params.gcm.pIv = NULL;
}
CHANGE(gcm_iv_empty)
{
    made->params.gcm.ulIvLen = 0;
}
CHANGE(gcm_iv_too_long)
{
    made->params.gcm.pIv = many;
    made->params.gcm.ulIvLen = 257;
}
CHANGE(gcm_aad_missing)
{
    made->params.gcm.aad_ptr = NULL;
}
CHANGE(gcm_tag_none)
{
    made->params.gcm.ulTagBits = 0;
}
CHANGE(gcm_tag_uneven)
{
    made->params.gcm.ulTagBits = 127;
}
CHANGE(gcm_tag_too_long)
{
    made->params.gcm.ulTagBits = 136;
}
CHANGE(gcm_tag_weak)
{
    made->params.gcm.ulTagBits = 64;
}
CHANGE(mac_of_nothing)
{
    made->params.length = 0;
}
CHANGE(mac_too_long)
{
    made->params.length = 65;
}
CHANGE(wrap_iv_of_zeros)
{
    made->mechanism.pParameter = many;
    made->mechanism.ulParameterLen = it->form == MATRIX_KW_PARAM ? 8 : 4;
}
CHANGE(wrap_iv_of_the_other)
{
    memset(made->params.bytes, 0xa6, 8);
    made->mechanism.pParameter = made->params.bytes;
    made->mechanism.ulParameterLen = it->form == MATRIX_KW_PARAM ? 4 : 8;
}

enum { ALL = -1 };
static const struct {
    int form;
    const char *what;
    void (*change)(const struct matrix_case *it, struct matrix_mechanism *made);
} changes[] = {
    { ALL, "three bytes of garbage", garbage },
    { ALL, "a length and no parameter", length_without_parameter },
    { MATRIX_PSS_PARAM, "none at all", no_parameter },
    { MATRIX_PSS_PARAM, "cut short", cut_short },
    { MATRIX_PSS_PARAM, "too long", too_long },
    { MATRIX_PSS_PARAM, "a longer salt", salt_longer },
    { MATRIX_PSS_PARAM, "a shorter salt", salt_shorter },
    { MATRIX_PSS_PARAM, "no salt", salt_none },
    { MATRIX_PSS_PARAM, "a salt of all lengths", salt_huge },
    { MATRIX_PSS_PARAM, "MGF1 with another hash", pss_mgf_other },
    { MATRIX_PSS_PARAM, "no MGF", pss_mgf_none },
    { MATRIX_PSS_PARAM, "another hash", pss_hash_other },
    { MATRIX_PSS_PARAM, "no hash", pss_hash_none },
    { MATRIX_PSS_PARAM, "SHA-1", pss_sha1 },
    { MATRIX_OAEP_PARAM, "cut short", cut_short },
    { MATRIX_OAEP_PARAM, "too long", too_long },
    { MATRIX_OAEP_PARAM, "a label", oaep_label },
    { MATRIX_OAEP_PARAM, "a label without bytes", oaep_label_of_nothing },
    { MATRIX_OAEP_PARAM, "an unknown source", oaep_source },
    { MATRIX_OAEP_PARAM, "MGF1 with another hash", oaep_mgf_other },
    { MATRIX_OAEP_PARAM, "SHA-384", oaep_sha384 },
    { MATRIX_OAEP_PARAM, "MD5", oaep_hash_unknown },
    { MATRIX_IV_PARAM, "none at all", no_parameter },
    { MATRIX_IV_PARAM, "15 bytes", cut_short },
    { MATRIX_IV_PARAM, "17 bytes", too_long },
    { MATRIX_CTR_PARAM, "none at all", no_parameter },
    { MATRIX_CTR_PARAM, "cut short", cut_short },
    { MATRIX_CTR_PARAM, "no counter", counter_of_no_bits },
    { MATRIX_CTR_PARAM, "129 bits of counter", counter_of_129_bits },
    { MATRIX_CTR_PARAM, "the bare initial value", counter_as_bare_iv },
    { MATRIX_GCM_PARAM, "none at all", no_parameter },
    { MATRIX_GCM_PARAM, "cut short", cut_short },
    { MATRIX_GCM_PARAM, "an IV without bytes", gcm_iv_missing },
    { MATRIX_GCM_PARAM, "an IV of no bytes", gcm_iv_empty },
    { MATRIX_GCM_PARAM, "an IV of 257 bytes", gcm_iv_too_long },
    { MATRIX_GCM_PARAM, "AAD without bytes", gcm_aad_missing },
    { MATRIX_GCM_PARAM, "no tag", gcm_tag_none },
    { MATRIX_GCM_PARAM, "a tag of 127 bits", gcm_tag_uneven },
    { MATRIX_GCM_PARAM, "a tag of 136 bits", gcm_tag_too_long },
    { MATRIX_GCM_PARAM, "a tag of 64 bits", gcm_tag_weak },
    { MATRIX_LENGTH_PARAM, "none at all", no_parameter },
    { MATRIX_LENGTH_PARAM, "cut short", cut_short },
    { MATRIX_LENGTH_PARAM, "no bytes", mac_of_nothing },
    { MATRIX_LENGTH_PARAM, "more than the hash has", mac_too_long },
    { MATRIX_KW_PARAM, "an initial value of its own", wrap_iv_of_zeros },
    { MATRIX_KW_PARAM, "half of its initial value", wrap_iv_of_the_other },
    { MATRIX_KWP_PARAM, "an initial value of its own", wrap_iv_of_zeros },
    { MATRIX_KWP_PARAM, "RFC 3394's initial value", wrap_iv_of_the_other },
};

static void wrong_parameters(const struct matrix_case *it)
{
    size_t own = 0;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        if (changes[i].form != ALL && changes[i].form != (int)it->form)
            continue;
        struct matrix_mechanism made;
        matrix_mechanism(it, &made);
        changes[i].change(it, &made);
        CK_RV rv = attempt(it, &made.mechanism, matrix_half(it->key, operation));
        if (rv != CKR_MECHANISM_PARAM_INVALID)
            fail_msg("%s, %s: %s: 0x%lx", matrix_name(it), exercise_name(operation), changes[i].what, rv);
        own += changes[i].form != ALL;
    }
    HOLDS(it, own || it->form == MATRIX_BARE);
}

static void test_wrong_parameters(void **state)
{
    walk_all(wrong_parameters);
}

/* Right in itself, and refused all the same: the service takes no nonce from outside. */
static void foreign_nonce(const struct matrix_case *it)
{
    struct matrix_mechanism made;
    EXPECT(it, CKR_MECHANISM_PARAM_INVALID,
           attempt(it, matrix_mechanism(it, &made), matrix_half(it->key, operation)));
}

static void test_nonces_that_the_service_makes(void **state)
{
    clear_log();
    for (size_t i = 0; i < OPERATIONS; i++) {
        operation = operations[i];
        matrix_walk_refused(operation, foreign_nonce);
    }
    assert_int_equal(requests(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_keys),
        cmocka_unit_test(test_mechanisms_that_are_not_offered),
        cmocka_unit_test(test_wrong_parameters),
        cmocka_unit_test(test_nonces_that_the_service_makes),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
