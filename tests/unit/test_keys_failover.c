/* A key of vault "prod" with copies in "dr" and "west": what is asked of whom, for how long, and what is told. */
#include "failover_help.h"

/* --- when another vault is asked --- */
static void test_statuses(void **state)
{
    static const struct {
        enum kv_status prod, result;
        const char *dr;
    } rows[] = {
        { KV_OK, KV_OK, "" },
        { KV_UNREACHABLE, KV_OK, "GET kek@a3, UNWRAP kek@a3" },
        { KV_TLS, KV_OK, "GET kek@a3, UNWRAP kek@a3" },
        { KV_TIMED_OUT, KV_OK, "GET kek@a3, UNWRAP kek@a3" },
        { KV_THROTTLED, KV_OK, "GET kek@a3, UNWRAP kek@a3" },
        { KV_SERVER, KV_OK, "GET kek@a3, UNWRAP kek@a3" },
        { KV_PROTOCOL, KV_OK, "GET kek@a3, UNWRAP kek@a3" },
        { KV_BLOCKED, KV_OK, "GET kek@a3, UNWRAP kek@a3" },
        { KV_DENIED, KV_DENIED, "" },
        { KV_DISABLED, KV_DISABLED, "" },
        { KV_CREDENTIAL, KV_CREDENTIAL, "" },
        { KV_WRONG_KEY, KV_WRONG_KEY, "" },
        { KV_CANCELLED, KV_CANCELLED, "" },
        { KV_NO_MEMORY, KV_NO_MEMORY, "" },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        void *fresh;

        print_message("  %s\n", kv_status_name(rows[i].prod));
        setup_three(&fresh);
        struct three *three = fresh;
        restored(three, DR);
        struct run run = begin(three);
        vault_of(three, PROD)->down = rows[i].prod;
        assert_int_equal(unwrap(&run, blob), rows[i].result);
        assert_asked(three, "UNWRAP kek@a3", rows[i].dr, "");
        run_free(&run);
        teardown_three(&fresh);
    }
}

/* Data that the own vault refuses is refused: another with the same key would say the same. */
static void test_bad_data_stays(void **state)
{
    struct three *three = *state;

    three->world->config.decrypt_fallback = false;
    fake_vault_seals(vault_of(three, DR), "a3", blob);
    copy(three, DR, "kek", "a3");
    struct run run = begin(three);
    assert_int_equal(unwrap(&run, blob), KV_BAD_WRAPPED_KEY);
    assert_string_equal(vault_of(three, DR)->log, "");
    run_free(&run);
}

static void test_deleted(void **state)
{
    struct three *three = *state;

    restored(three, DR);
    struct run run = begin(three);
    vault_of(three, PROD)->keys[2].gone = true;
    assert_int_equal(unwrap(&run, blob), KV_OK);
    assert_asked(three, "UNWRAP kek@a3", "GET kek@a3, UNWRAP kek@a3", "");
    assert_true(logged(three, "was opened by 'dr/kek@a3': "));
    kv_bytes_free(&run.out);
    assert_int_equal(unwrap(&run, blob),
                     KV_OK); /* the version is remembered as gone; the vault is not away */
    assert_asked(three, "", "UNWRAP kek@a3", "");
    assert_false(logged(three, "vault 'prod' failed"));
    clock_seconds += 30;
    vault_of(three, PROD)->keys[2].gone = false; /* recovered */
    run.task = world_task(three->world);
    kv_bytes_free(&run.out);
    assert_int_equal(unwrap(&run, blob), KV_OK);
    assert_asked(three, "UNWRAP kek@a3", "", "");
    run_free(&run);
}

static void test_only_opening(void **state)
{
    struct three *three = *state;
    static const unsigned char digest[32];

    restored(three, DR);
    struct run run = start(three->world, "a3", &rs256, KV_OP_SIGN);
    struct kv_key_use use = use_of(&run);
    vault_of(three, PROD)->down = KV_UNREACHABLE;
    assert_int_equal(kv_key_sign(&use, (struct kv_view){ digest, sizeof(digest) }, &run.out, &run.err),
                     KV_UNREACHABLE);
    assert_asked(three, "SIGN kek@a3", "", "");
    run_free(&run);
}

