/* What the version map keeps and how it is found again, on real files. */
#include "map_help.h"

/* --- versions --- */

static void a_version_comes_back_whole(void **state)
{
    EVP_PKEY *pkey = make_key(KV_EC, "P-384");
    KV_AUTO_VERSION struct kv_version *version = make_version("sign-me", 7, true);
    version->kind = KV_EC;
    version->bits = 384;
    version->spki = spki_of(pkey);
    kv_text_fit(version->curve, sizeof version->curve, "P-384");
    version->operations = KV_OP_SIGN | KV_OP_VERIFY;
    version->state = KV_STATE_NOT_YET_VALID;
    version->nbf = 111;
    version->exp = 222;
    version->last_unwrap = 9;
    version->wraps = 3;
    assert_int_equal(kv_version_identify(version), KV_OK);
    EVP_PKEY_free(pkey);

    struct kv_map *map = open_map();
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    kv_map_free(map);
    map = open_map(); /* from the file, not from memory */
    KV_CLEANUP(kv_version_list_free)
    struct kv_version_list list = find(map, &(struct kv_map_query){ .vault = "prod", .name = "sign-me" });
    assert_int_equal(list.count, 1);
    const struct kv_version *back = list.items[0];
    assert_string_equal(back->vault, "prod");
    assert_string_equal(back->version, version->version);
    assert_string_equal(back->kid, version->kid);
    assert_string_equal(back->label, "sign-me");
    assert_string_equal(back->curve, "P-384");
    assert_true(back->current && back->hsm && back->enabled && back->row > 0);
    assert_int_equal(back->kind, KV_EC);
    assert_int_equal(back->bits, 384);
    assert_int_equal(back->operations, version->operations);
    assert_int_equal(back->state, KV_STATE_NOT_YET_VALID);
    assert_int_equal(back->nbf, 111);
    assert_int_equal(back->exp, 222);
    assert_int_equal(back->created, 1007);
    assert_int_equal(back->first_seen, 5000);
    assert_int_equal(back->last_unwrap, 9);
    assert_int_equal(back->wraps, 3);
    assert_memory_equal(back->id, version->id, KV_ID_SIZE);
    assert_memory_equal(back->spki_sha256, version->spki_sha256, 32);
    assert_bytes(KV_VIEW(back->spki), KV_VIEW(version->spki));
    const struct kv_public *key = NULL;
    assert_int_equal(kv_version_public(back, &key, NULL), KV_OK);
    kv_map_free(map);
}

static void finds(void **state)
{
    struct kv_map *map = open_map();
    KV_AUTO_VERSION struct kv_version *b2 = make_version("b", 2, true);
    store(map, "b", 1, false);
    store(map, "b", 2, true);
    store(map, "a", 3, true);
    store(map, "b", 4, false);
    KV_AUTO_VERSION struct kv_version *other = make_version("b", 2, true);
    kv_text_fit(other->vault, sizeof other->vault, "other");
    assert_int_equal(kv_map_store(map, &other, 1, NULL), KV_OK);

    const struct {
        const char *sentence;
        struct kv_map_query query;
        size_t count;
    } rows[] = {
        { "all", { 0 }, 5 },
        { "empty texts do not select", { .vault = "", .name = "", .version = "" }, 5 },
        { "a vault", { .vault = "prod" }, 4 },
        { "a name", { .vault = "prod", .name = "b" }, 3 },
        { "a name in any vault", { .name = "b" }, 4 },
        { "a name, whatever its case", { .vault = "prod", .name = "B" }, 3 },
        { "current", { .vault = "prod", .name = "b", .current_only = true }, 1 },
        { "all that is current", { .vault = "prod", .current_only = true }, 2 },
        { "a version", { .vault = "prod", .name = "b", .version = b2->version }, 1 },
        { "an unknown version", { .vault = "prod", .name = "b", .version = "ff" }, 0 },
        { "an id", { .id = { b2->id, KV_ID_SIZE } }, 2 },
        { "an id in a vault", { .vault = "prod", .id = { b2->id, KV_ID_SIZE } }, 1 },
        { "an unknown id", { .id = { b2->spki_sha256, KV_ID_SIZE } }, 0 },
        { "at most two", { .vault = "prod", .limit = 2 }, 2 },
        { "an unknown vault", { .vault = "nowhere" }, 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (count(map, &rows[i].query) != rows[i].count)
            fail_msg("%s", rows[i].sentence);

    KV_CLEANUP(kv_version_list_free)
    struct kv_version_list list = find(map, &(struct kv_map_query){ .vault = "prod" });
    static const int order[] = { 3, 4, 2, 1 }; /* by name, the newest first */
    for (size_t i = 0; i < COUNT(order); i++)
        assert_int_equal(list.items[i]->created, 1000 + order[i]);
    kv_map_free(map);
}

static void storing_again_forgets_nothing(void **state)
{
    struct kv_map *map = open_map();
    KV_AUTO_VERSION struct kv_version *version = make_version("k", 1, true);
    version->wraps = 5;
    version->last_wrap = 50;
    version->first_wrap = 40;
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    version->wraps = 0;
    version->last_wrap = version->first_wrap = 0;
    version->first_seen = 9000;
    version->seen = 4000;
    version->state = KV_STATE_MISSING;
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);

    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = find(map, &(struct kv_map_query){ 0 });
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0]->wraps, 5);
    assert_int_equal(list.items[0]->first_wrap, 40);
    assert_int_equal(list.items[0]->last_wrap, 50);
    assert_int_equal(list.items[0]->first_seen, 5000);
    assert_int_equal(list.items[0]->seen, 5000);
    assert_int_equal(list.items[0]->state, KV_STATE_MISSING);
    kv_map_free(map);
}

