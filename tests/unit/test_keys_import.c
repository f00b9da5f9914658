/* What another map knows comes into this one: it completes, and never changes what is known here. */
#include "map_help.h"

#include "keys/coverage.h"

static struct kv_version *make_public(const char *name, int number)
{
    struct kv_version *version = make_version(name, number, false);
    EVP_PKEY *pkey = make_key(KV_EC, "P-256");
    version->kind = KV_EC;
    version->bits = 256;
    kv_text_fit(version->curve, sizeof version->curve, "P-256");
    version->spki = spki_of(pkey);
    assert_int_equal(kv_version_identify(version), KV_OK);
    EVP_PKEY_free(pkey);
    return version;
}

static enum kv_status take(struct kv_map *map, struct kv_version *version, struct kv_map_imported *ret,
                           struct kv_error *err)
{
    const struct kv_map_import what = { .versions = &version, .version_count = 1 };
    return kv_map_import(map, &what, 9000, ret, err);
}

static void take_backup(struct kv_map *map, const struct kv_map_backup *backup, int64_t came)
{
    const struct kv_map_import what = { .backups = backup, .backup_count = 1 };
    struct kv_map_imported done = { 0 };
    assert_int_equal(kv_map_import(map, &what, 9000, &done, NULL), KV_OK);
    assert_int_equal(done.backups, came);
}

static struct kv_map_backup only(struct kv_map *map, struct kv_map_backup_list *list)
{
    assert_int_equal(kv_map_backup_page(map, &(struct kv_map_backup_query){ .retired = true }, list, NULL),
                     KV_OK);
    assert_int_equal(list->count, 1);
    return list->items[0];
}

static void assert_whole(struct kv_map *map)
{
    struct kv_map_found found;
    struct kv_error err = { 0 };
    if (kv_map_verify(map, &found, &err))
        fail_msg("%s", err.text);
}

static void hints_are_completed_and_nothing_is_lowered(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_imported came = { 0 };
    KV_AUTO_VERSION struct kv_version *known = make_public("k", 1);
    known->wraps = 5;
    known->first_wrap = 100;
    known->last_wrap = 200;
    known->current = true;
    assert_int_equal(kv_map_store(map, &known, 1, NULL), KV_OK);
    KV_AUTO_VERSION struct kv_version *other = kv_version_copy(known);
    other->wraps = 3;
    other->first_wrap = 50;
    other->last_wrap = 150;
    other->last_unwrap = 300;
    other->first_seen = 10;
    other->retire_after = 700;
    other->state = KV_STATE_PURGED;
    other->current = false;
    assert_int_equal(take(map, other, &came, NULL), KV_OK);
    assert_int_equal(came.versions, 0);
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = find(map, &(struct kv_map_query){ 0 });
    const struct kv_version *now = list.items[0];
    assert_true(now->wraps == 5 && now->first_wrap == 50 && now->last_wrap == 200 && now->last_unwrap == 300);
    assert_true(now->first_seen == 10 && now->retire_after == 700 && now->current);
    assert_int_equal(now->state, KV_STATE_ENABLED);
    assert_whole(map);
    kv_map_free(map);
}

static void who_is_current_stays(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_imported came = { 0 };
    KV_AUTO_VERSION struct kv_version *first = make_public("k", 1), *second = make_public("k", 2),
                                      *third = make_public("l", 3);
    first->current = second->current = third->current = true;
    assert_int_equal(kv_map_store(map, &first, 1, NULL), KV_OK);
    assert_int_equal(take(map, second, &came, NULL), KV_OK);
    assert_int_equal(came.versions, 1);
    assert_int_equal(take(map, third, &came, NULL), KV_OK); /* of a name without any */
    KV_CLEANUP(kv_version_list_free)
    struct kv_version_list list = find(map, &(struct kv_map_query){ .current_only = true });
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0]->version, first->version);
    assert_string_equal(list.items[1]->version, third->version);
    assert_whole(map);
    kv_map_free(map);
}

