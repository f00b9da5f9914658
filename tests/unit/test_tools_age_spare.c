#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "../../tools/age/header.h"
#include "../../tools/age/sidecar.h"
#include "../../tools/age/spare.h"
#include "../common/place.h"

static const unsigned char key[KV_AGE_FILE_KEY] = "0123456789abcdef";

static struct kv_age_stanza other(void)
{
    const char *args[] = { "X25519", "share" };
    struct kv_age_stanza stanza = { 0 };
    assert_int_equal(kv_age_stanza_make(args, 2, (struct kv_view){ key, sizeof key }, &stanza, NULL), KV_OK);
    return stanza;
}

static void every_length_that_it_promises_is_met_to_the_byte(void **state)
{
    for (size_t len = 1; len < 3000; len++) {
        KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza stanza = { 0 };
        KV_AUTO_BUFFER struct kv_buffer text = { 0 };
        bool wanted = len >= KV_AGE_SPARE_LEAST && len != 17;
        assert_int_equal(kv_age_spare_fits(len), wanted);
        assert_int_equal(kv_age_spare_make(len, &stanza, NULL), wanted ? KV_OK : KV_ARGUMENTS);
        if (!wanted)
            continue;
        assert_true(kv_age_spare_is(&stanza));
        assert_int_equal(kv_age_stanza_add(&stanza, &text, NULL), KV_OK);
        if (text.bytes.len != len)
            fail_msg("%zu bytes instead of %zu", text.bytes.len, len);
    }
    assert_true(kv_age_spare_fits(0));
    assert_false(kv_age_spare_fits(100 * 1024));
}

static void a_header_with_it_is_read_again(void **state)
{
    for (size_t len = KV_AGE_SPARE_LEAST; len < 300; len++) {
        struct kv_age_stanza stanzas[2] = { other() };
        KV_AUTO_BUFFER struct kv_buffer text = { 0 };
        KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
        if (kv_age_spare_make(len, &stanzas[1], NULL) == KV_OK) {
            assert_int_equal(kv_age_header_write(stanzas, 2, key, &text, NULL), KV_OK);
            assert_int_equal(kv_age_header_parse(KV_VIEW(text.bytes), &header, NULL), KV_OK);
            assert_int_equal(kv_age_header_check(&header, key, NULL), KV_OK);
            assert_int_equal(header.count, 2);
            assert_false(kv_age_spare_is(&header.stanzas[0]));
            assert_true(kv_age_spare_is(&header.stanzas[1]));
        }
        kv_age_stanza_free(&stanzas[0]);
        kv_age_stanza_free(&stanzas[1]);
    }
}

static void a_new_file_has_room_for_a_key_of_4096_bits_with_a_long_kid(void **state)
{
    static const unsigned char body[4096 / 8];
    char kid[201];
    memset(kid, 'k', sizeof kid - 1);
    kid[sizeof kid - 1] = 0;
    const char *args[] = { "kvp11-rsa-oaep-256", "GFfkJ7K453ahnQ78GqvoADh3fh2ejCq3OANZ2Zk/D90", kid };
    KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza stanza = { 0 };
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    assert_int_equal(kv_age_stanza_make(args, 3, (struct kv_view){ body, sizeof body }, &stanza, NULL),
                     KV_OK);
    assert_int_equal(kv_age_stanza_add(&stanza, &text, NULL), KV_OK);
    assert_in_range(text.bytes.len, 1, KV_AGE_SPARE);
}

/* ---- headers beside files ---- */

static void write_beside(const char *path, struct kv_view text)
{
    char name[256];
    snprintf(name, sizeof name, "%s" KV_AGE_SIDECAR_SUFFIX, path);
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.data, 1, text.len, file), text.len);
    assert_int_equal(fclose(file), 0);
}

static void header_of(struct kv_age_stanza *stanzas, size_t count, struct kv_buffer *ret)
{
    assert_int_equal(kv_age_header_write(stanzas, count, key, ret, NULL), KV_OK);
}