static void one_version_of_a_name_is_current(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_query current = { .vault = "prod", .name = "k", .current_only = true };
    store(map, "k", 1, true);
    store(map, "other", 1, true);
    store(map, "k", 2, true);
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = find(map, &current);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0]->created, 1002);
    assert_string_equal(list.items[0]->label, "k");
    assert_int_equal(
        count(map, &(struct kv_map_query){ .vault = "prod", .name = "other", .current_only = true }), 1);
    kv_map_free(map);
}

/* --- facts beside versions --- */

static void visits(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_visit visit = { 99, KV_DENIED };
    assert_int_equal(kv_map_visited(map, "prod", "k", &visit, NULL), KV_OK);
    assert_int_equal(visit.at, 0);
    assert_int_equal(kv_map_visit(map, "prod", "k", &(struct kv_map_visit){ 10, KV_NOT_FOUND }, NULL), KV_OK);
    assert_int_equal(kv_map_visit(map, "prod", NULL, &(struct kv_map_visit){ 20, KV_OK }, NULL), KV_OK);
    assert_int_equal(kv_map_visit(map, "prod", "k", &(struct kv_map_visit){ 30, KV_DENIED }, NULL), KV_OK);
    assert_int_equal(kv_map_visited(map, "prod", "k", &visit, NULL), KV_OK);
    assert_int_equal(visit.at, 30);
    assert_int_equal(visit.status, KV_DENIED);
    assert_int_equal(kv_map_visited(map, "prod", NULL, &visit, NULL), KV_OK);
    assert_int_equal(visit.at, 20);
    assert_int_equal(visit.status, KV_OK);
    kv_map_free(map);
}

static void challenges(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_challenge told = { "prod.vault.azure.net", "https://login.microsoftonline.com", "tenant",
                                     "scope" };
    struct kv_map_challenge back;
    assert_int_equal(kv_map_challenge(map, told.host, &back, NULL), KV_OK);
    assert_string_equal(back.authority, "");
    assert_int_equal(kv_map_learn(map, &told, NULL), KV_OK);
    kv_text_fit(told.tenant, sizeof told.tenant, "moved");
    assert_int_equal(kv_map_learn(map, &told, NULL), KV_OK);
    assert_int_equal(kv_map_challenge(map, "PROD.vault.azure.net", &back, NULL), KV_OK);
    assert_string_equal(back.authority, told.authority);
    assert_string_equal(back.tenant, "moved");
    assert_string_equal(back.scope, "scope");
    kv_map_free(map);
}

