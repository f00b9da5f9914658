#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "../../tools/age/header.h"

#define LINE64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define V1     "age-encryption.org/v1\n"
#define MAC                                                                                                  \
    "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n" /* one letter too long on purpose: see END */
#define END "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"

static const unsigned char key[KV_AGE_FILE_KEY] = "0123456789abcdef";

/* A recipient that leaves the file key as it is, under a name; and the identity that reads it. */
static enum kv_status plain_wrap(void *state, const unsigned char file_key[KV_AGE_FILE_KEY],
                                 struct kv_age_stanza **ret, size_t *ret_count, struct kv_error *err)
{
    const char *args[] = { "example.org/plain", state };
    struct kv_age_stanza *made = calloc(1, sizeof *made);
    assert_non_null(made);
    assert_int_equal(kv_age_stanza_make(args, 2, (struct kv_view){ file_key, KV_AGE_FILE_KEY }, made, err),
                     KV_OK);
    *ret = made;
    *ret_count = 1;
    return KV_OK;
}

static enum kv_status plain_unwrap(void *state, const struct kv_age_stanza *stanzas, size_t count,
                                   unsigned char ret_file_key[KV_AGE_FILE_KEY], bool *ret_mine,
                                   struct kv_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(stanzas[i].args[0], "example.org/plain") != 0 || strcmp(stanzas[i].args[1], state) != 0)
            continue;
        *ret_mine = true;
        if (!strcmp(state, "broken"))
            return kv_fail(err, KV_DISABLED, "the broken one is disabled");
        memcpy(ret_file_key, stanzas[i].body.data, KV_AGE_FILE_KEY);
    }
    return KV_OK;
}

static void sealed(struct kv_buffer *ret)
{
    const struct kv_age_recipient recipients[] = { { .wrap = plain_wrap, .state = "broken" },
                                                   { .wrap = plain_wrap, .state = "bob" } };
    assert_int_equal(kv_age_header_seal(recipients, 2, key, ret, NULL), KV_OK);
}

static enum kv_status open_with(const char *who, const char *also, struct kv_view text, struct kv_error *err)
{
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    unsigned char file_key[KV_AGE_FILE_KEY] = { 0 };
    const struct kv_age_identity identities[] = { { .unwrap = plain_unwrap, .state = (void *)who },
                                                  { .unwrap = plain_unwrap, .state = (void *)also } };
    KV_TRY(kv_age_header_parse(text, &header, err));
    KV_TRY(kv_age_header_open(&header, identities, also ? 2 : 1, file_key, err));
    assert_memory_equal(file_key, key, sizeof key);
    return KV_OK;
}

static void what_is_written_is_read_again(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    sealed(&text);
    size_t len = text.bytes.len, found = 0;
    assert_int_equal(kv_buffer_add(&text, kv_view_text("payload\n--- more")), KV_OK);
    assert_int_equal(kv_age_header_length(KV_VIEW(text.bytes), &found, NULL), KV_OK);
    assert_int_equal(found, len);
    assert_int_equal(kv_age_header_parse(KV_VIEW(text.bytes), &header, NULL), KV_OK);
    assert_int_equal(header.text.len, len);
    assert_int_equal(header.count, 2);
    assert_int_equal(header.stanzas[1].arg_count, 2);
    assert_string_equal(header.stanzas[1].args[1], "bob");
    assert_int_equal(kv_age_header_check(&header, key, NULL), KV_OK);
}

static void the_length_is_told_as_soon_as_it_is_there(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    sealed(&text);
    for (size_t cut = 0; cut <= text.bytes.len; cut++) {
        size_t found = 99;
        struct kv_view start = { text.bytes.data, cut };
        assert_int_equal(kv_age_header_length(start, &found, NULL), KV_OK);
        assert_int_equal(found, cut == text.bytes.len ? cut : 0);
        if (cut < text.bytes.len) {
            KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
            assert_int_equal(kv_age_header_parse(start, &header, NULL), KV_BAD_DATA);
        }
    }
}

