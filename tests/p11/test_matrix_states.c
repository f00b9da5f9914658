/* Every row with versions in every state: disabled, expired, not valid yet, old; and with keys whose key_ops leave the operation out. Old data always opens,
 * nothing new is made with what is not valid, and what a version may not do is said without asking for it. */
#include "exercise.h"

#include <stdio.h>

enum { MAKES = KV_OP_SIGN | KV_OP_ENCRYPT | KV_OP_WRAP, OPENS = KV_OP_DECRYPT | KV_OP_UNWRAP };

struct state {
    const char *suffix, *patch, *ops;
    int kind;         /* of keys; EVERY: all */
    unsigned refused; /* operations; all others work */
    CK_RV rv;
    bool rotated;
    bool mac; /* key_ops of a key that signs with HMAC */
};
enum { EVERY = -1 };

static const struct state states[] = {
    { "disabled", "{\"enabled\":false}", NULL, EVERY, MAKES | OPENS, CKR_KVP11_VERSION_DISABLED, false },
    { "expired", "{\"exp\":1000000000}", NULL, EVERY, MAKES, CKR_KVP11_VERSION_NOT_VALID, false },
    { "early", "{\"nbf\":4102444800}", NULL, EVERY, MAKES, CKR_KVP11_VERSION_NOT_VALID, false },
    { "old", NULL, NULL, EVERY, 0, CKR_OK, true },
    { "old-disabled", "{\"enabled\":false}", NULL, EVERY, MAKES | OPENS, CKR_KVP11_VERSION_DISABLED, true },
    /* decrypt and unwrapKey are one computation for RSA, and a key that may do one serves both; not so for secret keys. */
    { "signer", NULL, "sign,verify", KV_RSA, OPENS | KV_OP_ENCRYPT | KV_OP_WRAP,
      CKR_KEY_FUNCTION_NOT_PERMITTED, false },
    { "wrapper", NULL, "wrapKey,unwrapKey", KV_RSA, KV_OP_SIGN | KV_OP_VERIFY, CKR_KEY_FUNCTION_NOT_PERMITTED,
      false },
    { "cipher", NULL, "encrypt,decrypt", KV_RSA, KV_OP_SIGN | KV_OP_VERIFY, CKR_KEY_FUNCTION_NOT_PERMITTED,
      false },
    { "verifier", NULL, "verify", KV_EC, KV_OP_SIGN, CKR_KEY_FUNCTION_NOT_PERMITTED, false },
    { "shut", NULL, "encrypt,wrapKey", KV_OCT, OPENS | KV_OP_SIGN | KV_OP_VERIFY,
      CKR_KEY_FUNCTION_NOT_PERMITTED, false },
    { "signs", NULL, "sign", KV_OCT, KV_OP_VERIFY, CKR_KEY_FUNCTION_NOT_PERMITTED, false, true },
    { "checks", NULL, "verify", KV_OCT, KV_OP_SIGN, CKR_KEY_FUNCTION_NOT_PERMITTED, false, true },
    { "open", NULL, "decrypt,unwrapKey", KV_OCT, MAKES | KV_OP_VERIFY, CKR_KEY_FUNCTION_NOT_PERMITTED,
      false },
};
enum { STATES = sizeof states / sizeof *states, KEYS_MAX = 32 };

/* The keys in each state, in the order of matrix_keys(); found when they are wanted first. */
static struct matrix_key stated[STATES][KEYS_MAX];
static char labels[STATES][KEYS_MAX][160];
static const struct state *now;
static unsigned operation;

static void bring_about(const struct state *state, const struct matrix_key *key, char label[160])
{
    char name[100], version[65];
    snprintf(name, sizeof name, "%s-%s", key->name, state->suffix);
    kv_text_fit(version, sizeof version, matrix_import(key, name, state->ops));
    if (state->patch)
        change_key(matrix_vault(key), name, version, state->patch);
    if (state->rotated)
        rotate_key(matrix_vault(key), name);
    snprintf(label, 160, state->rotated ? "%s@%s" : "%s", name, version);
}

static void find(struct matrix_key *key)
{
    if (key->kind == KV_OCT)
        key->shut = key->open = find_one(key->session, CKO_SECRET_KEY, key->name);
    else {
        key->shut = find_one(key->session, CKO_PRIVATE_KEY, key->name);
        key->open = find_one(key->session, CKO_PUBLIC_KEY, key->name);
    }
}