/* A proof is of this vault, and what is disabled here is disabled. */
static void test_proofs_and_disabled_versions_stay(void **state)
{
    struct three *three = *state;

    restored(three, DR);
    struct run run = begin(three);
    struct kv_key_use use = use_of(&run);
    vault_of(three, PROD)->down = KV_UNREACHABLE;
    use.trial = true;
    assert_int_equal(kv_key_decrypt(&use, KV_OP_UNWRAP, blob, &run.out, &run.err), KV_UNREACHABLE);
    use.trial = false;
    struct kv_version *disabled = kv_version_copy(run.version);
    disabled->enabled = false;
    use.version = disabled;
    assert_int_equal(kv_key_decrypt(&use, KV_OP_UNWRAP, blob, &run.out, &run.err), KV_UNREACHABLE);
    assert_asked(three, "UNWRAP kek@a3, UNWRAP kek@a3", "", "");
    kv_version_free(disabled);
    run_free(&run);
}

/* --- which version is asked --- */
static void test_another_key_is_refused(void **state)
{
    struct three *three = *state;
    struct kv_error err = { 0 };

    restored(three, DR)->other_key = 7;
    struct run run = begin(three);
    vault_of(three, PROD)->down = KV_TLS;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(unwrap(&run, blob), KV_TLS);
        err = run.err;
    }
    assert_string_equal(vault_of(three, DR)->log, "GET kek@a3");
    assert_non_null(strstr(err.text, "the vault is down"));
    assert_non_null(strstr(err.text, "'https://dr.vault.localhost/keys/kek/a3' has another public key than "
                                     "'https://prod.vault.localhost/keys/kek/a3'"));
    assert_int_equal(logged(three, "warn: 'https://dr.vault.localhost/keys/kek/a3' has another public key"),
                     1);
    run_free(&run);
}

/* An import has another name and version; the map knows it by its public key. */
static void test_import_under_another_name(void **state)
{
    struct three *three = *state;
    struct kv_version *known = NULL;

    fake_vault_seals(vault_of(three, DR), "b9", blob);
    copy(three, DR, "old-kek", "b9")->like = "a3";
    struct run run = begin(three);
    assert_int_equal(kv_keyring_current(three->keyring[DR], "old-kek", &run.task, &known, NULL), KV_OK);
    kv_version_free(known);
    vault_of(three, DR)->log[0] = '\0';
    vault_of(three, PROD)->down = KV_SERVER;
    assert_int_equal(unwrap(&run, blob), KV_OK);
    assert_asked(three, "UNWRAP kek@a3", "UNWRAP old-kek@b9", "");
    run_free(&run);
}

/* The copy may do by "decrypt" what was asked for as "unwrapKey"; or neither. */
static void test_permissions_of_the_copy(void **state)
{
    struct three *three = *state;
    struct fake_key *key = restored(three, DR);

    key->operations = KV_OP_DECRYPT;
    struct run run = begin(three);
    vault_of(three, PROD)->down = KV_SERVER;
    assert_int_equal(unwrap(&run, blob), KV_OK);
    assert_asked(three, "UNWRAP kek@a3", "GET kek@a3, DECRYPT kek@a3", "");
    run_free(&run);
}

static void test_secret_keys(void **state)
{
    static const CK_MECHANISM kwp = { CKM_AES_KEY_WRAP_PAD, NULL, 0 };
    static const unsigned char bytes[24] = { 2 };
    static const struct kv_view wrapped = { bytes, sizeof(bytes) };
    struct three *three = *state;

    three->world->config.managed_hsm = true;
    for (int i = PROD; i < WEST; i++) {
        copy(three, i, "kek", "o1")->kind = KV_OCT;
        fake_vault_seals(vault_of(three, i), "o1", wrapped);
    }
    struct run run = start(three->world, "o1", &kwp, KV_OP_UNWRAP);
    vault_of(three, PROD)->down = KV_UNREACHABLE;
    assert_int_equal(unwrap(&run, wrapped), KV_UNREACHABLE);
    assert_asked(three, "UNWRAP kek@o1", "", "");
    three->world->config.failover_secret_keys = true;
    assert_int_equal(unwrap(&run, wrapped), KV_OK);
    assert_string_equal(vault_of(three, DR)->log, "GET kek@o1, UNWRAP kek@o1");
    run_free(&run);
}

