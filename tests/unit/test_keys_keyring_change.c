#include "keyring_help.h"
#include "keys/backup_map.h"

struct rotation {
    const char *text;
    enum fake_rotation how;
    bool no_list;
    const char *requests;
};

static void test_rotate(void **state)
{
    static const struct rotation rotations[] = {
        { "a rotation", FAKE_ROTATES, false, "GET kek, LIST kek, GET kek@a1, ROTATE kek" },
        { "without permission to list", FAKE_ROTATES, true, "GET kek, LIST kek, ROTATE kek" },
        { "with its reply lost is not done twice", FAKE_LOSES_REPLY, false,
          "GET kek, LIST kek, GET kek@a1, ROTATE kek, LIST kek, GET kek@rot1, GET kek" },
        { "with its request lost is done again, once it is proven that nothing came", FAKE_LOSES_REQUEST,
          false, "GET kek, LIST kek, GET kek@a1, ROTATE kek, LIST kek, GET kek, ROTATE kek" },
    };

    for (size_t i = 0; i < COUNT(rotations); i++) {
        struct world *world = world_new();
        struct kv_version *old = NULL, *new = NULL;
        struct kv_error err = { 0 };
        struct kv_task task = world_task(world);

        print_message("  %s\n", rotations[i].text);
        fill(world);
        world->vault.rotation = rotations[i].how;
        world->vault.no_list = rotations[i].no_list;
        assert_int_equal(kv_keyring_rotate(world->keyring, "kek", &task, &old, &new, &err), KV_OK);
        assert_requests(world, rotations[i].requests);
        assert_string_equal(old->label, "kek@a2");
        assert_string_equal(new->label, "kek");
        assert_string_equal(new->version, "rot1");
        assert_int_equal(world->vault.rotated, 1);
        world_restart(world);
        assert_finds(world, "kek:enabled", .label = "kek");
        assert_requests(world, "");
        kv_version_free(old);
        kv_version_free(new);
        world_free(world);
    }
}

static void test_rotation_in_doubt(void **state)
{
    struct world *world = *state;
    struct kv_version *old = NULL, *new = NULL;
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);

    fill(world);
    world->vault.rotation = FAKE_LOSES_REQUEST;
    world->vault.no_list = true; /* then that nothing came cannot be proven */
    assert_int_equal(kv_keyring_rotate(world->keyring, "kek", &task, &old, &new, &err), KV_UNREACHABLE);
    assert_non_null(strstr(err.text, "may or may not exist"));
    assert_null(new);
    assert_int_equal(world->vault.rotated, 0);
}

static void assert_left(struct world *world, const char *version, const char *requests)
{
    struct kv_task task = world_task(world);
    struct kv_error err = { 0 };
    char left[KV_VERSION_SIZE] = "";

    world_restart(world); /* whoever began it is gone */
    assert_int_equal(kv_keyring_rotation_left(world->keyring, "kek", &task, left, &err), KV_OK);
    assert_string_equal(left, version);
    assert_requests(world, requests);
}

/* A run that never came to kv_keyring_rotated. */
static void test_rotation_cut_off(void **state)
{
    struct world *world = *state;
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);

    world_key(world, "kek", "a1", clock_seconds - 5);
    for (int i = 0; i < 2; i++) {
        KV_AUTO_VERSION struct kv_version *old = NULL, *new = NULL;

        assert_left(world, "", "");
        clock_seconds += 5;
        world->vault.rotation = i ? FAKE_LOSES_REPLY : FAKE_ROTATES;
        assert_int_equal(kv_keyring_rotate(world->keyring, "kek", &task, &old, &new, &err), KV_OK);
        world->vault.log[0] = '\0';
        assert_left(world, i ? "rot2" : "rot1", "GET kek, LIST kek");
        clock_seconds += 24 * 3600 + 1; /* too long ago to be gone on with */
        assert_left(world, "", "");
        clock_seconds -= 24 * 3600 + 1;
        assert_int_equal(kv_keyring_rotated(world->keyring, "kek", &err), KV_OK);
    }
}

