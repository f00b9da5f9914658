/* Backups in the version map: who opens each, what a rewrap leaves behind, what depends on a version, and where a key is to be found. */
#include "map_help.h"

#include "base/encode.h"
#include "keys/coverage.h"

static struct kv_map_recipient of_key(unsigned char first, const char *kind)
{
    struct kv_map_recipient recipient = { .key = { first }, .key_len = 32 };
    kv_text_fit(recipient.kind, sizeof recipient.kind, kind);
    snprintf(recipient.text, sizeof recipient.text, "https://prod/keys/k/%02x", first);
    return recipient;
}

static struct kv_map_recipient of_text(const char *kind, const char *text)
{
    struct kv_map_recipient recipient = { 0 };
    kv_text_fit(recipient.kind, sizeof recipient.kind, kind);
    kv_text_fit(recipient.text, sizeof recipient.text, text);
    return recipient;
}

static struct kv_view key_view(const unsigned char *key)
{
    return (struct kv_view){ key, 32 };
}

/* What is registered: id, store, size, until, and who opens it. */
static void put(struct kv_map *map, const struct kv_map_backup *facts, struct kv_map_recipient *recipients,
                size_t count, int64_t at)
{
    struct kv_map_backup backup = *facts;
    struct kv_error err = { 0 };
    backup.recipients = recipients;
    backup.recipient_count = count;
    if (kv_map_backup_put(map, &backup, 1, at, &err))
        fail_msg("%s", err.text);
}

static struct kv_map_backup_list page(struct kv_map *map, const struct kv_map_backup_query *query)
{
    struct kv_map_backup_list list = { 0 };
    assert_int_equal(kv_map_backup_page(map, query, &list, NULL), KV_OK);
    return list;
}

static int64_t entries(struct kv_map *map)
{
    unsigned char hash[32];
    int64_t count = 0;
    assert_int_equal(kv_map_journal_head(map, &count, hash, NULL), KV_OK);
    return count;
}

static void assert_whole(struct kv_map *map)
{
    struct kv_map_found found;
    struct kv_error err = { 0 };
    if (kv_map_verify(map, &found, &err))
        fail_msg("%s", err.text);
}

#define AUTO_LIST KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list

static void a_backup_comes_back_whole(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_recipient recipients[] = { of_text("x25519", "age1q"), of_key(7, "rsa-oaep-256") };
    put(map,
        &(struct kv_map_backup){ .id = "one",
                                 .store = "/srv/a",
                                 .object = "2026/one.age",
                                 .header_sha256 = { 1, 2 },
                                 .has_header = true,
                                 .size = INT64_C(5000000000),
                                 .created = 10,
                                 .keep_until = 20 },
        recipients, 2, 30);
    kv_map_free(map);
    map = open_map();
    AUTO_LIST list = page(map, &(struct kv_map_backup_query){ 0 });
    assert_int_equal(list.count, 1);
    const struct kv_map_backup *back = &list.items[0];
    assert_string_equal(back->id, "one");
    assert_string_equal(back->store, "/srv/a");
    assert_string_equal(back->object, "2026/one.age");
    assert_true(back->has_header && back->header_sha256[1] == 2 && back->row && back->entry == 1);
    assert_true(back->size == INT64_C(5000000000) && back->created == 10 && back->keep_until == 20);
    assert_true(back->drilled == 0 && back->retired == 0);
    assert_int_equal(back->recipient_count, 2);
    assert_string_equal(back->recipients[0].kind, "rsa-oaep-256");
    assert_int_equal(back->recipients[0].key_len, 32);
    assert_int_equal(back->recipients[0].key[0], 7);
    assert_int_equal(back->recipients[0].added, 30);
    assert_string_equal(back->recipients[1].text, "age1q");
    assert_int_equal(back->recipients[1].key_len, 0);
    assert_whole(map);
    kv_map_free(map);
}

