#include "key_ops_help.h"

/* Wraps under a version as the ledger sees it, and tells the vault what will open it. */
static struct kv_bytes wrapped(struct world *world, const char *version, const CK_MECHANISM *mechanism)
{
    struct run run = start(world, version, mechanism, KV_OP_WRAP);

    assert_int_equal(wrap(&run), KV_OK);
    assert_requests(world, "");
    fake_vault_seals(&world->vault, version, KV_VIEW(run.out));
    struct kv_bytes blob = kv_bytes_take(&run.out);
    run_free(&run);
    return blob;
}

/* --- opening old data --- */
struct opening {
    const char *text;
    const char *under, *named; /* named NULL: the current one, a3 */
    const CK_MECHANISM *mechanism;
    bool no_ledger_entry, no_ledger, no_fallback, exact;
    int64_t limit; /* 0: 8 */
    const char *disabled, *gone, *garbled;
    enum kv_status result;
    const char *requests;
    const char *told; /* part of the error */
};

static const struct opening openings[] = {
    { "the current version's own data takes one request", "a3", NULL, &oaep, .requests = "UNWRAP kek@a3" },
    { "old data under the bare name goes straight to the version of the ledger", "a1", NULL, &oaep,
      .requests = "UNWRAP kek@a1" },
    { "a pinned version is taken at its word", "a1", "a1", &oaep, .requests = "UNWRAP kek@a1" },
    { "without the ledger the versions are tried, newest first", "a1", NULL, &oaep, .no_ledger_entry = true,
      .requests = "UNWRAP kek@a3, LIST kek, UNWRAP kek@a2, UNWRAP kek@a1" },
    { "a ledger that is turned off is not used", "a1", NULL, &oaep, .no_ledger = true,
      .requests = "UNWRAP kek@a3, LIST kek, UNWRAP kek@a2, UNWRAP kek@a1" },
    { "not more versions are tried than allowed", "a1", NULL, &oaep, .no_ledger_entry = true, .limit = 1,
      .result = KV_BAD_WRAPPED_KEY, .requests = "UNWRAP kek@a3, LIST kek, UNWRAP kek@a2",
      .told = "prod/kek@a1" },
    { "without fallback the error names the version that the ledger knows", "a1", NULL, &oaep,
      .no_ledger = true, .no_fallback = true, .result = KV_BAD_WRAPPED_KEY, .requests = "UNWRAP kek@a3",
      .told = "it was wrapped under 'prod/kek@a1'" },
    { "without fallback and without knowledge it names what else there is", "a1", NULL, &oaep,
      .no_ledger_entry = true, .no_fallback = true, .result = KV_BAD_WRAPPED_KEY,
      .requests = "UNWRAP kek@a3, LIST kek", .told = "2 more exist, most likely 'prod/kek@a2'" },
    { "the wrong pinned version is not the last word", "a1", "a2", &oaep, .no_ledger_entry = true,
      .requests = "UNWRAP kek@a2, LIST kek, UNWRAP kek@a3, UNWRAP kek@a1" },
    { "a version that the data name is the only one that is asked", "a1", "a2", &oaep,
      .no_ledger_entry = true, .exact = true, .result = KV_BAD_WRAPPED_KEY, .requests = "UNWRAP kek@a2",
      .told = "version 'prod/kek@a2', which the data name" },
    { "also where the ledger knows better", "a1", NULL, &oaep, .exact = true, .result = KV_BAD_WRAPPED_KEY,
      .requests = "UNWRAP kek@a3", .told = "version 'prod/kek@a3', which the data name" },
    { "PKCS#1 v1.5 goes by the ledger too", "a1", NULL, &rsa1_5, .requests = "UNWRAP kek@a1" },
    { "but no version is ever tried for it", "a1", NULL, &rsa1_5, .no_ledger_entry = true,
      .result = KV_BAD_WRAPPED_KEY, .requests = "UNWRAP kek@a3, LIST kek", .told = "prod/kek@a2" },
    { "when the right version is disabled, that is the answer", "a1", NULL, &oaep, .disabled = "a1",
      .result = KV_DISABLED, .requests = "UNWRAP kek@a1", .told = "wrapped under version 'prod/kek@a1'" },
    { "while the right version's reply is of no use, the data are not called bad", "a2", NULL, &oaep,
      .no_ledger_entry = true, .garbled = "a2", .result = KV_PROTOCOL,
      .requests = "UNWRAP kek@a3, LIST kek, UNWRAP kek@a2, UNWRAP kek@a1",
      .told = "not known whether version 'prod/kek@a2' opens this data" },
    { "that of another version is no hindrance", "a1", NULL, &oaep, .no_ledger_entry = true, .garbled = "a2",
      .requests = "UNWRAP kek@a3, LIST kek, UNWRAP kek@a2, UNWRAP kek@a1" },
    { "when it is gone, too", "a1", NULL, &oaep, .gone = "a1", .result = KV_NOT_FOUND,
      .requests = "UNWRAP kek@a1", .told = "wrapped under version 'prod/kek@a1'" },
};

