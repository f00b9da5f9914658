/* The journal of the version map: what stands in it, that nothing else does, and that kv_map_verify finds whatever was done to it or to what it vouches for. */
#include "map_help.h"
#include "base/encode.h"
#include "../../module/keys/version_map_verify.h"

static struct kv_map_entry *journal(struct kv_map *map, size_t *ret_count)
{
    struct kv_map_entry *entries = NULL;
    assert_int_equal(kv_map_journal_page(map, 0, 100, &entries, ret_count, NULL), KV_OK);
    return entries;
}

static void assert_kinds(struct kv_map *map, const char *kinds)
{
    char found[512] = "";
    size_t length = 0;
    KV_AUTO_FREE struct kv_map_entry *entries = journal(map, &length);
    for (size_t i = 0; i < length; i++) {
        assert_int_equal(entries[i].seq, i + 1);
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s", i ? " " : "", entries[i].kind);
    }
    assert_string_equal(found, kinds);
}

static void put(struct kv_map *map, const char *id, int64_t keep_until, int64_t at)
{
    struct kv_map_recipient recipient = { .kind = "rsa-oaep-256", .key = { 1 }, .key_len = 32 };
    struct kv_map_backup backup = { .keep_until = keep_until,
                                    .recipients = &recipient,
                                    .recipient_count = 1 };
    kv_text_fit(backup.id, sizeof backup.id, id);
    assert_int_equal(kv_map_backup_put(map, &backup, 1, at, NULL), KV_OK);
}

static void locate(struct kv_map *map)
{
    const struct kv_map_location location = {
        .spki_sha256 = { 1 }, .kid = "https://dr/keys/k/1", .seen = 5, .accepted = 5
    };
    assert_int_equal(kv_map_locate(map, &location, NULL), KV_OK);
}

/* Versions 1 to 3 of a key, the last one current, two backups, one of them changed, a place. */
static struct kv_map *filled(void)
{
    struct kv_map *map = open_map();
    for (int i = 1; i <= 3; i++)
        store(map, "k", i, true);
    put(map, "a", 10, 1);
    put(map, "b", 10, 2);
    put(map, "a", 20, 3);
    locate(map);
    return map;
}
enum { FILLED = 9 };

static void what_changes_is_told(void **state)
{
    struct kv_map *map = open_map();
    KV_AUTO_VERSION struct kv_version *version = make_version("k", 1, true);
    size_t length = 0;
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    version->state = KV_STATE_DISABLED;
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    version->exp = 9999;
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    store(map, "k", 2, true);
    version->current = true;
    version->seen = 7777;
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    put(map, "a", 10, 1);
    put(map, "a", 20, 2);
    locate(map);
    assert_kinds(map, "appeared state changed appeared demoted promoted demoted registered changed located");

    KV_AUTO_FREE struct kv_map_entry *entries = journal(map, &length);
    assert_string_equal(entries[0].subject, "version prod/k@00000000000000000000000000000001");
    assert_non_null(strstr(entries[0].detail, "enabled, current"));
    assert_non_null(strstr(entries[1].detail, "disabled, current"));
    assert_string_equal(entries[0].program, program_invocation_short_name);
    assert_true(entries[0].at == 5000 && entries[5].at == 7777 && entries[8].at == 2);
    assert_true(entries[1].before == 1 && entries[2].before == 2 && entries[3].before == 0);
    assert_string_equal(entries[7].subject, "backup 'a' in ''");
    kv_map_free(map);
}

static void what_does_not_change_is_not_told(void **state)
{
    struct kv_map *map = open_map();
    KV_AUTO_VERSION struct kv_version *version = make_version("k", 1, true);
    struct kv_map_wrap wrap = make_wrap(1, 1, 70);
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    version->seen = 9000;
    version->wraps = 7;
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    assert_int_equal(kv_map_wrapped(map, &wrap, 1, NULL), KV_OK);
    assert_int_equal(kv_map_unwrapped(map, version, 80, NULL), KV_OK);
    assert_int_equal(kv_map_visit(map, "prod", "k", &(struct kv_map_visit){ 10, KV_OK }, NULL), KV_OK);
    assert_kinds(map, "appeared");
    kv_map_free(map);
}