static void what_is_told_again_changes_nothing(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_recipient recipients[] = { of_key(1, "rsa-oaep-256"), of_key(1, "rsa-oaep-256") };
    const struct kv_map_backup full = { .id = "a", .store = "s", .object = "o", .size = 5, .keep_until = 9 };
    const struct kv_map_backup bare = { .id = "a", .store = "s" };
    put(map, &full, recipients, 1, 1);
    put(map, &full, recipients, 2, 2); /* twice the same one is one */
    put(map, &bare, NULL, 0, 3);       /* nothing told: nothing forgotten */
    kv_text_fit(recipients[0].text, sizeof recipients[0].text,
                "https://dr/keys/k/1"); /* a hint, no identity */
    put(map, &bare, recipients, 1, 4);
    assert_int_equal(entries(map), 1);
    AUTO_LIST list = page(map, &(struct kv_map_backup_query){ .id = "a" });
    assert_int_equal(list.items[0].recipient_count, 1);
    assert_true(list.items[0].size == 5 && list.items[0].keep_until == 9);
    assert_string_equal(list.items[0].object, "o");
    put(map, &(struct kv_map_backup){ .id = "a", .store = "s", .keep_until = 19 }, NULL, 0, 5);
    assert_int_equal(entries(map), 2);
    assert_whole(map);
    kv_map_free(map);
}

static void a_rewrap_keeps_what_was(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_recipient first = of_key(1, "rsa-oaep-256"), second = of_key(2, "rsa-oaep-256");
    const struct kv_map_backup backup = { .id = "a", .size = 100, .keep_until = 50 };
    struct kv_map_dependants needed;
    put(map, &backup, &first, 1, 10);
    put(map, &backup, &second, 1, 20);
    AUTO_LIST list = page(map, &(struct kv_map_backup_query){ .id = "a" });
    assert_int_equal(list.items[0].recipient_count, 2);
    assert_int_equal(list.items[0].recipients[0].added, 10);
    assert_int_equal(list.items[0].recipients[0].removed, 20);
    assert_int_equal(list.items[0].recipients[1].added, 20);
    assert_int_equal(list.items[0].recipients[1].removed, 0);
    assert_int_equal(kv_map_dependants(map, key_view(first.key), true, &needed, NULL), KV_OK);
    assert_int_equal(needed.backups, 0);
    assert_int_equal(kv_map_dependants(map, key_view(second.key), true, &needed, NULL), KV_OK);
    assert_true(needed.backups == 1 && needed.bytes == 100 && needed.keep_until == 50 && needed.sole == 1);
    AUTO_LIST none = page(map, &(struct kv_map_backup_query){ .key = key_view(first.key) });
    assert_int_equal(none.count, 0);
    put(map, &backup, &first, 1, 30); /* and back */
    AUTO_LIST again = page(map, &(struct kv_map_backup_query){ .key = key_view(first.key) });
    assert_int_equal(again.count, 1);
    assert_int_equal(again.items[0].recipients[0].added, 30);
    assert_whole(map);
    kv_map_free(map);
}

static void drills_and_ends(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_recipient key = of_key(1, "rsa-oaep-256");
    const struct kv_map_backup backup = { .id = "a", .store = "s", .size = 1 };
    struct kv_map_dependants needed;
    struct kv_error err = { 0 };
    put(map, &backup, &key, 1, 10);
    assert_int_equal(kv_map_backup_drilled(map, "a", "s", 20, "identical", NULL), KV_OK);
    assert_int_equal(kv_map_backup_drilled(map, "a", "t", 20, "identical", &err), KV_NOT_FOUND);
    assert_non_null(strstr(err.text, "no backup 'a' in 't'"));
    assert_int_equal(kv_map_backup_retire(map, "b", "s", 20, NULL), KV_NOT_FOUND);
    assert_int_equal(kv_map_backup_retire(map, "a", "s", 30, NULL), KV_OK);
    assert_int_equal(kv_map_backup_retire(map, "a", "s", 40, NULL), KV_OK);
    assert_int_equal(entries(map), 3);
    assert_int_equal(kv_map_dependants(map, key_view(key.key), false, &needed, NULL), KV_OK);
    assert_int_equal(needed.backups, 0);
    AUTO_LIST there = page(map, &(struct kv_map_backup_query){ .id = "a" });
    assert_int_equal(there.count, 0);
    AUTO_LIST gone = page(map, &(struct kv_map_backup_query){ .key = key_view(key.key), .retired = true });
    assert_int_equal(gone.count, 1);
    assert_true(gone.items[0].retired == 30 && gone.items[0].drilled == 20);
    assert_string_equal(gone.items[0].drill_result, "identical");
    put(map, &backup, &key, 1, 50);
    assert_int_equal(kv_map_dependants(map, key_view(key.key), false, &needed, NULL), KV_OK);
    assert_int_equal(needed.backups, 1);
    assert_whole(map);
    kv_map_free(map);
}