/* --- when, and for how long --- */
static void test_time_is_divided(void **state)
{
    struct three *three = *state;

    restored(three, WEST);
    fake_vault_seals(vault_of(three, DR), "a3", blob);
    copy(three, DR, "kek", "a3");
    struct run run = begin(three);
    vault_of(three, PROD)->hangs = vault_of(three, DR)->hangs = true;
    assert_int_equal(unwrap(&run, blob), KV_OK);
    assert_int_equal(vault_of(three, PROD)->left_ms, 10000); /* of 30 s */
    assert_int_equal(vault_of(three, DR)->left_ms, 10000);   /* of 20 s */
    assert_int_equal(vault_of(three, WEST)->left_ms, 10000);
    assert_true(vault_of(three, PROD)->elsewhere && vault_of(three, DR)->elsewhere);
    assert_false(vault_of(three, WEST)->elsewhere); /* the last may take its time */
    run_free(&run);
}

static void test_the_next_goes_where_it_works(void **state)
{
    struct three *three = *state;

    restored(three, DR);
    struct run run = begin(three);
    vault_of(three, PROD)->hangs = true;
    assert_int_equal(unwrap(&run, blob), KV_OK);
    assert_asked(three, "UNWRAP kek@a3", "GET kek@a3, UNWRAP kek@a3", "");
    run.task = world_task(three->world);
    kv_bytes_free(&run.out);
    assert_int_equal(unwrap(&run, blob), KV_OK);
    assert_asked(three, "", "UNWRAP kek@a3", "");
    clock_seconds += 29;
    assert_int_equal(open_once(three), KV_OK);
    assert_asked(three, "", "UNWRAP kek@a3", "");
    clock_seconds += 1;
    vault_of(three, PROD)->hangs = false;
    assert_int_equal(open_once(three), KV_OK);
    assert_asked(three, "UNWRAP kek@a3", "", "");
    assert_true(logged(three, "vault 'prod' answers again"));
    run_free(&run);
}

/* While the vault is away nothing else asks it either: no list for other versions of the key. */
static void test_fallback_while_away(void **state)
{
    struct three *three = *state;

    fake_vault_seals(vault_of(three, DR), "a2", blob);
    copy(three, DR, "kek", "a2");
    copy(three, DR, "kek", "a3");
    for (int i = 1; i < 3; i++) {
        struct run known = start(three->world, i == 1 ? "a1" : "a2", &oaep, KV_OP_UNWRAP);
        run_free(&known);
    }
    struct run run = begin(three);
    vault_of(three, PROD)->down = KV_UNREACHABLE;
    assert_int_equal(unwrap(&run, blob), KV_OK);
    assert_asked(three, "UNWRAP kek@a3", "GET kek@a3, UNWRAP kek@a3, GET kek@a2, UNWRAP kek@a2", "");
    run_free(&run);
}

/* Nor does a search that has an older answer. */
static void test_searches_while_away(void **state)
{
    struct three *three = *state;

    restored(three, DR);
    three->world->config.refresh_seconds = 8;
    struct run run = begin(three);
    assert_finds(three->world, "kek:enabled", .label = "kek");
    vault_of(three, PROD)->log[0] = '\0';
    vault_of(three, PROD)->down = KV_UNREACHABLE;
    assert_int_equal(unwrap(&run, blob), KV_OK);
    clock_seconds += 20;
    vault_of(three, PROD)->down = KV_OK;
    assert_finds(three->world, "kek:unreachable", .label = "kek");
    assert_string_equal(vault_of(three, PROD)->log, "UNWRAP kek@a3");
    clock_seconds += 10;
    run.task = world_task(three->world);
    kv_bytes_free(&run.out);
    assert_int_equal(unwrap(&run, blob), KV_OK);
    assert_finds(three->world, "kek:enabled", .label = "kek");
    assert_string_equal(vault_of(three, PROD)->log, "UNWRAP kek@a3, UNWRAP kek@a3, GET kek");
    run_free(&run);
}