static void the_same_key_elsewhere_is_a_place(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_imported came = { 0 };
    struct kv_map_location *places = NULL;
    size_t length = 0;
    KV_AUTO_VERSION struct kv_version *known = make_public("k", 1);
    assert_int_equal(kv_map_store(map, &known, 1, NULL), KV_OK);
    KV_AUTO_VERSION struct kv_version *moved = kv_version_copy(known), *renamed = kv_version_copy(known);
    kv_text_fit(moved->kid, sizeof moved->kid, "https://dr.example/keys/k/00000000000000000000000000000001");
    kv_text_fit(renamed->kid, sizeof renamed->kid, "https://dr.example/keys/l/02");
    kv_text_fit(renamed->name, sizeof renamed->name, "l");
    assert_int_equal(take(map, moved, &came, NULL), KV_OK);
    assert_true(came.versions == 0 && came.locations == 1);
    assert_int_equal(take(map, renamed, &came, NULL), KV_OK);
    assert_true(came.versions == 0 && came.locations == 1);
    assert_int_equal(take(map, renamed, &came, NULL), KV_OK);
    assert_true(came.versions == 0 && came.locations == 0);
    assert_int_equal(kv_map_locations(map, kv_map_key_of(known), &places, &length, NULL), KV_OK);
    assert_int_equal(length, 3);
    free(places);
    assert_int_equal(count(map, &(struct kv_map_query){ 0 }), 1);
    assert_whole(map);
    kv_map_free(map);
}

static void another_key_is_refused(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_imported came = { 0 };
    struct kv_error err = { 0 };
    KV_AUTO_VERSION struct kv_version *known = make_public("k", 1), *other = make_public("k", 1),
                                      *oct = make_version("k", 1, false), *place = make_public("k", 1),
                                      *fine = make_public("fine", 1);
    assert_int_equal(kv_map_store(map, &known, 1, NULL), KV_OK);
    kv_text_fit(place->vault, sizeof place->vault, "elsewhere");
    struct kv_version *const rows[] = { other, oct, place };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kv_version *two[] = { fine, rows[i] };
        const struct kv_map_import what = { .versions = two, .version_count = 2 };
        if (kv_map_import(map, &what, 9000, &came, &err) != KV_CONFLICT || !strstr(err.text, known->kid))
            fail_msg("%zu: %s", i, err.text);
        assert_int_equal(count(map, &(struct kv_map_query){ 0 }), 1); /* not the good one either */
    }
    assert_whole(map);
    kv_map_free(map);
}

static void a_backup_is_completed(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_recipient mine[] = { { .kind = "rsa", .key = { 1 }, .key_len = 32, .added = 5 } };
    struct kv_map_recipient theirs[] = {
        { .kind = "rsa", .key = { 1 }, .key_len = 32, .added = 5, .removed = 6 },
        { .kind = "rsa", .key = { 2 }, .key_len = 32, .added = 6, .removed = 7 }
    };
    struct kv_map_backup here = {
        .id = "a", .size = 10, .keep_until = 50, .recipients = mine, .recipient_count = 1
    };
    struct kv_map_backup there = { .id = "a",
                                   .object = "o",
                                   .size = 99,
                                   .keep_until = 40,
                                   .drilled = 30,
                                   .drill_result = "identical",
                                   .retired = 60,
                                   .recipients = theirs,
                                   .recipient_count = 2 };
    assert_int_equal(kv_map_backup_put(map, &here, 1, 5, NULL), KV_OK);
    take_backup(map, &there, 1);
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
    struct kv_map_backup now = only(map, &list);
    assert_true(now.size == 10 && now.keep_until == 50 && now.drilled == 30 && now.retired == 0);
    assert_string_equal(now.object, "o");
    assert_int_equal(now.recipient_count, 2);
    assert_true(now.recipients[0].removed == 0 && now.recipients[1].removed == 7);
    take_backup(map, &there, 0);
    take_backup(map, &here, 0);
    assert_whole(map);
    kv_map_free(map);
}

