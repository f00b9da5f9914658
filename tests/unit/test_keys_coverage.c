/* Who opens the backups of a map, summed up inside it; samples for drills; wraps that became backups. */
#include "map_help.h"

#include "keys/coverage.h"

enum { OLD = 1, NEW, GONE, STRANGE };

static void store_version(struct kv_map *map, unsigned char first, enum kv_state state, unsigned bits)
{
    struct kv_version *version = kv_version_new();
    assert_non_null(version);
    kv_text_fit(version->vault, sizeof version->vault, "prod");
    kv_text_fit(version->name, sizeof version->name, "k");
    snprintf(version->version, sizeof version->version, "%032x", first);
    snprintf(version->kid, sizeof version->kid, "https://prod.vault.azure.net/keys/k/%032x", first);
    version->kind = KV_RSA;
    version->bits = bits;
    version->operations = KV_OP_UNWRAP | KV_OP_WRAP;
    version->spki_sha256[0] = version->id[0] = first;
    version->state = state;
    version->enabled = state == KV_STATE_ENABLED;
    version->seen = version->first_seen = 5;
    version->wraps = 0;
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    kv_version_free(version);
}

/* A letter a recipient: o, n, g, s: the keys above; x: X25519; u: a stanza that nobody knows. */
static void put(struct kv_map *map, const char *id, const char *store, const char *opened_by)
{
    struct kv_map_recipient recipients[8] = { 0 };
    size_t count = strlen(opened_by);
    for (size_t i = 0; i < count; i++) {
        const char *key = strchr("ongs", opened_by[i]);
        kv_text_fit(recipients[i].kind, sizeof recipients[i].kind,
                    key                   ? "rsa-oaep-256"
                    : opened_by[i] == 'x' ? "x25519"
                                          : "unknown");
        recipients[i].key_len = key ? 32 : 0;
        recipients[i].key[0] = key ? (unsigned char)(OLD + (key - "ongs")) : 0;
    }
    struct kv_map_backup backup = { .size = 100, .recipients = recipients, .recipient_count = count };
    kv_text_fit(backup.id, sizeof backup.id, id);
    kv_text_fit(backup.store, sizeof backup.store, store);
    struct kv_error err = { 0 };
    if (kv_map_backup_put(map, &backup, 1, 10, &err))
        fail_msg("%s", err.text);
}

static struct kv_map *filled(void)
{
    struct kv_map *map = open_map();
    store_version(map, OLD, KV_STATE_EXPIRED, 2048);
    store_version(map, NEW, KV_STATE_ENABLED, 4096);
    store_version(map, GONE, KV_STATE_DISABLED, 2048);
    put(map, "both", "a", "ox");
    put(map, "two", "a", "on");
    put(map, "vault", "a", "n");
    put(map, "glass", "b", "gx");
    put(map, "lost", "b", "gu");
    put(map, "strange", "b", "s");
    put(map, "went", "b", "o");
    assert_int_equal(kv_map_backup_retire(map, "went", "b", 20, NULL), KV_OK);
    return map;
}

static void sums(void **state)
{
    static const struct {
        struct kv_map_choice choice;
        struct kv_map_coverage sums;
    } cases[] = {
        { { NULL, NULL }, { 6, 600, 3, 2, 2, 200, 4, 400, 1 } },
        { { NULL, "\nprod\ndr\n" }, { 6, 600, 3, 2, 2, 200, 4, 400, 1 } },
        { { NULL, "\npro\nd\n" }, { 6, 600, 0, 2, 4, 400, 4, 400, 1 } },
        { { "a", NULL }, { 3, 300, 3, 1, 0, 0, 2, 200, 0 } },
        { { "none", NULL }, { 0 } },
    };
    struct kv_map *map = filled();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kv_map_survey got = { 0 };
        assert_int_equal(kv_map_survey(map, &cases[i].choice, 0, &got, NULL), KV_OK);
        assert_memory_equal(&got.sums, &cases[i].sums, sizeof got.sums);
        kv_map_survey_free(&got);
    }
    kv_map_free(map);
}

