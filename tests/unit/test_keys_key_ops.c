#include "key_ops_help.h"

#include "base/encode.h"

/* --- what may be done --- */
struct permission {
    const char *text;
    unsigned operations; /* of the key */
    bool disabled, gone;
    int64_t nbf, exp; /* relative to now, 0: none */
    enum kv_status sign, wrap, unwrap;
};

static const struct permission permissions[] = {
    { "everything", 0, .sign = KV_OK, .wrap = KV_OK, .unwrap = KV_OK },
    { "sign alone", KV_OP_SIGN, .sign = KV_OK, .wrap = KV_KEY_OPERATION, .unwrap = KV_KEY_OPERATION },
    { "decrypt serves an unwrap", KV_OP_DECRYPT, .sign = KV_KEY_OPERATION, .wrap = KV_KEY_OPERATION,
      .unwrap = KV_OK },
    { "encrypt serves a wrap", KV_OP_ENCRYPT, .sign = KV_KEY_OPERATION, .wrap = KV_OK,
      .unwrap = KV_KEY_OPERATION },
    { "disabled", 0, .disabled = true, .sign = KV_DISABLED, .wrap = KV_DISABLED, .unwrap = KV_DISABLED },
    { "not yet valid opens", 0, .nbf = 600, .sign = KV_NOT_VALID, .wrap = KV_NOT_VALID, .unwrap = KV_OK },
    { "expired opens", 0, .exp = -600, .sign = KV_NOT_VALID, .wrap = KV_NOT_VALID, .unwrap = KV_OK },
    { "about to expire", 0, .exp = 600, .sign = KV_OK, .wrap = KV_OK, .unwrap = KV_OK },
};

static enum kv_status try_sign(struct world *world)
{
    static const unsigned char digest[32];
    struct run run = start(world, NULL, &rs256, KV_OP_SIGN);
    struct kv_key_use use = use_of(&run);
    enum kv_status status = kv_key_sign(&use, (struct kv_view){ digest, sizeof(digest) }, &run.out, &run.err);

    if (status == KV_OK)
        assert_int_equal(run.out.len, 256);
    run_free(&run);
    return status;
}

static enum kv_status try_wrap(struct world *world)
{
    struct run run = start(world, NULL, &oaep, KV_OP_WRAP);
    enum kv_status status = wrap(&run);

    run_free(&run);
    return status;
}

static enum kv_status try_unwrap(struct world *world)
{
    unsigned char blob[256] = { 1 };
    struct run run = start(world, NULL, &oaep, KV_OP_UNWRAP);

    fake_vault_seals(&world->vault, "a3", (struct kv_view){ blob, sizeof(blob) });
    enum kv_status status = unwrap(&run, (struct kv_view){ blob, sizeof(blob) });
    run_free(&run);
    return status;
}

static void test_permissions(void **state)
{
    for (size_t i = 0; i < COUNT(permissions); i++) {
        const struct permission *row = &permissions[i];
        void *fresh;

        print_message("  %s\n", row->text);
        setup(&fresh);
        struct world *world = fresh;
        struct fake_key *key = &world->vault.keys[2];
        key->operations = row->operations;
        key->disabled = row->disabled;
        key->nbf = row->nbf ? clock_seconds + row->nbf : 0;
        key->exp = row->exp ? clock_seconds + row->exp : 0;
        assert_int_equal(try_sign(world), row->sign);
        assert_int_equal(try_wrap(world), row->wrap);
        assert_int_equal(try_unwrap(world), row->unwrap);
        teardown(&fresh);
    }
}

/* A refusal is not believed when it is old: enabling a version mends it at once, not after refresh_seconds. */
static void test_enabled_again(void **state)
{
    struct world *world = *state;

    world->vault.keys[2].disabled = true;
    assert_int_equal(try_sign(world), KV_DISABLED);
    world->vault.keys[2].disabled = false;
    clock_seconds += 10;
    assert_int_equal(try_sign(world), KV_OK);
    assert_requests(world, "GET kek@a3, SIGN kek@a3");
}

