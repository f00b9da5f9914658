/* Secret keys of a Managed HSM: CBC and HMAC, and algorithms that name a size which the vault does not tell. */
#include "key_ops_help.h"

static unsigned char iv[16] = "initial vector.";
static const CK_MECHANISM cbc = { CKM_AES_CBC, iv, 16 }, cbc_pad = { CKM_AES_CBC_PAD, iv, 16 },
                          kw = { CKM_AES_KEY_WRAP, NULL, 0 }, hmac = { CKM_SHA384_HMAC, NULL, 0 };
static const unsigned char block[32];

static struct fake_key *oct(struct world *world, const char *version, int64_t created, unsigned bits)
{
    struct fake_key *key = world_key(world, "kek", version, created);

    world->config.managed_hsm = world->config.hsm_hmac = true;
    key->kind = KV_OCT;
    key->oct_bits = bits;
    return key;
}

static enum kv_status encrypt(struct run *run, size_t len)
{
    struct kv_key_use use = use_of(run);

    kv_bytes_free(&run->out);
    return kv_key_encrypt(&use, KV_OP_ENCRYPT, (struct kv_view){ block, len }, &run->out, &run->err);
}

static enum kv_status decrypt(struct run *run, struct kv_view cipher)
{
    struct kv_key_use use = use_of(run);

    kv_bytes_free(&run->out);
    return kv_key_decrypt(&use, KV_OP_DECRYPT, cipher, &run->out, &run->err);
}

/* --- sizes --- */

