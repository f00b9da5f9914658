/* AES-GCM with keys whose service makes the nonce: what is asked, what is taken for an answer, and how old data finds its version. */
#include "key_ops_help.h"

#include "mech/message_param.h"

static unsigned char header[] = "header";

/* A key of two versions, "o1" and the current "o2". */
static int setup_oct(void **state)
{
    struct world *world = world_new();

    world->config.managed_hsm = true;
    world_key(world, "kek", "o1", 1000)->kind = KV_OCT;
    world_key(world, "kek", "o2", 2000)->kind = KV_OCT;
    world->vault.aad = "header";
    *state = world;
    return 0;
}

static const CK_MECHANISM messages = { CKM_AES_GCM, NULL, 0 };

/* As the message functions begin: the row alone, then the associated data. */
static struct run begin(struct world *world, const char *version, unsigned operation)
{
    struct run run = start_by(kv_message_param_select, world, version, &messages, operation);

    assert_string_equal(run.mech.row->alg, "A256GCM");
    assert_int_equal(kv_bytes_copy((struct kv_view){ header, 6 }, &run.mech.aad), KV_OK);
    return run;
}

static enum kv_status seal(struct run *run, const char *text, struct kv_sealed *ret)
{
    struct kv_key_use use = use_of(run);

    return kv_key_seal(&use, kv_view_text(text), ret, &run->err);
}

/* "secret" sealed under a version, as decryption takes it, and known to the vault. */
static struct kv_bytes sealed_under(struct world *world, const char *version)
{
    struct run run = begin(world, version, KV_OP_ENCRYPT);
    struct kv_sealed sealed = { 0 };
    KV_AUTO_BUFFER struct kv_buffer blob = { 0 };
    struct kv_bytes ret = { 0 };

    assert_int_equal(seal(&run, "secret", &sealed), KV_OK);
    assert_int_equal(kv_buffer_add(&blob, KV_VIEW(sealed.cipher)), KV_OK);
    assert_int_equal(kv_buffer_add(&blob, KV_VIEW(sealed.tag)), KV_OK);
    assert_int_equal(kv_bytes_copy(KV_VIEW(blob.bytes), &ret), KV_OK);
    fake_vault_seals(&world->vault, version, KV_VIEW(ret));
    kv_sealed_free(&sealed);
    run_free(&run);
    return ret;
}

static struct run begin_opening(struct world *world, const char *version)
{
    struct run run = begin(world, version, KV_OP_DECRYPT);

    run.mech.tag_len = KV_SEALED_TAG;
    assert_int_equal(kv_bytes_alloc(KV_SEALED_IV, &run.mech.iv), KV_OK);
    memset(run.mech.iv.data, 0x11, KV_SEALED_IV);
    return run;
}

static enum kv_status open_blob(struct run *run, struct kv_view blob)
{
    struct kv_key_use use = use_of(run);

    return kv_key_decrypt(&use, KV_OP_DECRYPT, blob, &run->out, &run->err);
}

static void test_seal_is_one_request(void **state)
{
    struct world *world = *state;
    struct run run = begin(world, "o2", KV_OP_ENCRYPT);
    struct kv_sealed sealed = { 0 };

    assert_int_equal(seal(&run, "secret", &sealed), KV_OK);
    assert_requests(world, "ENCRYPT kek@o2");
    assert_int_equal(sealed.cipher.len, 6);
    assert_int_equal(sealed.iv.len, KV_SEALED_IV);
    assert_int_equal(sealed.iv.data[0], 0x11);
    assert_int_equal(sealed.tag.len, KV_SEALED_TAG);
    assert_int_equal(sealed.tag.data[15], 0x22);
    kv_sealed_free(&sealed);
    assert_null(sealed.cipher.data);
    assert_int_equal(seal(&run, "", &sealed), KV_OK);
    assert_int_equal(sealed.cipher.len, 0);
    kv_sealed_free(&sealed);
    run_free(&run);
}

/* A reply that is not AES-GCM's is refused before anybody copies it into a smaller place. */
static void test_a_strange_tag_is_refused(void **state)
{
    struct world *world = *state;
    struct run run = begin(world, "o2", KV_OP_ENCRYPT);
    struct kv_sealed sealed = { 0 };

    world->vault.tag_len = 17;
    assert_int_equal(seal(&run, "secret", &sealed), KV_PROTOCOL);
    assert_null(sealed.tag.data);
    assert_non_null(strstr(run.err.text, "a tag of 17"));
    run_free(&run);
}