static void test_nothing_is_wrapped_under_a_deleted_key(void **state)
{
    struct world *world = *state;
    struct run run = start(world, NULL, &oaep, KV_OP_WRAP);

    for (size_t i = 0; i < world->vault.count; i++)
        world->vault.keys[i].gone = true;
    clock_seconds += 301;
    assert_finds(world, "kek:deleted", .label = "kek");
    run_free(&run);
    struct kv_version_list list = { 0 };
    struct kv_task task = world_task(world);
    struct kv_keyring_query by_name = { .label = "kek" };
    assert_int_equal(kv_keyring_find(world->keyring, &by_name, &task, &list, NULL, NULL), KV_OK);
    struct kv_mech_offer offer = kv_keyring_offer(world->keyring);
    struct kv_mech_key key = kv_version_mech_key(list.items[0]);
    struct kv_mech_use mech = { 0 };
    struct kv_error err = { 0 };
    struct kv_bytes out = { 0 };
    assert_int_equal(kv_mech_select(&oaep, &key, KV_OP_WRAP, &offer, &mech), KV_OK);
    struct kv_key_use use = { world->keyring, list.items[0], &mech, &task };
    assert_int_equal(kv_key_encrypt(&use, KV_OP_WRAP, kv_view_text("secret"), &out, &err), KV_NOT_FOUND);
    assert_non_null(strstr(err.text, "`kvp11 --vault prod recover kek`"));
    kv_mech_use_free(&mech);
    kv_version_list_free(&list);
}

static void test_disabled_meanwhile_is_doubted(void **state)
{
    struct world *world = *state;

    assert_int_equal(try_sign(world), KV_OK);
    world->vault.keys[2].disabled = true;
    assert_int_equal(try_sign(world), KV_DISABLED);
    assert_finds(world, "kek:disabled", .label = "kek");
    assert_requests(world, "SIGN kek@a3, GET kek");
}

/* --- signing --- */
static void test_digestinfo(void **state)
{
    struct world *world = *state;
    struct run run = start(world, NULL, &rsa1_5, KV_OP_SIGN);
    struct kv_key_use use = use_of(&run);
    struct kv_bytes info = { 0 };

    assert_int_equal(kv_decode_hex("3031300d060960864801650304020105000420"
                                   "0000000000000000000000000000000000000000000000000000000000000000",
                                   &info),
                     KV_OK);
    assert_int_equal(kv_key_sign(&use, KV_VIEW(info), &run.out, &run.err), KV_OK);
    assert_requests(world, "SIGN kek@a3");
    kv_bytes_free(&run.out);
    assert_int_equal(kv_key_sign(&use, kv_view_text("bare"), &run.out, &run.err), KV_BAD_DATA);
    assert_non_null(strstr(run.err.text, "DigestInfo"));
    assert_requests(world, "");
    kv_bytes_free(&info);
    run_free(&run);
}

static void test_digest_length(void **state)
{
    struct world *world = *state;
    struct run run = start(world, NULL, &rs256, KV_OP_SIGN);
    struct kv_key_use use = use_of(&run);

    assert_int_equal(kv_key_sign(&use, kv_view_text("too short"), &run.out, &run.err), KV_DATA_LENGTH);
    assert_requests(world, "");
    run_free(&run);
}