/* What was made by others, at another time, or is gone, is not taken for it; nor is there anything to look for when it failed for good. */
static void test_rotation_left_nothing(void **state)
{
    struct world *world = *state;
    struct kv_version *old = NULL, *new = NULL;
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);

    world_key(world, "kek", "a1", clock_seconds - 5);
    world->vault.rotation = FAKE_LOSES_REQUEST;
    world->vault.no_list = true;
    assert_int_equal(kv_keyring_rotate(world->keyring, "kek", &task, &old, &new, &err), KV_UNREACHABLE);
    world->vault.no_list = false;
    assert_left(world, "", "GET kek, LIST kek");
    world_key(world, "kek", "late", clock_seconds + 3600);
    assert_left(world, "", "GET kek, LIST kek");
    world_key(world, "kek", "ours", clock_seconds + 1);
    assert_left(world, "", "GET kek, LIST kek, GET kek@ours"); /* no longer current */
    world->config.adopt = KV_ADOPT_MANUAL;
    assert_left(world, "ours", "GET kek, LIST kek");
}

static void test_create(void **state)
{
    struct world *world = *state;
    struct kv_vault_create create = { .name = "fresh", .kty = "RSA", .bits = 2048 };
    struct kv_version *version = NULL;
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);

    assert_int_equal(kv_keyring_create(world->keyring, &create, &task, &version, &err), KV_OK);
    assert_string_equal(version->label, "fresh");
    kv_version_free(version);
    version = NULL;
    assert_int_equal(kv_keyring_create(world->keyring, &create, &task, &version, &err), KV_CONFLICT);
    assert_null(version);
    assert_requests(world, "GET fresh, CREATE fresh, GET fresh");
}

static struct kv_error make_err;

static enum kv_status make(struct world *world, const char *name, bool next, struct kv_version **ret)
{
    struct kv_vault_create create = { .name = name, .kty = "RSA" };
    struct kv_keyring_new what = { .create = &create, .next = next };
    struct kv_task task = world_task(world);

    make_err = (struct kv_error){ 0 };
    return kv_keyring_make(world->keyring, &what, &task, ret, &make_err);
}

static void test_make(void **state)
{
    static const struct {
        const char *text, *name;
        bool next;
        enum fake_rotation how;
        enum kv_status status;
        const char *requests, *version;
    } rows[] = {
        { "a new key", "fresh", false, FAKE_ROTATES, KV_OK, "GET fresh, CREATE fresh", "new1" },
        { "with its reply lost it is there", "fresh", false, FAKE_LOSES_REPLY, KV_OK,
          "GET fresh, CREATE fresh, LIST fresh, GET fresh@new1, GET fresh", "new1" },
        { "with its request lost it is not made again", "fresh", false, FAKE_LOSES_REQUEST, KV_UNREACHABLE,
          "GET fresh, CREATE fresh, LIST fresh, GET fresh", NULL },
        { "an existing name", "kek", false, FAKE_ROTATES, KV_CONFLICT, "GET kek", NULL },
        { "its next version", "kek", true, FAKE_ROTATES, KV_OK, "GET kek, LIST kek, GET kek@a1, CREATE kek",
          "new1" },
        { "with its reply lost it is found", "kek", true, FAKE_LOSES_REPLY, KV_OK,
          "GET kek, LIST kek, GET kek@a1, CREATE kek, LIST kek, GET kek@new1, GET kek", "new1" },
        { "with its request lost nothing is made again", "kek", true, FAKE_LOSES_REQUEST, KV_UNREACHABLE,
          "GET kek, LIST kek, GET kek@a1, CREATE kek, LIST kek, GET kek", NULL },
        { "what is no name", "a_b", false, FAKE_ROTATES, KV_NOT_FOUND, "", NULL },
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct world *world = world_new();
        struct kv_version *made = NULL;

        print_message("  %s\n", rows[i].text);
        fill(world);
        world->vault.rotation = rows[i].how;
        assert_int_equal(make(world, rows[i].name, rows[i].next, &made), rows[i].status);
        assert_requests(world, rows[i].requests);
        assert_int_equal(made != NULL, rows[i].version != NULL);
        assert_int_equal(*make_err.text != 0, rows[i].status != KV_OK); /* a success leaves no complaint */
        if (made)
            assert_string_equal(made->version, rows[i].version);
        if (made)
            assert_string_equal(made->label, rows[i].name);
        kv_version_free(made);
        world_free(world);
    }
}