static struct kv_bytes make_blob(struct world *world, const struct opening *opening)
{
    if (!opening->no_ledger_entry)
        return wrapped(world, opening->under, opening->mechanism);
    world->config.ledger = false;
    struct kv_bytes blob = wrapped(world, opening->under, opening->mechanism);
    world->config.ledger = true;
    return blob;
}

static void run_opening(const struct opening *opening)
{
    void *state;
    setup(&state);
    struct world *world = state;
    char found[256];

    /* All versions are known, and the knowledge of their list has aged. */
    world_find(world, &(struct kv_keyring_query){ 0 }, found, sizeof(found));
    clock_seconds += 301;
    struct kv_bytes blob = make_blob(world, opening);
    world->config.ledger = !opening->no_ledger;
    world->config.decrypt_fallback = !opening->no_fallback;
    world->config.decrypt_fallback_limit = opening->limit ? opening->limit : 8;
    world_restart(world);
    struct run run = start(world, opening->named, opening->mechanism, KV_OP_UNWRAP);
    run.exact = opening->exact;
    for (size_t i = 0; i < world->vault.count; i++) {
        struct fake_key *key = &world->vault.keys[i];
        key->disabled = opening->disabled && !strcmp(key->version, opening->disabled);
        key->garbled = opening->garbled && !strcmp(key->version, opening->garbled);
        key->gone = opening->gone && !strcmp(key->version, opening->gone);
    }
    world->vault.log[0] = '\0';
    assert_int_equal(unwrap(&run, KV_VIEW(blob)), opening->result);
    assert_requests(world, opening->requests);
    if (opening->result == KV_OK)
        assert_true(kv_view_equal(KV_VIEW(run.out), kv_view_text("secret")));
    else
        assert_null(run.out.data);
    if (opening->told && !strstr(run.err.text, opening->told))
        fail_msg("'%s' is not in '%s'", opening->told, run.err.text);
    run_free(&run);
    kv_bytes_free(&blob);
    teardown(&state);
}

static void test_openings(void **state)
{
    for (size_t i = 0; i < COUNT(openings); i++) {
        print_message("  %s\n", openings[i].text);
        run_opening(&openings[i]);
    }
}

/* The error is for a person at night: version, cause, and something to paste. */
static void test_error_has_a_uri(void **state)
{
    struct world *world = *state;
    struct kv_bytes blob = wrapped(world, "a1", &oaep);

    world->config.ledger = world->config.decrypt_fallback = false;
    struct run run = start(world, NULL, &oaep, KV_OP_UNWRAP);
    struct kv_version *right = NULL;
    assert_int_equal(kv_keyring_version(world->keyring, "kek", "a1", &run.task, &right, NULL), KV_OK);
    char *uri = kv_version_uri(right);
    assert_int_equal(unwrap(&run, KV_VIEW(blob)), KV_BAD_WRAPPED_KEY);
    assert_non_null(strstr(run.err.text, uri));
    assert_non_null(strstr(run.err.text, "version 'prod/kek@a3' (current) cannot open this data"));
    kv_text_free(uri);
    kv_version_free(right);
    run_free(&run);
    kv_bytes_free(&blob);
}