static void the_ledger_counts_each_blob_once(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_wrap entries[] = { make_wrap(1, 1, 70), make_wrap(2, 1, 60), make_wrap(3, 2, 80),
                                     make_wrap(1, 1, 90) };
    struct kv_map_wrap back;
    store(map, "k", 1, false);
    store(map, "k", 2, true);
    assert_int_equal(kv_map_wrapped(map, entries, COUNT(entries), NULL), KV_OK);
    assert_int_equal(kv_map_wrapped(map, entries, 1, NULL), KV_OK);
    assert_int_equal(kv_map_wrapped(map, NULL, 0, NULL), KV_OK);

    KV_CLEANUP(kv_version_list_free)
    struct kv_version_list list = find(map, &(struct kv_map_query){ .vault = "prod", .name = "k" });
    assert_int_equal(list.items[0]->wraps, 1);
    assert_int_equal(list.items[1]->wraps, 2);
    assert_int_equal(list.items[1]->first_wrap, 60);
    assert_int_equal(list.items[1]->last_wrap, 70);

    assert_int_equal(kv_map_who_wrapped(map, entries[2].digest, &back, NULL), KV_OK);
    assert_string_equal(back.version, entries[2].version);
    assert_string_equal(back.program, "restic");
    assert_int_equal(back.at, 80);
    unsigned char unknown[32] = { 9 };
    assert_int_equal(kv_map_who_wrapped(map, unknown, &back, NULL), KV_OK);
    assert_int_equal(back.at, 0);

    assert_int_equal(kv_map_unwrapped(map, list.items[1], 500, NULL), KV_OK);
    assert_int_equal(kv_map_unwrapped(map, list.items[1], 400, NULL), KV_OK);
    KV_CLEANUP(kv_version_list_free)
    struct kv_version_list after = find(map, &(struct kv_map_query){ .vault = "prod", .name = "k" });
    assert_int_equal(after.items[1]->last_unwrap, 500);
    assert_int_equal(after.items[0]->last_unwrap, 0);
    kv_map_free(map);
}

static void damage_is_found_and_named(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_found found = { 0 };
    struct kv_error err = { 0 };
    for (int i = 0; i < 50; i++)
        store(map, "k", i, i == 49);
    assert_int_equal(kv_map_verify(map, &found, NULL), KV_OK);
    assert_int_equal(found.versions, 50);
    run_sql("UPDATE version SET cka_id = zeroblob(20) WHERE created = 1030");
    assert_int_equal(kv_map_verify(map, &found, &err), KV_MAP_CORRUPT);
    assert_non_null(strstr(err.text, "prod/k@0000000000000000000000000000001e"));
    run_sql("UPDATE version SET cka_id = x'00' WHERE created = 1030");
    assert_int_equal(kv_map_verify(map, &found, &err), KV_MAP_CORRUPT);
    assert_int_equal(count(map, &(struct kv_map_query){ 0 }), 49); /* and hides no other */
    kv_map_free(map);
}

/* Every lookup that a start-up makes goes by an index. */
static void lookups_scan_nothing(void **state)
{
    static const char *const queries[] = {
        "SELECT * FROM version WHERE vault = 'a' AND name = 'b'",
        "SELECT * FROM version WHERE cka_id = x'00'",
        "SELECT * FROM version WHERE spki_sha256 = x'00'",
        "SELECT * FROM visit WHERE vault = 'a' AND name = 'b'",
        "SELECT * FROM challenge WHERE host = 'a'",
        "SELECT * FROM wrap WHERE digest = x'00'",
    };
    kv_map_free(open_map());
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < COUNT(queries); i++) {
        char text[256];
        sqlite3_stmt *plan = NULL;
        snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", queries[i]);
        assert_int_equal(sqlite3_prepare_v2(db, text, -1, &plan, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(plan), SQLITE_ROW);
        assert_int_equal(strncmp((const char *)sqlite3_column_text(plan, 3), "SEARCH", 6), 0);
        sqlite3_finalize(plan);
    }
    sqlite3_close(db);
}

/* --- certificates --- */

static struct kv_map_certificate certificate_row(const char *version, struct kv_view der, int64_t at)
{
    struct kv_map_certificate row = {
        .vault = "prod", .name = "k", .version = version, .source = "vault", .at = at
    };
    assert_int_equal(kv_bytes_copy(der, &row.der), KV_OK);
    return row;
}