static void keys(void **state)
{
    static const struct {
        unsigned char first;
        int64_t backups, sole;
    } wanted[] = { { OLD, 2, 0 }, { NEW, 2, 1 }, { GONE, 2, 1 }, { STRANGE, 1, 1 } };
    struct kv_map *map = filled();
    struct kv_map_survey survey = { 0 };
    const struct kv_map_covered *keys = NULL;
    assert_int_equal(kv_map_survey(map, &(struct kv_map_choice){ 0 }, 0, &survey, NULL), KV_OK);
    assert_int_equal(survey.key_count, 4);
    keys = survey.keys;
    for (size_t i = 0; i < survey.key_count; i++) {
        assert_int_equal(keys[i].key[0], wanted[i].first);
        assert_int_equal(keys[i].backups, wanted[i].backups);
        assert_int_equal(keys[i].sole, wanted[i].sole);
        assert_int_equal(keys[i].bytes, wanted[i].backups * 100);
        assert_int_equal(keys[i].version != 0, keys[i].key[0] != STRANGE);
        assert_int_equal(keys[i].is_enabled, keys[i].key[0] == NEW);
    }
    kv_map_survey_free(&survey);
    assert_int_equal(kv_map_survey(map, &(struct kv_map_choice){ "b", NULL }, 0, &survey, NULL), KV_OK);
    assert_int_equal(survey.key_count, 2); /* what opens nothing there is not told */
    assert_int_equal(survey.keys[0].key[0], GONE);
    kv_map_survey_free(&survey);
    kv_map_free(map);
}

/* A key that opens a backup as two kinds of stanza counts once, and two keys that can share it are neither alone with it. */
static void counts_a_key_once(void **state)
{
    struct kv_map *map = filled();
    struct kv_map_recipient recipients[3] = { { .kind = "rsa-oaep-256", .key = { NEW }, .key_len = 32 },
                                              { .kind = "cms-oaep-256", .key = { NEW }, .key_len = 32 },
                                              { .kind = "rsa-oaep-256", .key = { OLD }, .key_len = 32 } };
    struct kv_map_backup twice = { .id = "twice", .size = 7, .keep_until = 99, .recipients = recipients };
    struct kv_map_survey before = { 0 }, survey = { 0 };
    assert_int_equal(kv_map_survey(map, &(struct kv_map_choice){ 0 }, 0, &before, NULL), KV_OK);
    for (size_t count = 2; count <= 3; count++) {
        twice.recipient_count = count;
        assert_int_equal(kv_map_backup_put(map, &twice, 1, 10, NULL), KV_OK);
        assert_int_equal(kv_map_survey(map, &(struct kv_map_choice){ 0 }, 0, &survey, NULL), KV_OK);
        assert_int_equal(survey.keys[1].backups, before.keys[1].backups + 1);
        assert_int_equal(survey.keys[1].bytes, before.keys[1].bytes + 7);
        assert_int_equal(survey.keys[1].keep_until, 99);
        assert_int_equal(survey.keys[1].sole, before.keys[1].sole + (count == 2));
        assert_int_equal(survey.keys[0].sole, 0);
        kv_map_survey_free(&survey);
    }
    kv_map_survey_free(&before);
    kv_map_free(map);
}

static void names_those_that_are_lost(void **state)
{
    struct kv_map *map = filled();
    struct kv_map_survey survey = { 0 };
    for (size_t most = 0; most < 4; most++) {
        assert_int_equal(kv_map_survey(map, &(struct kv_map_choice){ 0 }, most, &survey, NULL), KV_OK);
        assert_int_equal(survey.lost_count, most < 2 ? most : 2);
        for (size_t i = 0; i < survey.lost_count; i++) {
            struct kv_map_backup_list list = { 0 };
            const struct kv_map_backup_query query = { .after = survey.lost[i] - 1, .limit = 1 };
            assert_int_equal(kv_map_backup_page(map, &query, &list, NULL), KV_OK);
            assert_string_equal(list.items[0].id, i ? "strange" : "lost");
            kv_map_backup_list_free(&list);
        }
        kv_map_survey_free(&survey);
    }
    kv_map_free(map);
}