static void test_wrong_length_is_not_sent(void **state)
{
    struct world *world = *state;
    struct run run = start(world, NULL, &oaep, KV_OP_UNWRAP);

    assert_int_equal(unwrap(&run, kv_view_text("short")), KV_CIPHERTEXT_LENGTH);
    assert_non_null(strstr(run.err.text, "256 bytes"));
    assert_null(strstr(world->vault.log, "UNWRAP"));
    run_free(&run);
}

static void test_transport_failure_ends_the_tries(void **state)
{
    struct world *world = *state;
    struct opening other = { .under = "a1", .mechanism = &oaep, .no_ledger_entry = true };
    struct kv_bytes blob = make_blob(world, &other);
    struct run run = start(world, NULL, &oaep, KV_OP_UNWRAP);

    world->vault.down = KV_THROTTLED;
    assert_int_equal(unwrap(&run, KV_VIEW(blob)), KV_THROTTLED);
    assert_requests(world, "UNWRAP kek@a3");
    run_free(&run);
    kv_bytes_free(&blob);
}

static void test_last_unwrap_is_remembered(void **state)
{
    struct world *world = *state;
    struct kv_bytes blob = wrapped(world, "a1", &oaep);
    struct run run = start(world, NULL, &oaep, KV_OP_UNWRAP);
    struct kv_version *version = NULL;

    assert_int_equal(unwrap(&run, KV_VIEW(blob)), KV_OK);
    world_restart(world);
    assert_int_equal(kv_keyring_version(world->keyring, "kek", "a1", &run.task, &version, NULL), KV_OK);
    assert_int_equal(version->last_unwrap, clock_seconds);
    assert_int_equal(version->wraps, 1);
    kv_version_free(version);
    run_free(&run);
    kv_bytes_free(&blob);
}

/* Data that was wrapped elsewhere is looked for once. */
static void test_opened_is_learnt(void **state)
{
    struct world *world = *state;
    struct opening elsewhere = { .under = "a1", .mechanism = &oaep, .no_ledger_entry = true };
    struct kv_bytes blob = make_blob(world, &elsewhere);
    struct run trial = start(world, NULL, &oaep, KV_OP_UNWRAP);
    struct kv_key_use use = use_of(&trial);

    use.trial = true; /* a proof leaves no trace */
    assert_int_equal(kv_key_decrypt(&use, KV_OP_UNWRAP, KV_VIEW(blob), &trial.out, &trial.err), KV_OK);
    run_free(&trial);
    struct run first = start(world, NULL, &oaep, KV_OP_UNWRAP);
    assert_int_equal(unwrap(&first, KV_VIEW(blob)), KV_OK);
    assert_requests(world, "UNWRAP kek@a3, UNWRAP kek@a2, UNWRAP kek@a1");
    world_restart(world);
    struct run second = start(world, NULL, &oaep, KV_OP_UNWRAP);
    assert_int_equal(unwrap(&second, KV_VIEW(blob)), KV_OK);
    assert_requests(world, "UNWRAP kek@a1");
    run_free(&first);
    run_free(&second);
    kv_bytes_free(&blob);
}

static void test_resolve(void **state)
{
    struct world *world = *state;
    struct kv_bytes blob = wrapped(world, "a2", &oaep);
    struct kv_task task = world_task(world);
    struct kv_version *version = NULL;
    struct kv_error err = { 0 };

    world_restart(world); /* the ledger is written when a process ends */
    assert_int_equal(kv_key_resolve(world->keyring, KV_VIEW(blob), &task, &version, &err), KV_OK);
    assert_string_equal(version->version, "a2");
    kv_version_free(version);
    version = (struct kv_version *)world; /* anything but NULL */
    assert_int_equal(kv_key_resolve(world->keyring, kv_view_text("never seen"), &task, &version, &err),
                     KV_OK);
    assert_null(version);
    assert_requests(world, "");
    kv_bytes_free(&blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openings),
        TEST(test_error_has_a_uri),
        TEST(test_wrong_length_is_not_sent),
        TEST(test_transport_failure_ends_the_tries),
        TEST(test_last_unwrap_is_remembered),
        TEST(test_opened_is_learnt),
        TEST(test_resolve),
    };

    return cmocka_run_group_tests_name("keys/key_ops_decrypt", tests, NULL, NULL);
}