static void a_change_that_fails_leaves_no_entry(void **state)
{
    struct kv_map *map = filled();
    struct kv_map_backup two[] = { { .id = "c" }, { .id = "" } };
    assert_int_equal(kv_map_backup_put(map, two, 2, 5, NULL), KV_BAD_DATA);
    size_t length = 0;
    free(journal(map, &length));
    assert_int_equal(length, FILLED);
    put(map, "d", 1, 6); /* the next one follows the last that stands there */
    struct kv_map_found found;
    assert_int_equal(kv_map_verify(map, &found, NULL), KV_OK);
    assert_true(found.versions == 3 && found.backups == 3 && found.entries == FILLED + 1);
    kv_map_free(map);
}

#define NO_TRIGGERS "DROP TRIGGER journal_is_not_changed; DROP TRIGGER journal_is_not_shortened;"

static const struct {
    const char *sentence, *sql, *says;
} tampering[] = {
    { "an edited entry", NO_TRIGGERS "UPDATE journal SET detail = 'enabled' WHERE seq = 4",
      "entry 4 of its journal" },
    { "an edited time", NO_TRIGGERS "UPDATE journal SET at = at + 1 WHERE seq = 9",
      "entry 9 of its journal" },
    { "an edited program", NO_TRIGGERS "UPDATE journal SET program = 'x' WHERE seq = 1",
      "entry 1 of its journal" },
    { "an entry taken out", NO_TRIGGERS "DELETE FROM journal WHERE seq = 5",
      "entry 5 of its journal is gone" },
    { "the first one taken out", NO_TRIGGERS "DELETE FROM journal WHERE seq = 1",
      "entry 1 of its journal is gone" },
    { "the last one taken out", NO_TRIGGERS "DELETE FROM journal WHERE seq = 9",
      "ends at entry 8, and had 9" },
    { "all of them taken out", NO_TRIGGERS "DELETE FROM journal", "ends at entry 0, and had 9" },
    { "two that changed places",
      NO_TRIGGERS "UPDATE journal SET seq = -1 WHERE seq = 3; UPDATE journal SET seq = 3 WHERE seq = 6;"
                  "UPDATE journal SET seq = 6 WHERE seq = -1",
      "entry 3 of its journal" },
    { "one more, with its number",
      "INSERT INTO journal SELECT 10, at, program, kind, subject, detail, before, facts, hash FROM "
      "journal WHERE seq = 9",
      "behind its end" },
    { "one before the first",
      "INSERT INTO journal SELECT 0, at, program, kind, subject, detail, before, facts, hash FROM "
      "journal WHERE seq = 9",
      "entry 1 of its journal is gone" },
    { "a head that moved back", "UPDATE journal_head SET entries = 8", "behind its end" },
    { "a head that went ahead", "UPDATE journal_head SET entries = 10", "ends at entry 9, and had 10" },
    { "another hash in the head", "UPDATE journal_head SET hash = zeroblob(32)",
      "the head of its journal is not" },
    { "no head", "DELETE FROM journal_head", "the head of its journal is gone" },
    { "an edited version", "UPDATE version SET state = 'purged' WHERE created = 1002",
      "version prod/k@00000000000000000000000000000002 is not as its journal last told" },
    { "another that is current", "UPDATE version SET current = 1 WHERE created = 1001",
      "version prod/k@00000000000000000000000000000001 is not" },
    { "a plan of nobody's", "UPDATE version SET retire_after = 5 WHERE created = 1001",
      "version prod/k@00000000000000000000000000000001 is not" },
    { "a version that is gone", "DELETE FROM version WHERE created = 1001",
      "version prod/k@00000000000000000000000000000001 is gone" },
    { "a version that came by night",
      "INSERT INTO version SELECT 99, vault, name, 'ff', kid, 0, kind, hsm, bits, curve, operations, "
      "cka_id,"
      " spki_sha256, spki, state, enabled, nbf, exp, created, first_seen, seen, 0, 0, 0, 0, 0, '', 0, 0, "
      "0,"
      " entry, 0, '', 0, 0 FROM version WHERE id = 1",
      "identity of 'prod/k@ff'" },
    { "a backup that is kept for less long", "UPDATE backup SET keep_until = 1 WHERE id = 'b'",
      "backup 'b' in '' is not as its journal last told" },
    { "a backup of before", "UPDATE backup SET keep_until = 10, entry = 6 WHERE id = 'a'",
      "backup 'a' in '' is not as its journal last told" },
    { "a backup that is gone", "DELETE FROM backup WHERE id = 'a'", "backup 'a' in '' is gone" },
    { "a backup that came by night",
      "INSERT INTO backup SELECT 99, 'z', store, object, header_sha256, size, created, keep_until, "
      "drilled,"
      " drill_result, retired, 0 FROM backup WHERE id = 'a'",
      "backup 'z' in '' stands in no entry" },
    { "a recipient that is gone", "DELETE FROM backup_recipient WHERE backup = 2",
      "backup 'b' in '' is not" },
    { "a recipient that opens no more", "UPDATE backup_recipient SET removed = 5 WHERE backup = 1",
      "backup 'a' in '' is not" },
    { "another recipient's key", "UPDATE recipient SET key = zeroblob(32)", "backup 'a' in '' is not" },
    { "an accepted place of another key", "UPDATE location SET spki_sha256 = zeroblob(32) WHERE accepted > 0",
      "location https://dr/keys/k/1 of 0000000000000000 is not" },
    { "an accepted place that is gone", "DELETE FROM location WHERE accepted > 0",
      "location https://dr/keys/k/1 of 01" },
    { "a place that was accepted before time began",
      "INSERT INTO location VALUES (zeroblob(32), 'https://night/keys/k/1', 1, 1, -5, 0)",
      "location https://night/keys/k/1 of 0000000000000000 stands in no entry" },
    /* What reads as it was, and is another thing to SQL. */
    { "a recipient that went by half a second", "UPDATE backup_recipient SET removed = 0.5 WHERE backup = 1",
      "who can open backup 'a' is not told" },
    { "a number that is a text", "UPDATE backup SET retired = '0 or so' WHERE id = 'a'",
      "the row of backup 'a" },
    { "a name with more behind its end", "UPDATE backup SET store = char(0) || 'x' WHERE id = 'a'",
      "the row of backup 'a" },
    { "a date of a recipient's alone", "UPDATE backup_recipient SET keep_until = 1 WHERE backup = 1",
      "who can open backup 'a' is not told as the backup is" },
    { "a size of a recipient's alone", "UPDATE backup_recipient SET size = 1 WHERE backup = 2",
      "who can open backup 'b' is not told as the backup is" },
    { "a recipient of no backup",
      "INSERT INTO backup_recipient SELECT recipient, 99, added, removed, keep_until, size FROM "
      "backup_recipient WHERE backup = 1",
      "who can open a backup is not told as the backup is" },
    { "a recipient's key that is a text", "INSERT INTO recipient VALUES (9, 'x', 'k', 't')",
      "who can open a backup is not told as the backup is" },
    { "a version's date that is a fraction", "UPDATE version SET exp = 0.5 WHERE created = 1001",
      "cannot be read" },
    { "an entry's text that is a blob",
      NO_TRIGGERS "UPDATE journal SET detail = CAST(detail AS BLOB) WHERE seq = 4",
      "entry 4 of its journal" },
    { "an accepted place at half a second", "UPDATE location SET seen = 0.5 WHERE accepted > 0",
      "the row of place 'https://dr/keys/k/1' cannot be read" },
    { "no triggers", NO_TRIGGERS, "its tables, indexes and triggers are not" },
    { "one trigger more",
      "CREATE TRIGGER night AFTER INSERT ON backup_recipient BEGIN UPDATE backup_recipient SET removed = 1; "
      "END",
      "its tables, indexes and triggers are not" },
    { "an index less", "DROP INDEX recipient_by_key", "its tables, indexes and triggers are not" },
    { "a table more, which is SQLite's own", "ANALYZE", NULL },
};