static void pages(void **state)
{
    enum { MANY = 50 };
    struct kv_map *map = open_map();
    struct kv_map_recipient both[] = { of_key(1, "rsa-oaep-256"), of_key(1, "cms-oaep"),
                                       of_text("scrypt", "") };
    for (int i = 0; i < MANY; i++) {
        struct kv_map_backup backup = { .size = 10, .keep_until = 1000 + i };
        snprintf(backup.id, sizeof backup.id, "b%02d", i % 25);
        kv_text_fit(backup.store, sizeof backup.store, i < 25 ? "one" : "two");
        put(map, &backup, both, i % 2 ? 3 : 2, i);
    }
    const struct {
        const char *sentence;
        struct kv_map_backup_query query;
        size_t count;
    } rows[] = {
        { "all", { 0 }, MANY },
        { "a store", { .store = "one" }, 25 },
        { "an id", { .id = "b07" }, 2 },
        { "an id in a store", { .id = "b07", .store = "two" }, 1 },
        { "a key, each backup once", { .key = key_view(both[0].key) }, MANY },
        { "a key in a store", { .key = key_view(both[0].key), .store = "two" }, 25 },
        { "a key and an id", { .key = key_view(both[0].key), .id = "b01" }, 2 },
        { "an unknown key", { .key = { both[0].key + 1, 31 } }, 0 },
        { "an unknown store", { .store = "three" }, 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_map_backup_query query = rows[i].query;
        size_t count = 0;
        query.limit = 7;
        for (;;) { /* page by page, in order, none twice */
            AUTO_LIST list = page(map, &query);
            assert_true(list.count <= 7);
            if (!list.count)
                break;
            for (size_t at = 0; at < list.count; at++) {
                assert_true(list.items[at].row > query.after);
                query.after = list.items[at].row;
            }
            count += list.count;
        }
        if (count != rows[i].count)
            fail_msg("%s: %zu", rows[i].sentence, count);
    }
    kv_map_free(map);
}

static void counts(void **state)
{
    struct kv_map *map = open_map();
    KV_AUTO_VERSION struct kv_version *version =
        make_version("k", 1, true); /* oct: its CKA_ID is its identity */
    struct kv_map_recipient recipients[2];
    struct kv_map_dependants needed;
    int64_t all = 0;
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    assert_true(kv_map_recipient_of(version, "a256kw", NULL, &recipients[0]));
    assert_int_equal(recipients[0].key_len, KV_ID_SIZE);
    assert_string_equal(recipients[0].text, version->kid);
    assert_false(kv_map_recipient_of(version, "a kind that is far too long", NULL, &recipients[1]));
    recipients[1] = of_text("x25519", "age1q");
    put(map, &(struct kv_map_backup){ .id = "a", .size = 3, .keep_until = 70 }, recipients, 2, 1);
    put(map, &(struct kv_map_backup){ .id = "b", .size = 4, .keep_until = 60 }, recipients, 1, 1);
    put(map, &(struct kv_map_backup){ .id = "c", .size = 5, .keep_until = 90 }, recipients + 1, 1, 1);
    assert_int_equal(kv_map_dependants(map, kv_map_key_of(version), true, &needed, NULL), KV_OK);
    assert_true(needed.backups == 2 && needed.bytes == 7 && needed.keep_until == 70 && needed.sole == 1);
    assert_int_equal(kv_map_backup_count(map, NULL, &all, NULL), KV_OK);
    assert_int_equal(all, 3);
    assert_int_equal(kv_map_backup_count(map, "prod", &all, NULL), KV_OK);
    assert_int_equal(all, 2);
    assert_int_equal(kv_map_backup_count(map, "dr", &all, NULL), KV_OK);
    assert_int_equal(all, 0);
    kv_map_free(map);
}

static void bad_ones_are_refused_all_together(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_recipient wrong[] = { of_text("", "x"), of_text("x25519", "a\nb"), of_key(1, "rsa") };
    wrong[2].key_len = 31;
    const struct {
        const char *sentence;
        struct kv_map_backup backup;
    } rows[] = {
        { "no id", { .store = "s" } },
        { "a line break", { .id = "a\nb" } },
        { "a control character in a store", { .id = "a", .store = "\x1b[2J" } },
        { "a negative size", { .id = "a", .size = -1 } },
        { "a negative date", { .id = "a", .keep_until = -1 } },
        { "a recipient of no kind", { .id = "a", .recipients = &wrong[0], .recipient_count = 1 } },
        { "a recipient of two lines", { .id = "a", .recipients = &wrong[1], .recipient_count = 1 } },
        { "a key of 31 bytes", { .id = "a", .recipients = &wrong[2], .recipient_count = 1 } },
        { "too many recipients",
          { .id = "a", .recipients = wrong, .recipient_count = KV_BACKUP_RECIPIENTS_MAX + 1 } },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_map_backup backups[] = { { .id = "good" }, rows[i].backup };
        if (kv_map_backup_put(map, backups, 2, 1, NULL) != KV_BAD_DATA)
            fail_msg("%s", rows[i].sentence);
    }
    assert_int_equal(kv_map_backup_put(map, NULL, 0, 1, NULL), KV_OK);
    assert_int_equal(entries(map), 0);
    AUTO_LIST none = page(map, &(struct kv_map_backup_query){ 0 });
    assert_int_equal(none.count, 0);
    kv_map_free(map);
}

static void plans_of_a_version(void **state)
{
    struct kv_map *map = open_map();
    KV_AUTO_VERSION struct kv_version *version = make_version("k", 1, true),
                                      *other = make_version("k", 2, true);
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    assert_int_equal(kv_map_drilled(map, version, 77, NULL), KV_OK);
    assert_int_equal(kv_map_retire_after(map, version, 99, 78, NULL), KV_OK);
    assert_int_equal(kv_map_retire_after(map, other, 99, 78, NULL), KV_NOT_FOUND);
    version->state = KV_STATE_DISABLED; /* of one who has not heard of the plans */
    version->seen = 6000;
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = find(map, &(struct kv_map_query){ 0 });
    assert_int_equal(list.items[0]->last_drill, 77);
    assert_int_equal(list.items[0]->retire_after, 99);
    assert_int_equal(list.items[0]->state_since, 6000);
    version->seen = 7000;
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    KV_CLEANUP(kv_version_list_free) struct kv_version_list after = find(map, &(struct kv_map_query){ 0 });
    assert_int_equal(after.items[0]->state_since, 6000);
    assert_whole(map);
    kv_map_free(map);
}

static void places(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_location there = {
        .spki_sha256 = { 1 }, .kid = "https://dr/keys/k/1", .seen = 5, .accepted = 5
    };
    struct kv_map_location again = {
        .spki_sha256 = { 1 }, .kid = "https://DR/keys/K/1", .seen = 9, .accepted = 9
    };
    struct kv_map_location other = {
        .spki_sha256 = { 2 }, .kid = "https://dr/keys/k/1", .seen = 6, .accepted = 6
    };
    struct kv_map_location *known = NULL;
    struct kv_error err = { 0 };
    size_t length = 0;
    assert_int_equal(kv_map_locate(map, &there, NULL), KV_OK);
    assert_int_equal(kv_map_locate(map, &again, NULL), KV_OK);
    assert_int_equal(entries(map), 1);
    assert_int_equal(kv_map_locate(map, &other, &err), KV_CONFLICT);
    assert_non_null(strstr(err.text, "'https://dr/keys/k/1' is known as the place of another key"));
    assert_int_equal(kv_map_locations(map, key_view(there.spki_sha256), &known, &length, NULL), KV_OK);
    assert_int_equal(length, 1);
    assert_string_equal(known[0].kid, "https://dr/keys/k/1");
    assert_true(known[0].accepted == 5 && known[0].seen == 9);
    free(known);
    assert_int_equal(kv_map_locations(map, key_view(other.spki_sha256), &known, &length, NULL), KV_OK);
    assert_int_equal(length, 0);
    free(known);
    assert_whole(map);
    kv_map_free(map);
}

static int64_t needed_by(struct kv_map *map, struct kv_view key)
{
    struct kv_map_dependants needed;
    assert_int_equal(kv_map_dependants(map, key, true, &needed, NULL), KV_OK);
    return needed.backups;
}

/* However many kinds of stanza there are for a key: whoever asks what needs it is told of all. */
static void no_kind_of_recipient_is_missed(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_recipient recipient = { .key = { 1 }, .key_len = 32 };
    for (int i = 0; i < 40; i++) {
        struct kv_map_backup backup = { .recipients = &recipient, .recipient_count = 1 };
        snprintf(backup.id, sizeof backup.id, "b%d", i);
        snprintf(recipient.kind, sizeof recipient.kind, "kind %d", i);
        assert_int_equal(kv_map_backup_put(map, &backup, 1, 5, NULL), KV_OK);
        if (i < 39)
            assert_int_equal(kv_map_backup_retire(map, backup.id, "", 6, NULL), KV_OK);
    }
    assert_int_equal(needed_by(map, (struct kv_view){ recipient.key, 32 }), 1);
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
    const struct kv_map_backup_query query = { .key = { recipient.key, 32 } };
    assert_int_equal(kv_map_backup_page(map, &query, &list, NULL), KV_OK);
    assert_int_equal(list.count, 1);
    kv_map_free(map);
}

/* An envelope names its reader by the key's identifier. Whoever scanned it before the version was known has written down no more than that. */
static void what_was_scanned_first_needs_the_version_too(void **state)
{
    struct kv_map *map = open_map();
    KV_AUTO_VERSION struct kv_version *version = kv_version_new();
    EVP_PKEY *pkey = make_key(KV_EC, "P-256");
    version->kind = KV_EC;
    version->bits = 256;
    kv_text_fit(version->curve, sizeof version->curve, "P-256");
    version->spki = spki_of(pkey);
    kv_text_fit(version->vault, sizeof version->vault, "prod");
    kv_text_fit(version->name, sizeof version->name, "k");
    kv_text_fit(version->version, sizeof version->version, "01");
    assert_int_equal(kv_version_identify(version), KV_OK);
    struct kv_map_recipient recipients[2] = { { .kind = "cms-unknown" }, { .kind = "cms-certificate" } };
    kv_encode_hex((struct kv_view){ version->id, sizeof version->id }, recipients[0].text);
    kv_encode_hex((struct kv_view){ version->id, sizeof version->id }, recipients[1].text);
    struct kv_map_backup backups[] = { { .id = "a", .recipients = &recipients[0], .recipient_count = 1 },
                                       { .id = "b", .recipients = &recipients[1], .recipient_count = 1 } };
    assert_int_equal(kv_map_backup_put(map, backups, 2, 5, NULL), KV_OK);
    int64_t unknown = 0;
    assert_int_equal(kv_map_unknown_openers(map, &unknown, NULL), KV_OK);
    assert_int_equal(unknown, 1);
    assert_int_equal(needed_by(map, kv_map_key_of(version)), 0);
    assert_int_equal(kv_map_store(map, &version, 1, NULL), KV_OK);
    assert_int_equal(needed_by(map, kv_map_key_of(version)), 2);
    struct kv_map_dependants needed;
    assert_int_equal(kv_map_dependants(map, kv_map_key_of(version), true, &needed, NULL), KV_OK);
    assert_int_equal(needed.sole, 2);
    EVP_PKEY_free(pkey);
    kv_map_free(map);
}

/* No sum of sizes is too large to be told. */
static void sizes_that_fit_nowhere(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_recipient recipient = { .kind = "rsa", .key = { 1 }, .key_len = 32 };
    struct kv_map_backup backups[] = {
        { .id = "a", .size = INT64_MAX, .recipients = &recipient, .recipient_count = 1 },
        { .id = "b", .size = INT64_MAX, .recipients = &recipient, .recipient_count = 1 },
    };
    struct kv_map_dependants needed;
    struct kv_map_survey survey = { 0 };
    assert_int_equal(kv_map_backup_put(map, backups, 2, 5, NULL), KV_OK);
    assert_int_equal(kv_map_dependants(map, (struct kv_view){ recipient.key, 32 }, true, &needed, NULL),
                     KV_OK);
    assert_true(needed.backups == 2 && needed.bytes == INT64_MAX);
    assert_int_equal(kv_map_survey(map, &(struct kv_map_choice){ 0 }, 0, &survey, NULL), KV_OK);
    assert_true(survey.sums.bytes == INT64_MAX && survey.keys[0].bytes == INT64_MAX);
    kv_map_survey_free(&survey);
    kv_map_free(map);
}

/* What is asked for each version of a list, and by each look-up, goes by an index. */
static void lookups_scan_nothing(void **state)
{
    static const enum kv_map_sql which[] = {
        KV_SQL_BACKUP_FIND, KV_SQL_BACKUP_PAGE_ID, KV_SQL_BACKUP_PAGE_STORE,  KV_SQL_BACKUP_PAGE_OPENER,
        KV_SQL_OPENERS,     KV_SQL_RECIPIENT_FIND, KV_SQL_RECIPIENTS,         KV_SQL_DEPENDANTS,
        KV_SQL_SOLE,        KV_SQL_LOCATIONS,      KV_SQL_LOCATIONS_OF_KID,   KV_SQL_JOURNAL_ENTRY,
        KV_SQL_VERSION_ROW, KV_SQL_BACKUP_ROW,     KV_SQL_BACKUP_COUNT_VAULT, KV_SQL_WRAPS_LEFT,
        KV_SQL_SETTLE,      KV_SQL_SETTLED,        KV_SQL_BACKUP_PAGE_OBJECT, KV_SQL_UNKNOWN_OPENERS,
    };
    kv_map_free(open_map());
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < COUNT(which); i++) {
        KV_AUTO_FREE char *text = kv_text_format("EXPLAIN QUERY PLAN %s", kv_map_texts[which[i]]);
        sqlite3_stmt *plan = NULL;
        assert_int_equal(sqlite3_prepare_v2(db, text, -1, &plan, NULL), SQLITE_OK);
        while (sqlite3_step(plan) == SQLITE_ROW)
            if (!strncmp((const char *)sqlite3_column_text(plan, 3), "SCAN", 4))
                fail_msg("%s: %s", kv_map_texts[which[i]], sqlite3_column_text(plan, 3));
        sqlite3_finalize(plan);
    }
    sqlite3_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_backup_comes_back_whole),
        TEST(what_is_told_again_changes_nothing),
        TEST(a_rewrap_keeps_what_was),
        TEST(drills_and_ends),
        TEST(pages),
        TEST(counts),
        TEST(bad_ones_are_refused_all_together),
        TEST(plans_of_a_version),
        TEST(places),
        TEST(no_kind_of_recipient_is_missed),
        TEST(what_was_scanned_first_needs_the_version_too),
        TEST(sizes_that_fit_nowhere),
        TEST(lookups_scan_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