/* What is outstanding there is outstanding here, however much is settled here; what is settled there is not. */
static void wraps_elsewhere_are_not_hidden(void **state)
{
    static const struct {
        const char *sentence;
        int64_t wraps, settled, their_wraps, their_settled, left;
    } cases[] = {
        { "all settled here, and none there", 5, 5, 5, 0, 5 },
        { "all settled there, and none here", 5, 0, 9, 9, 5 },
        { "all settled in both", 5, 5, 9, 9, 0 },
        { "some of each", 5, 3, 9, 8, 2 },
        { "nothing is known here", 0, 0, 9, 8, 1 },
        { "more is settled there than there is", 0, 0, 1, 2, 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct kv_map *map = open_map();
        int64_t left = -1;
        KV_AUTO_VERSION struct kv_version *known = make_public("k", (int)i), *other = kv_version_copy(known),
                                          *moved = kv_version_copy(known);
        known->wraps = cases[i].wraps;
        known->settled = cases[i].settled;
        other->wraps = moved->wraps = cases[i].their_wraps;
        other->settled = moved->settled = cases[i].their_settled;
        kv_text_fit(moved->name, sizeof moved->name, "moved"); /* the same key under another name */
        snprintf(moved->kid, sizeof moved->kid, "https://dr.example/keys/moved/%s", moved->version);
        assert_int_equal(kv_map_store(map, &known, 1, NULL), KV_OK);
        for (int again = 0; again < 4; again++) {
            assert_int_equal(take(map, again % 2 ? other : moved, NULL, NULL), KV_OK);
            assert_int_equal(kv_map_wraps_left(map, known, &left, NULL), KV_OK);
            if (left != cases[i].left)
                fail_msg("%s: %d", cases[i].sentence, (int)left);
        }
        kv_map_free(map);
    }
}

/* Told to be gone here, and sealed anew over there: it is there. An old copy, from before it went, says nothing. */
static void a_backup_that_is_there_again(void **state)
{
    struct kv_map *map = open_map();
    struct kv_map_dependants needed;
    struct kv_map_recipient mine[] = { { .kind = "rsa", .key = { 1 }, .key_len = 32 } };
    struct kv_map_recipient theirs[] = { { .kind = "rsa", .key = { 1 }, .key_len = 32, .added = 5 },
                                         { .kind = "rsa", .key = { 2 }, .key_len = 32, .added = 10 } };
    struct kv_map_backup here = { .id = "a", .recipients = mine, .recipient_count = 1 };
    struct kv_map_backup there = { .id = "a", .recipients = theirs, .recipient_count = 1 };
    assert_int_equal(kv_map_backup_put(map, &here, 1, 5, NULL), KV_OK);
    assert_int_equal(kv_map_backup_retire(map, "a", "", 9, NULL), KV_OK);
    take_backup(map, &there, 0);
    there.recipient_count = 2;
    take_backup(map, &there, 1);
    for (int key = 0; key < 2; key++) {
        assert_int_equal(
            kv_map_dependants(map, (struct kv_view){ theirs[key].key, 32 }, false, &needed, NULL), KV_OK);
        assert_int_equal(needed.backups, 1);
    }
    KV_CLEANUP(kv_map_backup_list_free) struct kv_map_backup_list list = { 0 };
    assert_int_equal(only(map, &list).retired, 0);
    take_backup(map, &there, 0);
    assert_whole(map);
    kv_map_free(map);
}

static void a_merge_that_fails_leaves_nothing(void **state)
{
    struct kv_map *map = open_map(), *from = NULL;
    struct kv_map_imported came;
    struct kv_error err = { 0 };
    KV_AUTO_VERSION struct kv_version *known = make_public("z", 1), *other = make_public("z", 1);
    struct kv_map_backup backup = { .id = "a" };
    assert_int_equal(kv_map_store(map, &known, 1, NULL), KV_OK);
    assert_int_equal(kv_map_scratch(&from, NULL), KV_OK);
    for (int i = 0; i < 20; i++)
        store(from, "k", i, false);
    assert_int_equal(kv_map_backup_put(from, &backup, 1, 5, NULL), KV_OK);
    assert_int_equal(kv_map_store(from, &other, 1, NULL), KV_OK);
    assert_int_equal(kv_map_merge(map, from, 9000, &came, &err), KV_CONFLICT);
    assert_non_null(strstr(err.text, "/keys/z/"));
    assert_int_equal(count(map, &(struct kv_map_query){ 0 }), 1);
    assert_whole(map);
    kv_map_free(from);
    kv_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hints_are_completed_and_nothing_is_lowered),
        TEST(who_is_current_stays),
        TEST(the_same_key_elsewhere_is_a_place),
        TEST(another_key_is_refused),
        TEST(a_backup_is_completed),
        TEST(wraps_elsewhere_are_not_hidden),
        TEST(a_backup_that_is_there_again),
        TEST(a_merge_that_fails_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