/* After a lost reply, what somebody else made meanwhile must not pass for what was brought in. */
static void test_import_knows_its_own(void **state)
{
    struct world *world = *state;
    struct kv_version *made = NULL;
    struct kv_task task = world_task(world);
    struct kv_error err = { 0 };
    static const unsigned char f4[] = { 1, 1, 1 };
    struct kv_bytes ours = fake_vault_modulus("new1", 0), others = fake_vault_modulus("new1", 1);
    struct kv_vault_import import = { .name = "fresh", .kty = "RSA" };
    struct kv_keyring_new what = { .import = &import };

    import.members[KV_JWK_E] = (struct kv_view){ f4, 3 };
    import.members[KV_JWK_N] = KV_VIEW(others);
    assert_int_equal(kv_keyring_make(world->keyring, &what, &task, &made, &err), KV_WRONG_KEY);
    assert_non_null(strstr(err.text, "is not the key that was imported"));
    assert_null(made);
    world->vault.count = world->vault.rotated = 0;
    world->vault.rotation = FAKE_LOSES_REPLY;
    import.name = "another";
    import.members[KV_JWK_N] = KV_VIEW(ours);
    world->vault.log[0] = 0;
    assert_int_equal(kv_keyring_make(world->keyring, &what, &task, &made, &err), KV_OK);
    assert_requests(world, "GET another, IMPORT another, LIST another, GET another@new1, GET another");
    kv_version_free(made);
    kv_bytes_free(&ours);
    kv_bytes_free(&others);
}

/* Two have come: nobody can tell which is ours, and nothing is sent again. */
static void test_two_came_meanwhile(void **state)
{
    struct world *world = *state;
    struct kv_version *made = NULL;

    fill(world);
    KV_AUTO_VERSION struct kv_version *known = current(world, "kek");
    assert_non_null(known);
    world->vault.rotation = FAKE_LOSES_REPLY;
    world->vault.also = "other1";
    assert_int_equal(make(world, "kek", true, &made), KV_PROTOCOL);
    assert_non_null(strstr(make_err.text, "2 new versions"));
    assert_true(make_err.maybe_done);
    assert_int_equal(world->vault.rotated, 1);
    assert_null(made);
}

/* A create is known by what was asked for: what another made of another size is not taken for it. */
static void test_create_knows_its_own(void **state)
{
    struct world *world = *state;
    struct kv_version *made = NULL;
    struct kv_error err = { 0 };
    struct kv_task task = world_task(world);
    struct kv_vault_create create = { .name = "fresh", .kty = "RSA", .bits = 4096 };
    struct kv_keyring_new what = { .create = &create };

    world->vault.rotation = FAKE_LOSES_REPLY;
    assert_int_equal(kv_keyring_make(world->keyring, &what, &task, &made, &err), KV_PROTOCOL);
    assert_non_null(strstr(err.text, "has no new version"));
    assert_false(err.maybe_done);
    assert_null(made);
}

static void test_update_and_disable(void **state)
{
    struct world *world = *state;
    struct kv_task task = world_task(world);
    struct kv_error err = { 0 };
    int64_t exp = clock_seconds + 1000;
    struct kv_keyring_update update = { .exp = &exp, .forbid = KV_OP_SIGN };

    fill(world);
    KV_AUTO_VERSION struct kv_version *version = current(world, "kek"), *after = NULL, *then = NULL,
                                      *last = NULL;
    assert_requests(world, "GET kek");
    assert_int_equal(kv_keyring_update(world->keyring, version, &update, &task, &after, &err), KV_OK);
    assert_requests(world, "PATCH kek@a2");
    assert_int_equal(after->exp, exp);
    assert_int_equal(after->operations, KV_OP_ALL & ~(unsigned)KV_OP_SIGN);
    assert_true(after->current);
    assert_int_equal(kv_keyring_disable(world->keyring, after, &task, &then, &err), KV_OK);
    assert_requests(world, "PATCH kek@a2");
    assert_int_equal(then->state, KV_STATE_DISABLED);
    assert_string_equal(then->label, "kek");
    world_restart(world);
    last = current(world, "kek"); /* the map remembers */
    assert_requests(world, "");
    assert_int_equal(last->state, KV_STATE_DISABLED);
    assert_int_equal(last->exp, exp);
}