/* One call a backup, whoever else opens it. */
static void costs(void **state)
{
    struct kv_map *map = filled();
    struct kv_map_survey survey = { 0 };
    assert_int_equal(kv_map_survey(map, &(struct kv_map_choice){ 0 }, 0, &survey, NULL), KV_OK);
    const struct kv_map_cost *cost = survey.costs;
    assert_int_equal(survey.cost_count, 2);
    assert_int_equal(cost[0].bits, 2048);
    assert_int_equal(cost[0].calls, 2);
    assert_int_equal(cost[1].bits, 4096);
    assert_int_equal(cost[1].calls, 1);
    assert_string_equal(cost[1].vault, "prod");
    kv_map_survey_free(&survey);
    kv_map_free(map);
}

static void samples(void **state)
{
    struct kv_map *map = filled();
    struct kv_map_sample *sample = NULL;
    size_t count = 0;
    assert_int_equal(kv_map_sample(map, NULL, false, 1, &sample, &count, NULL), KV_OK);
    assert_int_equal(count, 4); /* of each key in its store */
    int64_t first = sample[0].row;
    free(sample);
    assert_int_equal(kv_map_backup_drilled(map, "two", "a", 30, "ok", NULL), KV_OK);
    assert_int_equal(kv_map_sample(map, "a", false, 1, &sample, &count, NULL), KV_OK);
    assert_int_equal(count, 2);
    assert_true(sample[0].row != first && sample[0].key[0] == OLD);
    free(sample);
    assert_int_equal(kv_map_sample(map, NULL, true, 5, &sample, &count, NULL), KV_OK);
    assert_int_equal(count, 2); /* what nobody knows is no break-glass */
    assert_int_equal(sample[0].key_len, 0);
    free(sample);
    kv_map_free(map);
}

static void wraps_settle(void **state)
{
    struct kv_map *map = open_map();
    store_version(map, OLD, KV_STATE_ENABLED, 2048);
    unsigned char digests[2][32] = { { 1 }, { 9 } }; /* the second is of no wrap that is known */
    struct kv_map_wrap wraps[2] = { { .digest = { 1 }, .vault = "prod", .name = "k", .at = 7 },
                                    { .digest = { 2 }, .vault = "prod", .name = "k", .at = 8 } };
    for (int i = 0; i < 2; i++)
        snprintf(wraps[i].version, sizeof wraps[i].version, "%032x", OLD);
    assert_int_equal(kv_map_wrapped(map, wraps, 2, NULL), KV_OK);
    struct kv_version_list list = { 0 };
    int64_t left = 0;
    assert_int_equal(kv_map_find(map, &(struct kv_map_query){ .vault = "prod" }, &list, NULL), KV_OK);
    assert_int_equal(kv_map_wraps_left(map, list.items[0], &left, NULL), KV_OK);
    assert_int_equal(left, 2);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(kv_map_wraps_settle(map, digests, 2, 9, NULL), KV_OK);
        assert_int_equal(kv_map_wraps_left(map, list.items[0], &left, NULL), KV_OK);
        assert_int_equal(left, 1);
    }
    struct kv_map_wrap who = { 0 };
    assert_int_equal(kv_map_who_wrapped(map, digests[0], &who, NULL), KV_OK);
    assert_int_equal(who.at, 7); /* and the ledger still says who wrapped it */
    kv_version_list_free(&list);
    kv_map_free(map);
}

