#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "../../tools/age/envelope.h"

/* A recipient that hides nothing: the file key is the body of its stanza. */
static enum kv_status fake_wrap(void *state, const unsigned char file_key[KV_AGE_FILE_KEY],
                                struct kv_age_stanza **ret, size_t *ret_count, struct kv_error *err)
{
    const char *const args[] = { "open" };
    struct kv_age_stanza *stanza = calloc(1, sizeof(*stanza));
    assert_non_null(stanza);
    assert_int_equal(kv_age_stanza_make(args, 1, (struct kv_view){ file_key, KV_AGE_FILE_KEY }, stanza, NULL),
                     KV_OK);
    *ret = stanza;
    *ret_count = 1;
    return KV_OK;
}

static enum kv_status fake_unwrap(void *state, const struct kv_age_stanza *stanzas, size_t count,
                                  unsigned char ret_file_key[KV_AGE_FILE_KEY], bool *ret_mine,
                                  struct kv_error *err)
{
    *ret_mine = count == 1 && stanzas[0].body.len == KV_AGE_FILE_KEY;
    if (*ret_mine)
        memcpy(ret_file_key, stanzas[0].body.data, KV_AGE_FILE_KEY);
    return KV_OK;
}

static const struct kv_age_recipient recipient = { fake_wrap, NULL, NULL };
static const struct kv_age_identity identity = { fake_unwrap, NULL, NULL };
static unsigned char secret[KV_ENVELOPE_SECRET_MAX + 1];

static enum kv_status open_file(struct kv_view file, struct kv_bytes *ret, struct kv_error *err)
{
    return kv_age_envelope_open(&identity, 1, file, ret, err);
}

static void what_is_sealed_is_opened(void **state)
{
    static const size_t sizes[] = { 0, 1, 32, KV_ENVELOPE_SECRET_MAX - 1, KV_ENVELOPE_SECRET_MAX };
    for (size_t i = 0; i < sizeof(secret); i++)
        secret[i] = (unsigned char)(i * 31 + 7);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        KV_AUTO_BUFFER struct kv_buffer file = { 0 };
        KV_AUTO_BYTES struct kv_bytes back = { 0 };
        struct kv_view plain = { secret, sizes[i] };
        assert_int_equal(kv_age_envelope_seal(&recipient, 1, plain, &file, NULL), KV_OK);
        assert_true(file.bytes.len <= KV_ENVELOPE_FILE_MAX);
        assert_int_equal(open_file(KV_VIEW(file.bytes), &back, NULL), KV_OK);
        assert_true(kv_view_equal(KV_VIEW(back), plain));
        assert_true(back.locked);
    }
}

static void more_than_a_secret_is_refused(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer file = { 0 };
    KV_AUTO_BYTES struct kv_bytes back = { 0 };
    struct kv_error err = { 0 };
    assert_int_equal(
        kv_age_envelope_seal(&recipient, 1, (struct kv_view){ secret, sizeof(secret) }, &file, NULL),
        KV_ARGUMENTS);
    assert_int_equal(file.bytes.len, 0);
    assert_int_equal(
        kv_age_envelope_seal(&recipient, 1, (struct kv_view){ secret, KV_ENVELOPE_SECRET_MAX }, &file, NULL),
        KV_OK);
    assert_int_equal(kv_buffer_add(&file, kv_view_text("x")), KV_OK);
    assert_int_equal(open_file(KV_VIEW(file.bytes), &back, &err), KV_BAD_DATA);
    assert_non_null(strstr(err.text, "kvp11 open"));
}

/* Every bit, every length, and something behind it. */
static void changes_are_noticed(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer file = { 0 };
    struct kv_bytes untouched = { NULL, 42, false };
    assert_int_equal(kv_age_envelope_seal(&recipient, 1, kv_view_text("secret"), &file, NULL), KV_OK);
    for (size_t i = 0; i < file.bytes.len * 8; i++) {
        file.bytes.data[i / 8] ^= (unsigned char)(1 << i % 8);
        if (open_file(KV_VIEW(file.bytes), &untouched, NULL) == KV_OK)
            fail_msg("bit %zu was not noticed", i);
        file.bytes.data[i / 8] ^= (unsigned char)(1 << i % 8);
    }
    for (size_t len = 0; len < file.bytes.len; len++)
        assert_int_equal(open_file((struct kv_view){ file.bytes.data, len }, &untouched, NULL), KV_BAD_DATA);
    assert_int_equal(kv_buffer_add(&file, kv_view_text("x")), KV_OK);
    assert_int_equal(open_file(KV_VIEW(file.bytes), &untouched, NULL), KV_BAD_DATA);
    assert_int_equal(untouched.len, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_is_opened),
        cmocka_unit_test(more_than_a_secret_is_refused),
        cmocka_unit_test(changes_are_noticed),
    };
    return cmocka_run_group_tests_name("tools/age/envelope", tests, NULL, NULL);
}