static void a_sidecar_tells_its_kind_and_its_file(void **state)
{
    char folder[TEST_FOLDER], path[80], beside[128];
    struct kv_age_stanza stanzas[2] = { other() };
    KV_AUTO_BUFFER struct kv_buffer own = { 0 }, marked = { 0 };
    KV_AUTO_AGE_SIDECAR struct kv_age_sidecar read = { 0 };
    assert_true(test_folder(folder, "sidecar"));
    snprintf(path, sizeof path, "%s/a.age", folder);
    snprintf(beside, sizeof beside, "%s" KV_AGE_SIDECAR_SUFFIX, path);
    assert_int_equal(kv_age_sidecar_read(path, &read, NULL), KV_NOT_FOUND);

    header_of(stanzas, 1, &own);
    write_beside(path, KV_VIEW(own.bytes));
    assert_int_equal(kv_age_sidecar_read(path, &read, NULL), KV_OK);
    assert_false(read.stays);
    assert_false(kv_age_sidecar_is_of(&read, KV_VIEW(own.bytes)));
    kv_age_sidecar_free(&read);

    assert_int_equal(kv_age_sidecar_mark(KV_VIEW(own.bytes), &stanzas[1], NULL), KV_OK);
    header_of(stanzas, 2, &marked);
    write_beside(path, KV_VIEW(marked.bytes));
    assert_int_equal(kv_age_sidecar_read(path, &read, NULL), KV_OK);
    assert_true(read.stays);
    assert_true(kv_age_sidecar_is_of(&read, KV_VIEW(own.bytes)));
    assert_false(kv_age_sidecar_is_of(&read, KV_VIEW(marked.bytes)));
    kv_age_sidecar_free(&read);

    for (size_t len = 0; len < marked.bytes.len; len += 7) {
        write_beside(path, (struct kv_view){ marked.bytes.data, len });
        assert_int_equal(kv_age_sidecar_read(path, &read, NULL), KV_BAD_DATA);
    }
    assert_int_equal(kv_buffer_add(&marked, kv_view_text("x")), KV_OK);
    write_beside(path, KV_VIEW(marked.bytes));
    assert_int_equal(kv_age_sidecar_read(path, &read, NULL), KV_BAD_DATA);
    assert_int_equal(unlink(beside), 0);
    assert_int_equal(mkdir(beside, 0700), 0);
    assert_int_equal(kv_age_sidecar_read(path, &read, NULL), KV_INPUT);
    assert_int_equal(rmdir(beside), 0);
    assert_int_equal(rmdir(folder), 0);
    kv_age_stanza_free(&stanzas[0]);
    kv_age_stanza_free(&stanzas[1]);
}

static void its_name_is_that_of_the_file_and_more(void **state)
{
    assert_true(kv_age_sidecar_is_name("a.age.kvp11-header"));
    assert_false(kv_age_sidecar_is_name(".kvp11-header"));
    assert_false(kv_age_sidecar_is_name("a.age.kvp11-header.age"));
    assert_false(kv_age_sidecar_is_name("a"));
}

static void nobodys_stanzas_are_known(void **state)
{
    static const struct {
        const char *type;
        bool nobodys;
    } rows[] = {
        { "kvp11-spare", true }, { "kvp11-sidecar", true }, { "Tx2'-grease", true },
        { "-grease", true },     { "X25519", false },       { "grease", false },
        { "-grease-x", false },  { "kvp11-spare2", false }, { "piv-p256", false },
        { "g", false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        KV_CLEANUP(kv_age_stanza_free) struct kv_age_stanza stanza = { 0 };
        assert_int_equal(kv_age_stanza_make(&rows[i].type, 1, kv_view_text(""), &stanza, NULL), KV_OK);
        if (kv_age_spare_is(&stanza) != rows[i].nobodys)
            fail_msg("%s", rows[i].type);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_that_it_promises_is_met_to_the_byte),
        cmocka_unit_test(a_header_with_it_is_read_again),
        cmocka_unit_test(a_new_file_has_room_for_a_key_of_4096_bits_with_a_long_kid),
        cmocka_unit_test(nobodys_stanzas_are_known),
        cmocka_unit_test(a_sidecar_tells_its_kind_and_its_file),
        cmocka_unit_test(its_name_is_that_of_the_file_and_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