static void test_what_is_needed_stays(void **state)
{
    struct world *world = *state;
    struct kv_task task = world_task(world);
    struct kv_error err = { 0 };
    struct kv_map_wrap wrap = { { 1 }, "prod", "kek", "a2", 1700000000, "test" };
    struct kv_map_recipient recipient;
    struct kv_map_backup backup = {
        .id = "set-7", .store = "/b", .created = 1700000000, .recipients = &recipient, .recipient_count = 1
    };

    fill(world);
    KV_AUTO_VERSION struct kv_version *kek = current(world, "kek"), *sig = current(world, "sig"),
                                      *after = NULL;
    assert_int_equal(kv_map_wrapped(world->map, &wrap, 1, &err), KV_OK); /* by another process, say */
    assert_true(kv_map_recipient_of(sig, "rsa-oaep-256", NULL, &recipient));
    assert_int_equal(kv_map_backup_put(world->map, &backup, 1, 1700000001, &err), KV_OK);
    world->vault.log[0] = 0;
    assert_int_equal(kv_keyring_disable(world->keyring, kek, &task, &after, &err), KV_DEPENDED);
    assert_non_null(strstr(err.text, "is needed by 1 wrapped keys"));
    assert_non_null(strstr(err.text, "2023-11-14T22:13:20Z"));
    assert_int_equal(kv_keyring_disable(world->keyring, sig, &task, &after, &err), KV_DEPENDED);
    assert_non_null(strstr(err.text, "'set-7'"));
    assert_requests(world, "");
    assert_null(after);
}

static void test_promote(void **state)
{
    struct world *world = *state;
    struct kv_error err = { 0 };
    unsigned char hash[32];
    int64_t before = 0, after = 0;

    fill(world);
    world->config.adopt = KV_ADOPT_MANUAL;
    KV_AUTO_VERSION struct kv_version *first = current(world, "kek");
    assert_string_equal(first->version, "a2"); /* nobody has promoted any yet */
    world_key(world, "kek", "a3", 3000);
    clock_seconds += 1000; /* past refresh_seconds */
    world->vault.log[0] = 0;
    KV_AUTO_VERSION struct kv_version *kept = current(world, "kek");
    assert_string_equal(kept->version, "a2");
    assert_string_equal(kept->label, "kek");
    assert_requests(world, "GET kek, GET kek@a2");
    KV_CLEANUP(kv_version_list_free) struct kv_version_list list = { 0 };
    const struct kv_map_query query = { .vault = "prod", .name = "kek", .version = "a3" };
    assert_int_equal(kv_map_find(world->map, &query, &list, NULL), KV_OK);
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0]->label, "kek@a3");

    assert_int_equal(kv_map_journal_head(world->map, &before, hash, NULL), KV_OK);
    if (kv_keyring_promote(world->keyring, list.items[0], &err))
        fail_msg("%s", err.text);
    assert_requests(world, "");
    assert_int_equal(kv_map_journal_head(world->map, &after, hash, NULL), KV_OK);
    assert_int_equal(after - before, 2); /* promoted, demoted */
    KV_AUTO_VERSION struct kv_version *now = current(world, "kek");
    assert_string_equal(now->version, "a3");

    world->vault.keys[1].disabled = true; /* a2 */
    KV_CLEANUP(kv_version_list_free) struct kv_version_list asked = { 0 };
    struct kv_task task = world_task(world);
    assert_int_equal(kv_keyring_listed(world->keyring, "kek", &task, &asked, &err), KV_OK);
    assert_int_equal(kv_keyring_promote(world->keyring, kept, &err), KV_DISABLED);
    assert_non_null(strstr(err.text, "is disabled"));
    world->config.adopt = KV_ADOPT_AUTO;
    assert_int_equal(kv_keyring_promote(world->keyring, now, &err), KV_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotate),
        TEST(test_rotation_in_doubt),
        TEST(test_rotation_cut_off),
        TEST(test_rotation_left_nothing),
        TEST(test_create),
        cmocka_unit_test(test_make),
        TEST(test_import_knows_its_own),
        TEST(test_update_and_disable),
        TEST(test_two_came_meanwhile),
        TEST(test_create_knows_its_own),
        TEST(test_what_is_needed_stays),
        TEST(test_promote),
    };

    return cmocka_run_group_tests_name("keys/keyring_change", tests, NULL, NULL);
}