static struct kv_version *stored(struct kv_map *map, const char *vault)
{
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    assert_int_equal(kv_map_find(map, &(struct kv_map_query){ .vault = vault }, &list, NULL), KV_OK);
    assert_int_equal(list.count, 1);
    return kv_version_ref(list.items[0]);
}

static int64_t left_of(struct kv_map *map, const struct kv_version *version)
{
    int64_t left = -1;
    assert_int_equal(kv_map_wraps_left(map, version, &left, NULL), KV_OK);
    return left;
}

/* What was wrapped where a key once was needs the place where it is now. */
static void wraps_need_a_key_in_all_its_places(void **state)
{
    struct kv_map *map = open_map();
    store_version(map, OLD, KV_STATE_PURGED, 2048);
    KV_AUTO_VERSION struct kv_version *was = stored(map, "prod"), *moved = kv_version_copy(was);
    kv_text_fit(moved->vault, sizeof moved->vault, "dr");
    kv_text_fit(moved->name, sizeof moved->name, "other");
    moved->state = KV_STATE_ENABLED;
    assert_int_equal(kv_map_store(map, &moved, 1, NULL), KV_OK);
    struct kv_map_wrap wrap = { .digest = { 1 }, .vault = "prod", .name = "K", .at = 7 };
    snprintf(wrap.version, sizeof wrap.version, "%032x", OLD);
    assert_int_equal(kv_map_wrapped(map, &wrap, 1, NULL), KV_OK);
    assert_int_equal(left_of(map, moved), 1);
    assert_int_equal(left_of(map, was), 1);
    unsigned char digests[1][32] = { { 1 } };
    assert_int_equal(kv_map_wraps_settle(map, digests, 1, 9, NULL), KV_OK);
    assert_int_equal(left_of(map, moved), 0);
    kv_map_free(map);
}

/* One that was told before its version was known counts for nothing, and its end does not hide the next one. */
static void a_wrap_of_nobody_hides_none(void **state)
{
    struct kv_map *map = open_map();
    unsigned char digests[1][32] = { { 1 } };
    struct kv_map_wrap wraps[2] = { { .digest = { 1 }, .vault = "prod", .name = "k", .at = 7 },
                                    { .digest = { 2 }, .vault = "prod", .name = "k", .at = 8 } };
    for (int i = 0; i < 2; i++)
        snprintf(wraps[i].version, sizeof wraps[i].version, "%032x", OLD);
    assert_int_equal(kv_map_wrapped(map, wraps, 1, NULL), KV_OK);
    store_version(map, OLD, KV_STATE_ENABLED, 2048);
    KV_AUTO_VERSION struct kv_version *version = stored(map, "prod");
    assert_int_equal(kv_map_wraps_settle(map, digests, 1, 9, NULL), KV_OK);
    assert_int_equal(kv_map_wrapped(map, &wraps[1], 1, NULL), KV_OK);
    assert_int_equal(left_of(map, version), 1);
    kv_map_free(map);
}

/* A file of the format before counts what is settled from its ledger, once. */
static void an_older_file_counts_what_is_settled(void **state)
{
    for (int i = 0; i < 7; i++)
        run_sql(kv_map_steps[i]);
    run_sql(
        "PRAGMA application_id = 1263939889; PRAGMA user_version = 7;"
        "INSERT INTO version VALUES (1, 'prod', 'k', '0a', 'https://prod/keys/k/0a', 1, 2, 1, 256, '', 48,"
        " zeroblob(20), zeroblob(32), x'', 'enabled', 1, 0, 0, 7, 5, 6, 1, 2, 3, 3, 0, '', 0, 0, 0, 0, 0, "
        "'', 0);"
        "INSERT INTO wrap VALUES (x'01', 'prod', 'K', '0A', 1, 'p', 4);"
        "INSERT INTO wrap VALUES (x'02', 'prod', 'k', '0a', 1, 'p', 5);"
        "INSERT INTO wrap VALUES (x'03', 'prod', 'k', '0a', 1, 'p', 0);"
        "INSERT INTO wrap VALUES (x'04', 'prod', 'k', '0b', 1, 'p', 5)");
    assert_int_equal(chmod(path, 0600), 0);
    struct kv_map *map = open_map();
    KV_AUTO_VERSION struct kv_version *version = stored(map, "prod");
    assert_true(version->wraps == 3 && version->settled == 2);
    assert_int_equal(left_of(map, version), 1);
    kv_map_free(map);
}