static void whatever_is_done_to_it_is_found(void **state)
{
    kv_map_free(filled());
    KV_AUTO_FREE char *whole = kv_text_format("%s/whole.db", folder);
    assert_int_equal(rename(path, whole), 0);
    for (size_t i = 0; i < COUNT(tampering); i++) {
        struct kv_error err = { 0 };
        struct kv_map_found found;
        KV_AUTO_FREE char *copy = kv_text_format("VACUUM INTO '%s'", path);
        sqlite3 *db = NULL;
        unlink(path);
        assert_int_equal(sqlite3_open(whole, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, copy, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(chmod(path, 0600), 0);
        struct kv_map *map = open_map();
        if (kv_map_verify(map, &found, &err))
            fail_msg("%s", err.text);
        run_sql(tampering[i].sql);
        if (!tampering[i].says)
            assert_int_equal(kv_map_verify(map, &found, &err), KV_OK);
        else if (kv_map_verify(map, &found, &err) != KV_MAP_CORRUPT || !strstr(err.text, tampering[i].says) ||
                 !strstr(err.text, path))
            fail_msg("%s: %s", tampering[i].sentence, err.text);
        kv_map_free(map);
    }
}

/* One who knows how it is made: the entry fits itself and the one before it, and the next one gives it away. */
static void a_forged_entry_does_not_fit_the_next(void **state)
{
    struct kv_map *map = filled();
    struct kv_map_found found;
    struct kv_error err = { 0 };
    size_t length = 0;
    KV_AUTO_FREE struct kv_map_entry *entries = journal(map, &length);
    char hex[65];
    entries[3].at = 1;
    assert_int_equal(kv_map_entry_hash(&entries[3], entries[2].hash, entries[3].hash), KV_OK);
    kv_encode_hex((struct kv_view){ entries[3].hash, 32 }, hex);
    KV_AUTO_FREE char *sql =
        kv_text_format(NO_TRIGGERS "UPDATE journal SET at = 1, hash = x'%s' WHERE seq = 4", hex);
    run_sql(sql);
    assert_int_equal(kv_map_verify(map, &found, &err), KV_MAP_CORRUPT);
    assert_non_null(strstr(err.text, "entry 5 of its journal"));
    kv_map_free(map);
}

static void sql_cannot_change_it(void **state)
{
    static const char *const tries[] = {
        "UPDATE journal SET at = 1",
        "UPDATE journal SET hash = hash WHERE seq = 1",
        "DELETE FROM journal",
        "DELETE FROM journal WHERE seq = 9",
    };
    kv_map_free(filled());
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < COUNT(tries); i++) {
        char *why = NULL;
        if (sqlite3_exec(db, tries[i], NULL, NULL, &why) != SQLITE_CONSTRAINT)
            fail_msg("%s", tries[i]);
        assert_string_equal(why, "the journal is only ever appended to");
        sqlite3_free(why);
    }
    sqlite3_close(db);
}

/* What the vault says again mends a row that somebody changed: no entry, and the map is whole. */
static void the_vaults_word_mends(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_found found;
    store(map, "k", 1, true);
    run_sql("UPDATE version SET state = 'purged', state_since = 5000");
    assert_int_equal(kv_map_verify(map, &found, NULL), KV_MAP_CORRUPT);
    store(map, "k", 1, true);
    assert_int_equal(kv_map_verify(map, &found, NULL), KV_OK);
    assert_int_equal(found.entries, 1);
    kv_map_free(map);
}

static void two_writers_make_one_chain(void **state)
{
    enum { EACH = 40 };
    pid_t children[2];
    kv_map_free(open_map());
    for (int child = 0; child < 2; child++) {
        children[child] = fork();
        assert_true(children[child] >= 0);
        if (children[child])
            continue;
        struct kv_map *map = open_map();
        for (int i = 0; i < EACH; i++) {
            char id[16];
            snprintf(id, sizeof id, "%d-%d", child, i);
            put(map, id, 5, i);
        }
        kv_map_free(map);
        _exit(0);
    }
    for (int child = 0; child < 2; child++) {
        int status = 0;
        assert_int_equal(waitpid(children[child], &status, 0), children[child]);
        assert_int_equal(status, 0);
    }
    struct kv_map *map = open_map();
    struct kv_map_found found;
    assert_int_equal(kv_map_verify(map, &found, NULL), KV_OK);
    assert_int_equal(found.backups, 2 * EACH);
    assert_int_equal(found.entries, 2 * EACH);
    kv_map_free(map);
}

/* Another process, which writes whenever the check has looked at one thing and not yet at the next. */
static struct kv_map *intruder;
static int intrusions;

static void intrude(void)
{
    if (!intruder)
        return;
    intrusions++;
    put(intruder, "a", 100 + intrusions, intrusions); /* what the journal told when the check went by */
    put(intruder, "b", 100 + intrusions, intrusions);
    put(intruder, intrusions == 1 ? "x" : "y", 7, intrusions); /* and what came since */
    store(intruder, "k", intrusions, true);
    store(intruder, "k", 10 + intrusions, false);
}

enum kv_status __real_kv_map_walk_rows(struct kv_map_walk *walk, const struct kv_map_walk_table *table,
                                       int64_t *ret_count, struct kv_error *err);
enum kv_status __wrap_kv_map_walk_rows(struct kv_map_walk *walk, const struct kv_map_walk_table *table,
                                       int64_t *ret_count, struct kv_error *err);
enum kv_status __real_kv_map_walk_end(struct kv_map_walk *walk, int64_t *ret_backups, struct kv_error *err);
enum kv_status __wrap_kv_map_walk_end(struct kv_map_walk *walk, int64_t *ret_backups, struct kv_error *err);

enum kv_status __wrap_kv_map_walk_rows(struct kv_map_walk *walk, const struct kv_map_walk_table *table,
                                       int64_t *ret_count, struct kv_error *err)
{
    intrude();
    return __real_kv_map_walk_rows(walk, table, ret_count, err);
}

enum kv_status __wrap_kv_map_walk_end(struct kv_map_walk *walk, int64_t *ret_backups, struct kv_error *err)
{
    intrude();
    return __real_kv_map_walk_end(walk, ret_backups, err);
}

static void others_may_write_meanwhile(void **state)
{
    struct kv_map *map = filled();
    struct kv_map_found found;
    struct kv_error err = { 0 };
    intruder = open_map();
    if (kv_map_verify(map, &found, &err))
        fail_msg("%s", err.text);
    assert_int_equal(intrusions, 2);
    assert_true(found.entries == FILLED && found.versions == 4 && found.backups == 4);
    kv_map_free(kv_take(intruder));
    assert_int_equal(kv_map_verify(map, &found, NULL), KV_OK);
    assert_int_equal(found.versions, 5);
    run_sql("UPDATE backup SET keep_until = 5 WHERE id = 'y'");
    assert_int_equal(kv_map_verify(map, &found, NULL), KV_MAP_CORRUPT);
    kv_map_free(map);
}

/* A file of the format before: every row is in the journal once it is brought up, and a backup's version is a recipient. */
static void an_older_file_gets_its_journal(void **state)
{
    for (int i = 0; i < 3; i++)
        run_sql(kv_map_steps[i]);
    run_sql(
        "PRAGMA application_id = 1263939889; PRAGMA user_version = 3;"
        "INSERT INTO version VALUES (1, 'prod', 'k', '01', 'https://prod/keys/k/01', 1, 2, 1, 256, '', 48,"
        " zeroblob(20), zeroblob(32), x'', 'purged', 1, 0, 0, 7, 5, 6, 1, 2, 3, 4, 0, '');"
        "INSERT INTO backup VALUES ('known', 'store', 'prod', 'K', '01', 10, 20, 30, 'identical');"
        "INSERT INTO backup VALUES ('foreign', 'store', 'prod', 'other', '02', 11, 21, 0, '')");
    assert_int_equal(chmod(path, 0600), 0);
    struct kv_map *map = open_map();
    KV_AUTO_VERSION struct kv_version *version = make_version("k", 1, true);
    kv_text_fit(version->version, sizeof version->version, "01");
    memset(version->id, 0, sizeof version->id);
    assert_kinds(map, "known known known");
    struct kv_map_dependants needed;
    assert_int_equal(kv_map_dependants(map, kv_map_key_of(version), true, &needed, NULL), KV_OK);
    assert_true(needed.backups == 1 && needed.keep_until == 20 && needed.sole == 1);
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
    assert_int_equal(kv_map_backup_page(map, &(struct kv_map_backup_query){ 0 }, &list, NULL), KV_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].id, "known");
    assert_string_equal(list.items[0].drill_result, "identical");
    assert_true(list.items[0].created == 10 && list.items[0].drilled == 30);
    assert_string_equal(list.items[0].recipients[0].text, "https://prod/keys/k/01");
    assert_int_equal(list.items[0].recipients[0].added, 10);
    assert_string_equal(list.items[1].recipients[0].text, "prod/other@02");
    assert_int_equal(list.items[1].recipients[0].key_len, 0);
    kv_map_free(map);
    assert_int_equal(
        read_int(path, "SELECT count(*) FROM sqlite_schema WHERE name IN ('opener', 'backup_of_one')"), 0);
}

static void pages_of_it(void **state)
{
    struct kv_map *map = filled();
    int64_t after = 0, seen = 0;
    for (;;) {
        KV_AUTO_FREE struct kv_map_entry *entries = NULL;
        size_t length = 0;
        assert_int_equal(kv_map_journal_page(map, after, 4, &entries, &length, NULL), KV_OK);
        assert_true(length <= 4);
        if (!length)
            break;
        after = entries[length - 1].seq;
        seen += (int64_t)length;
    }
    assert_int_equal(seen, FILLED);
    kv_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_changes_is_told),
        TEST(what_does_not_change_is_not_told),
        TEST(a_change_that_fails_leaves_no_entry),
        TEST(whatever_is_done_to_it_is_found),
        TEST(a_forged_entry_does_not_fit_the_next),
        TEST(sql_cannot_change_it),
        TEST(the_vaults_word_mends),
        TEST(two_writers_make_one_chain),
        TEST(others_may_write_meanwhile),
        TEST(an_older_file_gets_its_journal),
        TEST(pages_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