/* --- what is told --- */
static void test_all_fail(void **state)
{
    struct three *three = *state;
    struct kv_error err = { 0 };

    restored(three, DR);
    struct run run = begin(three);
    vault_of(three, PROD)->down = KV_BLOCKED;
    vault_of(three, DR)->down = KV_SERVER;
    vault_of(three, WEST)->down = KV_TIMED_OUT;
    assert_int_equal(unwrap(&run, blob), KV_BLOCKED);
    err = run.err;
    assert_int_equal(err.status, KV_BLOCKED);
    assert_non_null(strstr(err.text, "'dr': the vault is down"));
    assert_non_null(strstr(err.text, "'west': the vault is down"));
    assert_asked(three, "UNWRAP kek@a3", "GET kek@a3", "GET kek@a3");
    run_free(&run);
}

/* Where nobody else has the key, the own vault gets the patience that it got before there was `failover`. */
static void test_the_own_vault_gets_another_chance(void **state)
{
    struct three *three = *state;

    struct run run = begin(three);
    vault_of(three, PROD)->down = KV_THROTTLED;
    assert_int_equal(unwrap(&run, blob), KV_THROTTLED);
    assert_asked(three, "UNWRAP kek@a3, UNWRAP kek@a3", "GET kek@a3", "GET kek@a3");
    assert_false(vault_of(three, PROD)->elsewhere);
    assert_int_equal(vault_of(three, PROD)->left_ms, 30000);
    run_free(&run);
}

static void test_a_copy_has_the_last_word_on_the_data(void **state)
{
    struct three *three = *state;

    three->world->config.decrypt_fallback = false;
    copy(three, DR, "kek", "a3");
    copy(three, WEST, "kek", "a3");
    struct run run = begin(three);
    vault_of(three, PROD)->down = KV_UNREACHABLE;
    assert_int_equal(unwrap(&run, blob), KV_BAD_WRAPPED_KEY);
    assert_string_equal(vault_of(three, WEST)->log, "");
    run_free(&run);
}

/* A copy that is refused to us is no reason not to try the next. */
static void test_a_denied_copy_is_passed_over(void **state)
{
    struct three *three = *state;

    restored(three, WEST);
    copy(three, DR, "kek", "a3")->disabled = true;
    struct run run = begin(three);
    vault_of(three, PROD)->down = KV_UNREACHABLE;
    assert_int_equal(unwrap(&run, blob), KV_OK);
    assert_string_equal(vault_of(three, WEST)->log, "GET kek@a3, UNWRAP kek@a3");
    assert_true(logged(three, "'dr/kek@a3': the version is disabled"));
    run_free(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statuses),
        TEST3(test_bad_data_stays),
        TEST3(test_deleted),
        TEST3(test_only_opening),
        TEST3(test_proofs_and_disabled_versions_stay),
        TEST3(test_another_key_is_refused),
        TEST3(test_import_under_another_name),
        TEST3(test_permissions_of_the_copy),
        TEST3(test_secret_keys),
        TEST3(test_time_is_divided),
        TEST3(test_the_next_goes_where_it_works),
        TEST3(test_fallback_while_away),
        TEST3(test_searches_while_away),
        TEST3(test_all_fail),
        TEST3(test_the_own_vault_gets_another_chance),
        TEST3(test_a_copy_has_the_last_word_on_the_data),
        TEST3(test_a_denied_copy_is_passed_over),
    };

    return cmocka_run_group_tests_name("keys/failover", tests, NULL, NULL);
}