static void test_ecdsa(void **state)
{
    struct world *world = *state;

    world_key(world, "kek", "e1", 9000)->kind = KV_EC;
    struct run run = start(world, NULL, &ecdsa, KV_OP_SIGN);
    struct kv_key_use use = use_of(&run);
    assert_int_equal(kv_key_sign(&use, kv_view_text("a digest of any length at all, which is cut or padded"),
                                 &run.out, &run.err),
                     KV_OK);
    assert_int_equal(run.out.len, 64);
    assert_int_equal(kv_key_output_size(run.version, &run.mech, KV_OP_SIGN, 0), 64);
    /* The fake's signature is zeroes. */
    assert_int_equal(kv_key_verify(&use, kv_view_text("digest"), KV_VIEW(run.out), &run.err),
                     KV_BAD_SIGNATURE);
    assert_int_equal(kv_key_verify(&use, kv_view_text("digest"), kv_view_text("short"), &run.err),
                     KV_SIGNATURE_LENGTH);
    assert_requests(world, "SIGN kek@e1");
    run_free(&run);
}

static void test_sizes(void **state)
{
    struct world *world = *state;
    struct run run = start(world, NULL, &oaep, KV_OP_UNWRAP),
               plain = start(world, NULL, &rsa1_5, KV_OP_UNWRAP);

    assert_int_equal(kv_key_output_size(run.version, &run.mech, KV_OP_SIGN, 32), 256);
    assert_int_equal(kv_key_output_size(run.version, &run.mech, KV_OP_WRAP, 32), 256);
    assert_int_equal(kv_key_output_size(run.version, &run.mech, KV_OP_UNWRAP, 256), 190);
    assert_int_equal(kv_key_output_size(plain.version, &plain.mech, KV_OP_DECRYPT, 256), 245);
    assert_int_equal(kv_key_output_size(run.version, &run.mech, KV_OP_VERIFY, 256), 0);
    assert_requests(world, "");
    run_free(&run);
    run_free(&plain);
}

static void test_too_much_to_wrap(void **state)
{
    struct world *world = *state;
    static const unsigned char long_text[191];
    struct run run = start(world, NULL, &oaep, KV_OP_WRAP);
    struct kv_key_use use = use_of(&run);

    assert_int_equal(kv_key_encrypt(&use, KV_OP_WRAP, (struct kv_view){ long_text, sizeof(long_text) },
                                    &run.out, &run.err),
                     KV_DATA_LENGTH);
    assert_non_null(strstr(run.err.text, "190"));
    run_free(&run);
}

/* A secret key has no public half: both directions are requests, and the ledger knows them all the same. */
static void test_oct(void **state)
{
    static const CK_MECHANISM kwp = { CKM_AES_KEY_WRAP_PAD, NULL, 0 };
    struct world *world = *state;

    world->config.managed_hsm = true;
    world_key(world, "kek", "o1", 9000)->kind = KV_OCT;
    struct run run = start(world, NULL, &kwp, KV_OP_WRAP);
    assert_int_equal(wrap(&run), KV_OK);
    fake_vault_seals(&world->vault, "o1", KV_VIEW(run.out));
    world_key(world, "kek", "o2", 9500)->kind = KV_OCT;
    clock_seconds += 301;
    struct run later = start(world, NULL, &kwp, KV_OP_UNWRAP);
    assert_string_equal(later.version->version, "o2");
    assert_int_equal(unwrap(&later, KV_VIEW(run.out)), KV_OK);
    assert_requests(world, "UNWRAP kek@o1");
    assert_int_equal(kv_key_output_size(later.version, &later.mech, KV_OP_WRAP, 9), 24);
    assert_int_equal(kv_key_output_size(later.version, &later.mech, KV_OP_UNWRAP, 24), 24);
    const struct kv_public *none = NULL;
    assert_int_equal(kv_version_public(later.version, &none, NULL), KV_KEY_TYPE);
    run_free(&run);
    run_free(&later);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_permissions),
        TEST(test_enabled_again),
        TEST(test_nothing_is_wrapped_under_a_deleted_key),
        TEST(test_disabled_meanwhile_is_doubted),
        TEST(test_digestinfo),
        TEST(test_digest_length),
        TEST(test_ecdsa),
        TEST(test_sizes),
        TEST(test_too_much_to_wrap),
        TEST(test_oct),
    };

    return cmocka_run_group_tests_name("keys/key_ops", tests, NULL, NULL);
}