static int64_t wraps_left(struct kv_map *map)
{
    struct kv_version_list list = { 0 };
    int64_t left = 0;
    assert_int_equal(kv_map_find(map, &(struct kv_map_query){ .vault = "prod" }, &list, NULL), KV_OK);
    assert_int_equal(kv_map_wraps_left(map, list.items[0], &left, NULL), KV_OK);
    kv_version_list_free(&list);
    return left;
}

/* Headers A and B are two attempts at one file, C is another file's, D a backup's that no wrap stands in. */
static void a_rewrap_ends_by_its_header(void **state)
{
    static const unsigned char digests[][32] = { { 1 }, { 2 }, { 3 } };
    static const struct kv_map_rewrap rewraps[] = {
        { { 'A' }, &digests[0], 2, "", "" },
        { { 'B' }, &digests[0], 2, "", "" },
        { { 'C' }, &digests[2], 1, "id", "store" },
        { { 'D' }, NULL, 0, "one", "azblob:x" },
        { { 'E' }, NULL, 0, "", "" },
    };
    static const struct {
        bool found;
        const char *id, *store;
        int64_t left;
    } ends[] = { { false, "", "", 3 },
                 { true, "", "", 1 },
                 { true, "id", "store", 0 },
                 { true, "one", "azblob:x", 0 },
                 { false, "", "", 0 } };
    struct kv_map *map = open_map();
    store_version(map, OLD, KV_STATE_ENABLED, 2048);
    for (unsigned char i = 1; i <= 3; i++) {
        struct kv_map_wrap wrap = { .digest = { i }, .vault = "prod", .name = "k", .at = 7 };
        snprintf(wrap.version, sizeof wrap.version, "%032x", OLD);
        assert_int_equal(kv_map_wrapped(map, &wrap, 1, NULL), KV_OK);
    }
    for (size_t i = 0; i < sizeof rewraps / sizeof *rewraps; i++)
        assert_int_equal(kv_map_rewrap_begin(map, &rewraps[i], NULL), KV_OK);
    assert_int_equal(wraps_left(map), 3); /* nothing has come of them yet */
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct kv_map_rewrap_begun begun = { 0 };
        assert_int_equal(kv_map_rewrap_find(map, rewraps[i].header_sha256, &begun, NULL), KV_OK);
        assert_int_equal(begun.found, ends[i].found);
        assert_string_equal(begun.id, ends[i].id);
        assert_string_equal(begun.store, ends[i].store);
        assert_int_equal(kv_map_rewrap_end(map, rewraps[i].header_sha256, 9, NULL), KV_OK);
        assert_int_equal(wraps_left(map), ends[i].left);
        assert_int_equal(kv_map_rewrap_find(map, rewraps[i].header_sha256, &begun, NULL), KV_OK);
        assert_false(begun.found);
    }
    kv_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sums, setup, teardown),
        cmocka_unit_test_setup_teardown(keys, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_a_key_once, setup, teardown),
        cmocka_unit_test_setup_teardown(names_those_that_are_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(costs, setup, teardown),
        cmocka_unit_test_setup_teardown(samples, setup, teardown),
        cmocka_unit_test_setup_teardown(wraps_settle, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rewrap_ends_by_its_header, setup, teardown),
        TEST(wraps_need_a_key_in_all_its_places),
        TEST(a_wrap_of_nobody_hides_none),
        TEST(an_older_file_counts_what_is_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