static void a_certificate_once_known_stays(void **state)
{
    struct kv_map *map = open_map();
    struct kv_view none = { NULL, 0 }, first = kv_view_text("first"), second = kv_view_text("second");
    const struct {
        struct kv_view der;
        int64_t at;
        const char *kept;
        int64_t kept_at;
    } rows[] = {
        { none, 10, "", 10 },       { none, 20, "", 20 }, /* that there is none ages */
        { first, 30, "first", 30 }, { none, 40, "first", 30 }, { second, 50, "first", 30 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_map_certificate row = certificate_row("01", rows[i].der, rows[i].at), asked = {
            .vault = "prod", .name = "K", .version = "01", .source = "vault"
        };
        assert_int_equal(kv_map_certify(map, &row, NULL), KV_OK);
        kv_bytes_free(&row.der);
        assert_int_equal(kv_map_certificate(map, &asked, NULL), KV_OK);
        assert_bytes(KV_VIEW(asked.der), kv_view_text(rows[i].kept));
        assert_int_equal(asked.at, rows[i].kept_at);
        kv_bytes_free(&asked.der);
    }
    struct kv_map_certificate self = { .vault = "prod", .name = "k", .version = "01", .source = "self" };
    assert_int_equal(kv_map_certificate(map, &self, NULL), KV_OK);
    assert_int_equal(self.at, 0);
    assert_int_equal(self.der.len, 0);
    assert_true(kv_map_lasts(map));
    kv_map_free(map);
}

static void a_certificate_of_another_key_is_found(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_found found = { 0 };
    struct kv_error err = { 0 };
    store(map, "k", 1, true);
    struct kv_map_certificate row =
        certificate_row("00000000000000000000000000000001", kv_view_text("0 certificate"), 1);
    assert_int_equal(kv_map_verify(map, &found, &err), KV_OK);
    assert_int_equal(kv_map_certify(map, &row, NULL), KV_OK);
    kv_bytes_free(&row.der);
    assert_int_equal(kv_map_verify(map, &found, &err), KV_MAP_CORRUPT);
    assert_non_null(strstr(err.text, "the certificate of 'prod/k@"));
    kv_map_free(map);
}

/* A sync that read the rows before another process promoted a version writes what it saw: whoever was promoted stays so. */
static void a_late_writer_does_not_undo_a_promotion(void **state)
{
    struct kv_map *map = open_map();
    store(map, "k", 1, true);
    store(map, "k", 2, false);
    KV_CLEANUP(kv_version_list_free)
    struct kv_version_list read = find(map, &(struct kv_map_query){ .name = "k" });
    assert_int_equal(read.count, 2);
    store(map, "k", 2, true);
    struct kv_version *late[] = { kv_version_copy(read.items[1]), kv_version_copy(read.items[0]) };
    for (int i = 0; i < 2; i++) {
        late[i]->seen = 9000;
        assert_int_equal(kv_map_store(map, &late[i], 1, NULL), KV_OK);
    }
    KV_CLEANUP(kv_version_list_free)
    struct kv_version_list now = find(map, &(struct kv_map_query){ .name = "k", .current_only = true });
    assert_int_equal(now.count, 1);
    assert_int_equal(now.items[0]->created, 1002);
    assert_int_equal(now.items[0]->seen, 9000); /* what else it saw is taken */
    kv_version_free(late[0]);
    kv_version_free(late[1]);
    kv_map_free(map);
}

/* A release with another format came meanwhile: this process goes on reading, and writes nothing that the other would have to mend. */
static void a_file_that_was_brought_up_meanwhile(void **state)
{
    struct kv_map *map = open_map();
    struct kv_error err = { 0 };
    store(map, "k", 1, true);
    run_sql("PRAGMA user_version = 99");
    KV_AUTO_VERSION struct kv_version *version = make_version("k", 2, true);
    assert_int_equal(kv_map_store(map, &version, 1, &err), KV_MAP_NEWER);
    assert_non_null(strstr(err.text, "start it anew"));
    assert_int_equal(count(map, &(struct kv_map_query){ .name = "k" }), 1);
    run_sql("CREATE TABLE free (of_locks)"); /* nothing is held */
    kv_map_free(map);
}

static void read_older_as_stranger(void)
{
    struct kv_map *map = NULL;
    struct kv_error err = { 0 };
    if (kv_map_open(path, &map, &err) != KV_READ_ONLY || !strstr(err.text, "cannot bring it up to date"))
        _exit(3);
    kv_map_free(map);
}

static void an_older_read_only_file_says_what_to_do(void **state)
{
    run_sql(kv_map_steps[0]);
    run_sql("PRAGMA application_id = 1263939889; PRAGMA user_version = 1");
    assert_int_equal(chmod(path, geteuid() == 0 ? 0644 : 0444), 0);
    assert_int_equal(chmod(folder, geteuid() == 0 ? 0755 : 0555), 0);
    without_root(read_older_as_stranger);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(read_int(path, "PRAGMA user_version"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_version_comes_back_whole),
        TEST(finds),
        TEST(storing_again_forgets_nothing),
        TEST(one_version_of_a_name_is_current),
        TEST(visits),
        TEST(challenges),
        TEST(the_ledger_counts_each_blob_once),
        TEST(lookups_scan_nothing),
        TEST(damage_is_found_and_named),
        TEST(a_certificate_once_known_stays),
        TEST(a_certificate_of_another_key_is_found),
        TEST(a_late_writer_does_not_undo_a_promotion),
        TEST(a_file_that_was_brought_up_meanwhile),
        TEST(an_older_read_only_file_says_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