/* Every bit of the header, those of the MAC too, is under the MAC. */
static void every_changed_bit_is_noticed(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    sealed(&text);
    for (size_t at = 0; at < text.bytes.len * 8; at++) {
        text.bytes.data[at / 8] ^= (unsigned char)(1 << at % 8);
        assert_int_not_equal(open_with("bob", NULL, KV_VIEW(text.bytes), NULL), KV_OK);
        text.bytes.data[at / 8] ^= (unsigned char)(1 << at % 8);
    }
    assert_int_equal(open_with("bob", NULL, KV_VIEW(text.bytes), NULL), KV_OK);
}

static void an_identity_that_fails_leaves_the_next_its_turn_and_is_told_at_the_end(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    struct kv_error err = { 0 };
    sealed(&text);
    assert_int_equal(open_with("broken", "bob", KV_VIEW(text.bytes), NULL), KV_OK);
    assert_int_equal(open_with("broken", "carol", KV_VIEW(text.bytes), &err), KV_DISABLED);
    assert_non_null(strstr(err.text, "disabled"));
    assert_int_equal(open_with("carol", "dave", KV_VIEW(text.bytes), &err), KV_NOT_FOUND);
    assert_non_null(strstr(err.text, "2 recipients"));
}

static void the_grammar_is_kept_to_the_letter(void **state)
{
    static const struct {
        const char *what, *text;
        bool fine;
    } cases[] = {
        { "the smallest header", V1 "-> x\n\n" END, true },
        { "a full line ends with an empty one", V1 "-> x\n" LINE64 "\n" END, true },
        { "all that is printable may stand in arguments",
          V1 "-> x !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ 09AZaz\nAA\n" END, true },
        { "an unknown stanza beside others", V1 "-> grease a b c\nAAA\n-> x\n\n" END, true },
        { "a passphrase alone", V1 "-> scrypt a 18\n\n" END, true },
        { "a passphrase beside others", V1 "-> x\n\n-> scrypt a 18\n\n" END, false },
        { "a full line without the shorter one", V1 "-> x\n" LINE64 END, false },
        { "a line longer than 64 columns", V1 "-> x\nAAAA" LINE64 "\n" END, false },
        { "a short line before the last", V1 "-> x\nAAAA\nAAAA\n" END, false },
        { "padding", V1 "-> x\nAA==\n" END, false },
        { "stray bits at the end", V1 "-> x\nAB\n" END, false },
        { "a body that base64 cannot have", V1 "-> x\nA\n" END, false },
        { "the alphabet of URLs", V1 "-> x\nA-_A\n" END, false },
        { "no body line", V1 "-> x\n" END, false },
        { "no type", V1 "->\n\n" END, false },
        { "an empty type", V1 "-> \n\n" END, false },
        { "an empty argument", V1 "-> x  y\n\n" END, false },
        { "a blank at the end", V1 "-> x \n\n" END, false },
        { "a tabulator", V1 "-> x\ty\n\n" END, false },
        { "a letter beyond ASCII", V1 "-> \xc3\xa4\n\n" END, false },
        { "no blank behind the arrow", V1 "->x\n\n" END, false },
        { "no stanza", V1 END, false },
        { "lines of Windows", "age-encryption.org/v1\r\n-> x\r\n\r\n" END, false },
        { "a line of Windows in a body", V1 "-> x\nAAAA\r\n" END, false },
        { "another version", "age-encryption.org/v2\n-> x\n\n" END, false },
        { "a longer version", "age-encryption.org/v1a\n-> x\n\n" END, false },
        { "no version", "-> x\n\n" END, false },
        { "an empty line before the MAC", V1 "-> x\n\n\n" END, false },
        { "a MAC that is too long", V1 "-> x\n\n" MAC, false },
        { "a MAC that is too short", V1 "-> x\n\n--- AAAA\n", false },
        { "no MAC", V1 "-> x\n\n---\n", false },
        { "two blanks before the MAC", V1 "-> x\n\n---  AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
          false },
        { "stray bits in the MAC", V1 "-> x\n\n--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\n", false },
        { "no line feed behind the MAC", V1 "-> x\n\n--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
          false },
        { "nothing", "", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
        struct kv_error err = { 0 };
        enum kv_status status = kv_age_header_parse(kv_view_text(cases[i].text), &header, &err);
        if (status != (cases[i].fine ? KV_OK : KV_BAD_DATA))
            fail_msg("%s: %s %s", cases[i].what, kv_status_name(status), err.text);
        assert_true(cases[i].fine || err.text[0]);
    }
}

static void a_nul_in_a_body_is_no_end_of_it(void **state)
{
    static const char text[] = V1 "-> x\nAAAA\0AAA\n" END;
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    struct kv_view view = { (const unsigned char *)text, sizeof text - 1 };
    assert_int_equal(kv_age_header_parse(view, &header, NULL), KV_BAD_DATA);
}

static void armor_and_other_versions_are_told_apart(void **state)
{
    static const struct {
        const char *text, *word;
    } cases[] = { { "-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", "armor" },
                  { "age-encryption.org/v2\n", "another version" },
                  { "PK\3\4", "not an age file" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kv_error err = { 0 };
        size_t len = 0;
        assert_int_equal(kv_age_header_length(kv_view_text(cases[i].text), &len, &err), KV_BAD_DATA);
        assert_non_null(strstr(err.text, cases[i].word));
    }
}

static void bounds_hold_on_both_ways(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer text = { 0 };
    KV_AUTO_AGE_HEADER struct kv_age_header header = { 0 };
    size_t len = 0;
    assert_int_equal(kv_buffer_format(&text, V1), KV_OK);
    for (int i = 0; i <= KV_AGE_STANZAS_MAX; i++)
        assert_int_equal(kv_buffer_format(&text, "-> x\n\n"), KV_OK);
    assert_int_equal(kv_buffer_format(&text, END), KV_OK);
    assert_int_equal(kv_age_header_parse(KV_VIEW(text.bytes), &header, NULL), KV_BAD_DATA);
    kv_buffer_free(&text);
    assert_int_equal(kv_buffer_format(&text, V1 "-> x\n"), KV_OK);
    while (text.bytes.len <= KV_AGE_HEADER_MAX)
        assert_int_equal(kv_buffer_format(&text, LINE64), KV_OK);
    assert_int_equal(kv_age_header_length(KV_VIEW(text.bytes), &len, NULL), KV_BAD_DATA);
    struct kv_age_stanza none = { 0 };
    assert_int_equal(kv_age_header_write(&none, 0, key, &text, NULL), KV_ARGUMENTS);
}

static void a_stanza_that_cannot_be_written_is_not(void **state)
{
    static const char *const bad[] = { "", "a b", "a\n", "\xff" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct kv_age_stanza stanza = { 0 };
        const char *args[] = { "x", bad[i] };
        assert_int_equal(kv_age_stanza_make(args, 2, (struct kv_view){ 0 }, &stanza, NULL), KV_ARGUMENTS);
        assert_null(stanza.args);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(the_length_is_told_as_soon_as_it_is_there),
        cmocka_unit_test(every_changed_bit_is_noticed),
        cmocka_unit_test(an_identity_that_fails_leaves_the_next_its_turn_and_is_told_at_the_end),
        cmocka_unit_test(the_grammar_is_kept_to_the_letter),
        cmocka_unit_test(a_nul_in_a_body_is_no_end_of_it),
        cmocka_unit_test(armor_and_other_versions_are_told_apart),
        cmocka_unit_test(bounds_hold_on_both_ways),
        cmocka_unit_test(a_stanza_that_cannot_be_written_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