/* Pairs of a Managed HSM behave like those of a vault, but for the words in which a disabled version is refused. */
static bool is_tried(const struct state *state, const struct matrix_key *key)
{
    if (key->in_session || (state->kind != EVERY && state->kind != (int)key->kind))
        return false;
    if (state->ops && state->mac != key->mac)
        return false;
    return key->slot != HSM || key->kind == KV_OCT ||
           (state->rv == CKR_KVP11_VERSION_DISABLED && !state->rotated);
}

static int start(void **state)
{
    const struct matrix_key *keys;
    int rc = matrix_start(state);
    size_t count = matrix_keys(&keys);
    assert_true(count <= KEYS_MAX);
    for (size_t s = 0; s < STATES; s++)
        for (size_t i = 0; i < count; i++) {
            if (!is_tried(&states[s], &keys[i]))
                continue;
            bring_about(&states[s], &keys[i], labels[s][i]);
            stated[s][i] = keys[i];
            stated[s][i].name = labels[s][i];
            find(&stated[s][i]);
        }
    return rc;
}

static const struct matrix_key *in_state(const struct matrix_key *key)
{
    const struct matrix_key *keys;
    matrix_keys(&keys);
    const struct matrix_key *same = &stated[now - states][key - keys];
    return same->name ? same : NULL;
}

/* A MAC is verified by the vault, with the key that signs: what bars it bars that, too. */
static CK_RV wanted(const struct matrix_case *it)
{
    unsigned refused = now->refused;
    if (it->key->kind == KV_OCT && refused & OPENS)
        refused |= KV_OP_VERIFY;
    return refused & operation ? now->rv : CKR_OK;
}

static void in_that_state(const struct matrix_case *it)
{
    const struct matrix_key *key = in_state(it->key);
    struct matrix_case as = *it;
    if (!key)
        return;
    as.key = key;
    CK_RV want = wanted(&as);
    if (want)
        clear_log();
    CK_RV rv = exercise(&as, operation);
    if (rv != want)
        fail_msg("%s, %s: 0x%lx instead of 0x%lx", matrix_name(&as), exercise_name(operation), rv, want);
    /* What is refused was never sent as an operation; a disabled version's decryption is the vault's to refuse. */
    if (rv && !(operation & OPENS))
        HOLDS(&as, requests("/sign") + requests("/encrypt") + requests("/wrapkey") == 0);
    if (rv == CKR_KEY_FUNCTION_NOT_PERMITTED)
        HOLDS(&as, requests(NULL) == 0);
}

static void test_every_row_in_every_state(void **state)
{
    static const unsigned operations[] = { KV_OP_SIGN,    KV_OP_VERIFY, KV_OP_ENCRYPT,
                                           KV_OP_DECRYPT, KV_OP_WRAP,   KV_OP_UNWRAP };
    for (now = states; now < states + STATES; now++)
        for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
            operation = operations[i];
            matrix_walk(operation, in_that_state);
        }
}

/* A state that changes is seen: the module asks before it says no, and the vault says no where the module does not know. */
static void test_states_that_change(void **state)
{
    const struct matrix_key *key = matrix_find("m-p256");
    char version[65];
    struct result signature = { .len = sizeof signature.data };
    CK_BYTE digest[32] = { 1 };
    kv_text_fit(version, sizeof version, matrix_import(key, "m-turning", NULL));
    CK_OBJECT_HANDLE turning = find_one(key->session, CKO_PRIVATE_KEY, "m-turning");
    for (int i = 0; i < 3; i++) {
        change_key("prod", "m-turning", version, "{\"enabled\":false}");
        ok(world.p11->C_SignInit(key->session, &ecdsa, turning));
        expect(CKR_KVP11_VERSION_DISABLED,
               world.p11->C_Sign(key->session, digest, 32, signature.data, &signature.len));
        change_key("prod", "m-turning", version, "{\"enabled\":true}");
        signature.len = sizeof signature.data;
        ok(world.p11->C_SignInit(key->session, &ecdsa, turning));
        CK_RV rv = world.p11->C_Sign(key->session, digest, 32, signature.data, &signature.len);
        assert_int_equal(rv, CKR_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_in_every_state),
        cmocka_unit_test(test_states_that_change),
    };
    return cmocka_run_group_tests(tests, start, matrix_stop);
}