static void test_a_size_is_found_once(void **state)
{
    static const struct {
        unsigned bits;
        const char *requests;
    } rows[] = {
        { 256, "ENCRYPT kek@o1" },
        { 192, "ENCRYPT kek@o1, ENCRYPT kek@o1" },
        { 128, "ENCRYPT kek@o1, ENCRYPT kek@o1, ENCRYPT kek@o1" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        void *fresh;
        setup(&fresh);
        struct world *world = fresh;
        oct(world, "o1", 9000, rows[i].bits);
        struct run run = start(world, NULL, &cbc, KV_OP_ENCRYPT);
        assert_int_equal(run.version->bits, 0);
        assert_int_equal(encrypt(&run, 32), KV_OK);
        assert_requests(world, rows[i].requests);
        /* The version in hand is the old one still, and that is enough. */
        assert_int_equal(encrypt(&run, 32), KV_OK);
        assert_requests(world, "ENCRYPT kek@o1");
        run_free(&run);
        /* So is what the next process reads in the map, also after the vault has spoken of the key again. */
        for (int later = 0; later < 2; later++) {
            world_restart(world);
            clock_seconds += later ? 301 : 0;
            run = start(world, NULL, &cbc_pad, KV_OP_ENCRYPT);
            assert_int_equal(run.version->bits, rows[i].bits);
            assert_int_equal(run.mech.row->key_bits, rows[i].bits);
            assert_int_equal(encrypt(&run, 5), KV_OK);
            assert_requests(world, "ENCRYPT kek@o1");
            run_free(&run);
        }
        teardown(&fresh);
    }
}

/* Rotation keeps the size: what is known of one version is tried first with another, and not relied on. */
static void test_a_sister_is_a_hint(void **state)
{
    struct world *world = *state;

    oct(world, "o1", 9000, 128);
    struct run run = start(world, NULL, &cbc, KV_OP_ENCRYPT);
    assert_int_equal(encrypt(&run, 16), KV_OK);
    run_free(&run);
    oct(world, "o2", 9100, 128);
    clock_seconds += 301;
    run = start(world, NULL, &cbc, KV_OP_ENCRYPT);
    assert_string_equal(run.version->version, "o2");
    assert_int_equal(encrypt(&run, 16), KV_OK);
    assert_requests(world, "ENCRYPT kek@o2");
    run_free(&run);
    oct(world, "o3", 9200, 192);
    clock_seconds += 301;
    run = start(world, NULL, &cbc, KV_OP_ENCRYPT);
    assert_int_equal(encrypt(&run, 16), KV_OK);
    assert_requests(world, "ENCRYPT kek@o3, ENCRYPT kek@o3, ENCRYPT kek@o3");
    assert_int_equal(encrypt(&run, 16), KV_OK);
    assert_requests(world, "ENCRYPT kek@o3");
    run_free(&run);
}

static void test_no_size_is_learnt_from_a_refusal(void **state)
{
    struct world *world = *state;

    oct(world, "o1", 9000, 320); /* no such key */
    struct run run = start(world, NULL, &cbc, KV_OP_ENCRYPT);
    assert_int_equal(encrypt(&run, 16), KV_BAD_PARAMETER);
    assert_non_null(strstr(run.err.text, "does not tell the size"));
    assert_requests(world, "ENCRYPT kek@o1, ENCRYPT kek@o1, ENCRYPT kek@o1");
    run_free(&run);
    world_restart(world);
    run = start(world, NULL, &cbc, KV_OP_ENCRYPT);
    assert_int_equal(run.version->bits, 0);
    run_free(&run);
}

/* A failure that is no 400 says nothing of the size, and is told as it is. */
static void test_a_failure_ends_the_search(void **state)
{
    struct world *world = *state;

    oct(world, "o1", 9000, 128);
    struct run run = start(world, NULL, &cbc, KV_OP_ENCRYPT);
    world->vault.down = KV_UNREACHABLE;
    assert_int_equal(encrypt(&run, 16), KV_UNREACHABLE);
    assert_requests(world, "ENCRYPT kek@o1");
    run_free(&run);
}

/* Key wrap has a name that fits every size: nothing is searched, and nothing learnt. */
static void test_key_wrap_needs_no_size(void **state)
{
    struct world *world = *state;

    oct(world, "o1", 9000, 0);
    world->vault.keys[world->vault.count - 1].oct_bits = 128;
    struct run run = start(world, NULL, &kw, KV_OP_WRAP);
    struct kv_key_use use = use_of(&run);
    assert_string_equal(run.mech.row->alg, "CKM_AES_KEY_WRAP");
    assert_int_equal(kv_key_encrypt(&use, KV_OP_WRAP, (struct kv_view){ block, 16 }, &run.out, &run.err),
                     KV_OK);
    assert_requests(world, "WRAP kek@o1");
    run_free(&run);
}

/* --- CBC --- */

static void test_lengths(void **state)
{
    static const struct {
        const CK_MECHANISM *mechanism;
        bool opens;
        size_t len;
        enum kv_status status;
        size_t requests;
    } rows[] = {
        { &cbc, false, 0, KV_OK, 0 },
        { &cbc, false, 16, KV_OK, 1 },
        { &cbc, false, 17, KV_DATA_LENGTH, 0 },
        { &cbc, true, 15, KV_CIPHERTEXT_LENGTH, 0 },
        { &cbc, true, 0, KV_OK, 0 },
        { &cbc_pad, false, 17, KV_OK, 1 },
        { &cbc_pad, false, 0, KV_OK, 1 },
        { &cbc_pad, true, 0, KV_CIPHERTEXT_LENGTH, 0 },
        { &cbc_pad, true, 17, KV_CIPHERTEXT_LENGTH, 0 },
    };
    struct world *world = *state;

    oct(world, "o1", 9000, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct run run = start(world, NULL, rows[i].mechanism, rows[i].opens ? KV_OP_DECRYPT : KV_OP_ENCRYPT);
        enum kv_status status = rows[i].opens ? decrypt(&run, (struct kv_view){ block, rows[i].len })
                                              : encrypt(&run, rows[i].len);
        if (status != rows[i].status)
            fail_msg("row %zu: %s", i, kv_status_name(status));
        assert_requests(world, rows[i].requests ? "ENCRYPT kek@o1" : "");
        run_free(&run);
    }
}

static void test_sizes_cost_nothing(void **state)
{
    struct world *world = *state;

    oct(world, "o1", 9000, 128);
    struct run plain = start(world, NULL, &cbc, KV_OP_ENCRYPT),
               padded = start(world, NULL, &cbc_pad, KV_OP_ENCRYPT),
               code = start(world, NULL, &hmac, KV_OP_SIGN);
    assert_int_equal(kv_key_output_size(plain.version, &plain.mech, KV_OP_ENCRYPT, 32), 32);
    assert_int_equal(kv_key_output_size(padded.version, &padded.mech, KV_OP_ENCRYPT, 32), 48);
    assert_int_equal(kv_key_output_size(padded.version, &padded.mech, KV_OP_WRAP, 31), 32);
    assert_int_equal(kv_key_output_size(padded.version, &padded.mech, KV_OP_DECRYPT, 48), 48);
    assert_int_equal(kv_key_output_size(code.version, &code.mech, KV_OP_SIGN, 1000), 48);
    assert_requests(world, "");
    run_free(&plain);
    run_free(&padded);
    run_free(&code);
}

/* A wrong key can seem to open CBC: no version is tried but the named one and the one that the ledger knows. */
static void test_cbc_is_not_tried_on_other_versions(void **state)
{
    struct world *world = *state;
    unsigned char blob[16] = { 7 }, noted[16] = { 0 };

    oct(world, "o1", 9000, 0);
    struct run run = start(world, NULL, &cbc, KV_OP_ENCRYPT);
    assert_int_equal(encrypt(&run, 16), KV_OK); /* the fake's ciphertext is zeroes */
    run_free(&run);
    fake_vault_seals(&world->vault, "o1", (struct kv_view){ blob, 16 });
    fake_vault_seals(&world->vault, "o1", (struct kv_view){ noted, 16 });
    oct(world, "o2", 9100, 0);
    clock_seconds += 301;
    run = start(world, NULL, &cbc, KV_OP_DECRYPT);
    assert_int_equal(decrypt(&run, (struct kv_view){ blob, 16 }), KV_BAD_CIPHERTEXT);
    assert_non_null(strstr(world->vault.log, "DECRYPT kek@o2"));
    assert_null(strstr(world->vault.log, "DECRYPT kek@o1"));
    world->vault.log[0] = '\0';
    assert_int_equal(decrypt(&run, (struct kv_view){ noted, 16 }), KV_OK);
    assert_requests(world, "DECRYPT kek@o1");
    run_free(&run);
}

/* --- HMAC --- */

static void test_hmac_is_made_and_checked_there(void **state)
{
    struct world *world = *state;

    oct(world, "o1", 9000, 128);
    struct run run = start(world, NULL, &hmac, KV_OP_SIGN);
    struct kv_key_use use = use_of(&run);
    assert_int_equal(kv_key_sign(&use, kv_view_text("a message of any length"), &run.out, &run.err), KV_OK);
    assert_int_equal(run.out.len, 48);
    assert_int_equal(kv_key_verify(&use, kv_view_text("a message"), KV_VIEW(run.out), &run.err), KV_OK);
    run.out.data[47] = 1;
    assert_int_equal(kv_key_verify(&use, (struct kv_view){ 0 }, KV_VIEW(run.out), &run.err),
                     KV_BAD_SIGNATURE);
    assert_requests(world, "SIGN kek@o1, VERIFY kek@o1, VERIFY kek@o1");
    run.out.len = 47;
    assert_int_equal(kv_key_verify(&use, kv_view_text("x"), KV_VIEW(run.out), &run.err), KV_SIGNATURE_LENGTH);
    assert_requests(world, "");
    run.out.len = 48;
    run_free(&run);
}

static void test_hmac_by_key_ops(void **state)
{
    struct world *world = *state;

    oct(world, "o1", 9000, 0)->operations = KV_OP_SIGN;
    struct run run = start(world, NULL, &hmac, KV_OP_SIGN);
    struct kv_key_use use = use_of(&run);
    assert_int_equal(kv_key_sign(&use, (struct kv_view){ 0 }, &run.out, &run.err), KV_OK);
    assert_int_equal(kv_key_verify(&use, (struct kv_view){ 0 }, KV_VIEW(run.out), &run.err),
                     KV_KEY_OPERATION);
    assert_requests(world, "SIGN kek@o1");
    run_free(&run);
}

/* --- RSNULL --- */

static void test_any_bytes(void **state)
{
    static const unsigned char bytes[246];
    struct world *world = *state;

    world->config.rsnull = true;
    struct run run = start(world, NULL, &rsa1_5, KV_OP_SIGN);
    struct kv_key_use use = use_of(&run);
    static const size_t lengths[] = { 0, 20, 36, 245 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        struct kv_view data = { lengths[i] ? bytes : NULL, lengths[i] };
        assert_int_equal(kv_key_sign(&use, data, &run.out, &run.err), KV_OK);
        kv_bytes_free(&run.out);
        assert_requests(world, "SIGN kek@a3");
    }
    assert_int_equal(kv_key_sign(&use, (struct kv_view){ bytes, 246 }, &run.out, &run.err), KV_DATA_LENGTH);
    assert_non_null(strstr(run.err.text, "245"));
    assert_requests(world, "");
    run_free(&run);
    world->config.rsnull = false;
    run = start(world, NULL, &rsa1_5, KV_OP_SIGN);
    use = use_of(&run);
    assert_int_equal(kv_key_sign(&use, (struct kv_view){ bytes, 36 }, &run.out, &run.err), KV_BAD_DATA);
    assert_non_null(strstr(run.err.text, "rsnull"));
    assert_requests(world, "");
    run_free(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_size_is_found_once),
        TEST(test_a_sister_is_a_hint),
        TEST(test_no_size_is_learnt_from_a_refusal),
        TEST(test_a_failure_ends_the_search),
        TEST(test_key_wrap_needs_no_size),
        TEST(test_lengths),
        TEST(test_sizes_cost_nothing),
        TEST(test_cbc_is_not_tried_on_other_versions),
        TEST(test_hmac_is_made_and_checked_there),
        TEST(test_hmac_by_key_ops),
        TEST(test_any_bytes),
    };

    return cmocka_run_group_tests_name("keys/key_ops, secret keys", tests, NULL, NULL);
}
