/* A key of vault "prod" with copies in "dr" and "west": what is asked of whom, for how long, and what is told. */
#include "key_ops_help.h"

#include "base/log.h"

enum { PROD, DR, WEST, VAULTS };

/* "prod" is the world's own; the others share its map. */
struct three {
    struct world *world;
    struct kv_vault other[VAULTS]; /* [PROD] is not used */
    struct kv_vault_config config[VAULTS];
    struct kv_keyring *keyring[VAULTS];
    struct kv_log *log;
    char log_path[96];
};

static struct kv_vault *vault_of(struct three *three, int which)
{
    return which == PROD ? &three->world->vault : &three->other[which];
}

static void open_keyring(struct three *three, int which)
{
    struct kv_keyring_parts parts = { which == PROD ? &three->world->config : &three->config[which],
                                      vault_of(three, which), three->world->map, three->log, &help_clock };

    assert_int_equal(kv_keyring_open(&parts, &three->keyring[which], NULL), KV_OK);
}

static void start_keyrings(struct three *three)
{
    kv_keyring_free(three->world->keyring);
    for (int i = PROD; i < VAULTS; i++)
        open_keyring(three, i);
    three->world->keyring = three->keyring[PROD];
    kv_keyring_fail_over_to(three->keyring[PROD], three->keyring[DR]);
    kv_keyring_fail_over_to(three->keyring[PROD], three->keyring[WEST]);
}

static void stop_keyrings(struct three *three)
{
    kv_keyring_free(three->keyring[DR]);
    kv_keyring_free(three->keyring[WEST]);
}

static int setup_three(void **state)
{
    static const char *const names[] = { "prod", "dr", "west" };
    struct three *three = calloc(1, sizeof(*three));
    void *world;

    assert_non_null(three);
    setup(&world);
    three->world = world;
    snprintf(three->log_path, sizeof(three->log_path), "%s/log", three->world->folder);
    assert_int_equal(kv_log_open(three->log_path, KV_LOG_INFO, "none", &three->log, NULL), KV_OK);
    three->world->config.failover_pause_ms = 30000;
    for (int i = DR; i < VAULTS; i++) {
        three->config[i] = three->world->config;
        three->config[i].name = (char *)(size_t)names[i];
        three->config[i].url = i == DR ? "https://dr.vault.localhost" : "https://west.vault.localhost";
        three->config[i].host = i == DR ? "dr.vault.localhost" : "west.vault.localhost";
        fake_vault_init(&three->other[i]);
    }
    start_keyrings(three);
    *state = three;
    return 0;
}

static int teardown_three(void **state)
{
    struct three *three = *state;

    stop_keyrings(three);
    for (int i = DR; i < VAULTS; i++)
        fake_vault_clear(&three->other[i]);
    kv_log_free(three->log);
    world_free(three->world);
    free(three);
    return 0;
}

#define TEST3(name) cmocka_unit_test_setup_teardown(name, setup_three, teardown_three)

static struct fake_key *copy(struct three *three, int which, const char *name, const char *version)
{
    struct kv_vault *vault = vault_of(three, which);
    struct fake_key *key = &vault->keys[vault->count++];

    *key = (struct fake_key){ .name = name, .version = version, .created = 3000 };
    return key;
}

static const unsigned char blob_bytes[256] = { 1 };
static const struct kv_view blob = { blob_bytes, sizeof(blob_bytes) };

/* A restored copy of a3 in DR that opens the blob, as a3 itself does. */
static struct fake_key *restored(struct three *three, int which)
{
    fake_vault_seals(vault_of(three, PROD), "a3", blob);
    fake_vault_seals(vault_of(three, which), "a3", blob);
    return copy(three, which, "kek", "a3");
}

static struct run begin(struct three *three)
{
    struct run run = start(three->world, "a3", &oaep, KV_OP_UNWRAP);

    for (int i = PROD; i < VAULTS; i++)
        vault_of(three, i)->log[0] = '\0';
    return run;
}

static void assert_asked(struct three *three, const char *prod, const char *dr, const char *west)
{
    const char *should[] = { prod, dr, west };

    for (int i = PROD; i < VAULTS; i++) {
        assert_string_equal(vault_of(three, i)->log, should[i]);
        vault_of(three, i)->log[0] = '\0';
    }
}

/* How many lines of the log have this text. */
static size_t logged(struct three *three, const char *text)
{
    char line[2048];
    size_t count = 0;
    FILE *file = fopen(three->log_path, "r");

    assert_non_null(file);
    while (fgets(line, sizeof(line), file))
        count += strstr(line, text) != NULL;
    fclose(file);
    return count;
}

/* One unwrap in a run of its own. */
static enum kv_status open_once(struct three *three, struct kv_error *ret_err)
{
    struct run run = begin(three);
    enum kv_status status = unwrap(&run, blob);

    if (status == KV_OK)
        assert_true(kv_view_equal(KV_VIEW(run.out), kv_view_text("secret")));
    if (ret_err)
        *ret_err = run.err;
    run_free(&run);
    return status;
}

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
    assert_int_equal(open_once(three, NULL), KV_OK);
    assert_asked(three, "", "UNWRAP kek@a3", "");
    clock_seconds += 1;
    vault_of(three, PROD)->hangs = false;
    assert_int_equal(open_once(three, NULL), KV_OK);
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