static void test_seal_keeps_to_state_and_permission(void **state)
{
    static const struct {
        const char *text;
        bool disabled;
        int64_t exp; /* relative to now */
        unsigned operations;
        enum kv_status status;
        const char *requests;
    } rows[] = {
        { "expired", false, -600, 0, KV_NOT_VALID, "GET kek@o2" },
        { "disabled", true, 0, 0, KV_DISABLED, "GET kek@o2" },
        { "decrypt alone", false, 0, KV_OP_DECRYPT, KV_KEY_OPERATION, "" },
        { "wrapKey serves an encrypt", false, 0, KV_OP_WRAP, KV_OK, "WRAP kek@o2" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        void *fresh;

        print_message("  %s\n", rows[i].text);
        setup_oct(&fresh);
        struct world *world = fresh;
        struct fake_key *key = &world->vault.keys[1];
        key->disabled = rows[i].disabled;
        key->exp = rows[i].exp ? clock_seconds + rows[i].exp : 0;
        key->operations = rows[i].operations;
        struct run run = begin(world, "o2", KV_OP_ENCRYPT);
        struct kv_sealed sealed = { 0 };
        clock_seconds += 10; /* what was just asked is asked again only after a while */
        assert_int_equal(seal(&run, "secret", &sealed), rows[i].status);
        assert_requests(world, rows[i].requests);
        kv_sealed_free(&sealed);
        run_free(&run);
        teardown(&fresh);
    }
}

static void test_open(void **state)
{
    struct world *world = *state;
    KV_AUTO_BYTES struct kv_bytes blob = sealed_under(world, "o2");
    struct run run = begin_opening(world, NULL);

    assert_int_equal(open_blob(&run, KV_VIEW(blob)), KV_OK);
    assert_requests(world, "DECRYPT kek@o2");
    assert_true(kv_view_equal(KV_VIEW(run.out), kv_view_text("secret")));
    run_free(&run);
}

/* Less than a tag is no ciphertext, and no reason to look at other versions. */
static void test_too_short_costs_nothing(void **state)
{
    struct world *world = *state;
    struct run run = begin_opening(world, NULL);

    assert_int_equal(open_blob(&run, (struct kv_view){ header, 6 }), KV_CIPHERTEXT_LENGTH);
    assert_requests(world, "");
    run_free(&run);
}

static void test_old_data(void **state)
{
    static const struct {
        const char *text;
        bool no_ledger, no_fallback;
        enum kv_status status;
        const char *requests;
    } rows[] = {
        { "the ledger knows the version", false, false, KV_OK, "DECRYPT kek@o1" },
        { "without it the versions are tried", true, false, KV_OK,
          "DECRYPT kek@o2, LIST kek, DECRYPT kek@o1" },
        { "or not", true, true, KV_BAD_CIPHERTEXT, "DECRYPT kek@o2, LIST kek" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        void *fresh;
        char found[256];

        print_message("  %s\n", rows[i].text);
        setup_oct(&fresh);
        struct world *world = fresh;
        world_find(world, &(struct kv_keyring_query){ 0 }, found, sizeof(found));
        clock_seconds += 301;
        world->config.ledger = !rows[i].no_ledger;
        world->config.decrypt_fallback = !rows[i].no_fallback;
        KV_AUTO_BYTES struct kv_bytes blob = sealed_under(world, "o1");
        struct run run = begin_opening(world, NULL);
        assert_int_equal(open_blob(&run, KV_VIEW(blob)), rows[i].status);
        assert_requests(world, rows[i].requests);
        run_free(&run);
        teardown(&fresh);
    }
}

static void test_output_size_leaves_the_tag_out(void **state)
{
    struct world *world = *state;
    struct run run = begin_opening(world, NULL);

    assert_int_equal(kv_key_output_size(run.version, &run.mech, KV_OP_DECRYPT, 48), 32);
    assert_int_equal(kv_key_output_size(run.version, &run.mech, KV_OP_DECRYPT, 3), 0);
    run_free(&run);
}

#define OCT_TEST(name) cmocka_unit_test_setup_teardown(name, setup_oct, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OCT_TEST(test_seal_is_one_request),
        OCT_TEST(test_a_strange_tag_is_refused),
        cmocka_unit_test(test_seal_keeps_to_state_and_permission),
        OCT_TEST(test_open),
        OCT_TEST(test_too_short_costs_nothing),
        cmocka_unit_test(test_old_data),
        OCT_TEST(test_output_size_leaves_the_tag_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
