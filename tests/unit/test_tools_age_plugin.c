#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <string.h>
#include "../../tools/age/plugin.h"
#include "../../tools/age/vault_text.h"
#include "base/encode.h"

#define DIGEST   "GFfkJ7K453ahnQ78GqvoADh3fh2ejCq3OANZ2Zk/D90"
#define KEY      "AAECAwQFBgcICQoLDA0ODw" /* 00 01 … 0f */
#define KW       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define IDENTITY "-> add-identity AGE-PLUGIN-KVP11-14M9JPM\n\n"
#define DONE     "-> done\n\n"
#define OK       "-> ok\n\n"

/* What is under test sees these for keys: a recipient that fails when it is called so, and wraps to what it was called else. */
static enum kv_status fake_wrap(void *state, const unsigned char file_key[KV_AGE_FILE_KEY],
                                struct kv_age_stanza **ret, size_t *ret_count, struct kv_error *err)
{
    const char *const args[] = { "wrapped", state };
    if (!strcmp(state, "sealed"))
        return kv_fail(err, KV_DISABLED, "this recipient wraps nothing");
    struct kv_age_stanza *stanza = calloc(1, sizeof(*stanza));
    assert_non_null(stanza);
    assert_int_equal(kv_age_stanza_make(args, 2, (struct kv_view){ file_key, KV_AGE_FILE_KEY }, stanza, NULL),
                     KV_OK);
    *ret = stanza;
    *ret_count = 1;
    return KV_OK;
}

static enum kv_status fake_recipient(void *state, const char *text, struct kv_age_recipient *ret,
                                     struct kv_error *err)
{
    if (!strcmp(text, "bad"))
        return kv_fail(err, KV_BAD_DATA, "this is no recipient");
    *ret = (struct kv_age_recipient){ fake_wrap, free, kv_text_copy(text) };
    return KV_OK;
}

/* Opens what has one stanza, and not what has several. */
static enum kv_status fake_unwrap(void *state, const struct kv_age_stanza *stanzas, size_t count,
                                  unsigned char ret_file_key[KV_AGE_FILE_KEY], bool *ret_mine,
                                  struct kv_error *err)
{
    *ret_mine = true;
    ++*(size_t *)state;
    if (count > 1)
        return kv_fail(err, KV_UNREACHABLE, "the vault does not answer");
    for (unsigned char i = 0; i < KV_AGE_FILE_KEY; i++)
        ret_file_key[i] = i;
    return KV_OK;
}

struct talk {
    const char *what, *said, *answered;
    enum kv_status status;
    size_t unwraps;
};

static void talk_with(const struct talk *row,
                      enum kv_status (*machine)(struct kv_age_plugin *, struct kv_error *), const char *room)
{
    char *out = NULL;
    size_t out_len = 0, unwraps = 0;
    struct kv_age_plugin plugin = { .recipient = fake_recipient,
                                    .identity = { fake_unwrap, NULL, &unwraps } };
    if (room)
        plugin.room = (struct kv_age_recipient){ fake_wrap, NULL, (void *)(uintptr_t)room };
    struct kv_error err = { 0 };
    plugin.in = fmemopen((void *)(uintptr_t)row->said, strlen(row->said), "r");
    plugin.out = open_memstream(&out, &out_len);
    assert_non_null(plugin.in);
    assert_non_null(plugin.out);
    enum kv_status status = machine(&plugin, &err);
    fclose(plugin.in);
    fclose(plugin.out);
    if (status != row->status)
        fail_msg("%s: %s: %s", row->what, kv_status_name(status), err.text);
    if (strcmp(out, row->answered) != 0)
        fail_msg("%s: it said\n%s", row->what, out);
    assert_int_equal(unwraps, row->unwraps);
    free(out);
}

static void talk(const struct talk *row, enum kv_status (*machine)(struct kv_age_plugin *, struct kv_error *))
{
    talk_with(row, machine, NULL);
}

/* The bodies, in base64: "this is no recipient" … */
#define NO_RECIPIENT "dGhpcyBpcyBubyByZWNpcGllbnQ\n"
#define NO_WRAP      "dGhpcyByZWNpcGllbnQgd3JhcHMgbm90aGluZw\n"
#define NO_ANSWER    "dGhlIHZhdWx0IGRvZXMgbm90IGFuc3dlcg\n"

static void wraps(void **state)
{
    static const struct talk rows[] = {
        { "one of each", "-> add-recipient a\n\n-> wrap-file-key\n" KEY "\n" DONE OK,
          "-> recipient-stanza 0 wrapped a\n" KEY "\n" DONE, KV_OK },
        { "interleaved: every recipient for every file",
          "-> wrap-file-key\n" KEY "\n-> add-recipient a\n\n-> wrap-file-key\nAAAAAAAAAAAAAAAAAAAAAA\n"
          "-> add-recipient b\n\n" DONE OK OK OK OK,
          "-> recipient-stanza 0 wrapped a\n" KEY
          "\n-> recipient-stanza 1 wrapped a\nAAAAAAAAAAAAAAAAAAAAAA\n"
          "-> recipient-stanza 0 wrapped b\n" KEY
          "\n-> recipient-stanza 1 wrapped b\nAAAAAAAAAAAAAAAAAAAAAA\n" DONE,
          KV_OK },
        { "grease, labels and their bodies are passed over",
          "-> grease-4711 x y\nAAAA\n-> add-recipient a\n\n-> extension-labels\n\n-> wrap-file-key\n" KEY
          "\n" DONE OK,
          "-> recipient-stanza 0 wrapped a\n" KEY "\n" DONE, KV_OK },
        { "nothing to do", DONE, DONE, KV_OK },
        { "one bad recipient: none gets anything",
          "-> add-recipient a\n\n-> add-recipient bad\n\n-> wrap-file-key\n" KEY "\n" DONE OK,
          "-> error recipient 1\n" NO_RECIPIENT DONE, KV_OK },
        { "one that fails: none gets anything",
          "-> add-recipient a\n\n-> add-recipient sealed\n\n-> wrap-file-key\n" KEY "\n" DONE OK,
          "-> error recipient 1\n" NO_WRAP DONE, KV_OK },
        { "a recipient without a text", "-> add-recipient\n\n-> wrap-file-key\n" KEY "\n" DONE OK,
          "-> error recipient 0\ndGhlIGFnZSBjbGllbnQgc2VudCBubyByZWNpcGllbnQ\n" DONE, KV_OK },
        { "a file key of 15 bytes", "-> add-recipient a\n\n-> wrap-file-key\nAAECAwQFBgcICQoLDA0O\n" DONE OK,
          "-> error internal\nYSBmaWxlIGtleSBoYXMgMTYgYnl0ZXM7IHRoaXMgb25lIGhhcyAxNQ\n" DONE, KV_OK },
        { "a client that does not take it",
          "-> add-recipient a\n\n-> wrap-file-key\n" KEY "\n" DONE "-> fail\n\n",
          "-> recipient-stanza 0 wrapped a\n" KEY "\n", KV_PROTOCOL },
        { "a client that goes away", "-> add-recipient a\n\n-> wrap-file-key\n" KEY "\n", "", KV_IO },
        { "no stanza", "add-recipient a\n", "", KV_BAD_DATA },
        { "padding", "-> wrap-file-key\n" KEY "==\n" DONE, "", KV_BAD_DATA },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        talk(&rows[i], kv_age_plugin_recipient);
}

/* A stanza of nobody's, behind the others, once a file; none where nothing was wrapped. */
static void leaves_room(void **state)
{
    static const struct talk rows[] = {
        { "two recipients, two files",
          "-> add-recipient a\n\n-> add-recipient b\n\n-> wrap-file-key\n" KEY "\n-> wrap-file-key\n" KEY
          "\n" DONE OK OK OK OK OK OK,
          "-> recipient-stanza 0 wrapped a\n" KEY "\n-> recipient-stanza 1 wrapped a\n" KEY
          "\n-> recipient-stanza 0 wrapped b\n" KEY "\n-> recipient-stanza 1 wrapped b\n" KEY
          "\n-> recipient-stanza 0 wrapped room\n" KEY "\n-> recipient-stanza 1 wrapped room\n" KEY "\n" DONE,
          KV_OK },
        { "nothing to do", DONE, DONE, KV_OK },
        { "one that fails", "-> add-recipient sealed\n\n-> wrap-file-key\n" KEY "\n" DONE OK,
          "-> error recipient 0\n" NO_WRAP DONE, KV_OK },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        talk_with(&rows[i], kv_age_plugin_recipient, "room");
    static const struct talk fails = { "room that cannot be made",
                                       "-> add-recipient a\n\n-> wrap-file-key\n" KEY "\n" DONE OK,
                                       "-> error internal\n" NO_WRAP DONE, KV_OK };
    talk_with(&fails, kv_age_plugin_recipient, "sealed");
}

/* An identity of ours names no key. */
static void identities_are_no_recipients(void **state)
{
    char *out = NULL;
    size_t out_len = 0;
    static const char said[] = IDENTITY "-> wrap-file-key\n" KEY "\n" DONE OK;
    struct kv_age_plugin plugin = { .recipient = fake_recipient };
    plugin.in = fmemopen((void *)(uintptr_t)said, strlen(said), "r");
    plugin.out = open_memstream(&out, &out_len);
    assert_int_equal(kv_age_plugin_recipient(&plugin, NULL), KV_OK);
    fclose(plugin.in);
    fclose(plugin.out);
    assert_memory_equal(out, "-> error identity 0\n", 20);
    assert_null(strstr(out, "recipient-stanza"));
    free(out);
}

#define OURS(file) "-> recipient-stanza " file " kvp11-aes-kw " DIGEST "\n" KW "\n"

static void opens(void **state)
{
    static const struct talk rows[] = {
        { "one file", IDENTITY OURS("0") DONE OK, "-> file-key 0\n" KEY "\n" DONE, KV_OK, 1 },
        { "several, in the client's numbers", OURS("0") IDENTITY OURS("7") OURS("12") DONE OK OK OK,
          "-> file-key 0\n" KEY "\n-> file-key 7\n" KEY "\n-> file-key 12\n" KEY "\n" DONE, KV_OK, 3 },
        { "stanzas of others are not our business",
          IDENTITY "-> recipient-stanza 0 X25519 abc\nAAAA\n-> recipient-stanza 0 kvp11-new x\n\n" DONE, DONE,
          KV_OK, 0 },
        { "between them is ours",
          IDENTITY
          "-> recipient-stanza 0 X25519 abc\nAAAA\n" OURS("0") "-> recipient-stanza 0 scrypt a 1\n\n" DONE OK,
          "-> file-key 0\n" KEY "\n" DONE, KV_OK, 1 },
        { "grease", "-> grease x\nAAAA\n" IDENTITY "-> extension-labels\n\n" OURS("0") DONE OK,
          "-> file-key 0\n" KEY "\n" DONE, KV_OK, 1 },
        { "what fails is told, and is no error", IDENTITY OURS("0") OURS("0") OURS("1") DONE OK OK,
          "-> msg\n" NO_ANSWER "-> file-key 1\n" KEY "\n" DONE, KV_OK, 2 },
        { "to a client that shows no messages, too",
          IDENTITY OURS("0") OURS("0") OURS("1") DONE "-> fail\n\n" OK,
          "-> msg\n" NO_ANSWER "-> file-key 1\n" KEY "\n" DONE, KV_OK, 2 },
        { "a broken stanza spoils its file, and no other",
          IDENTITY "-> recipient-stanza 0 X25519 abc\nAAAA\n" OURS(
              "0") "-> recipient-stanza 0 kvp11-aes-kw x\n" KW "\n" OURS("1") DONE OK OK,
          "-> error stanza 0 2\n"
          "J3gnIGluIGEgc3RhbnphICdrdnAxMS1hZXMta3cnIGlzIG5vdCB0aGUgU0hBLTI1\nNiBvZiBhIGtleQ\n"
          "-> file-key 1\n" KEY "\n" DONE,
          KV_OK, 1 },
        { "no identity, no key", OURS("0") DONE, DONE, KV_OK, 0 },
        { "an identity that is not ours: nothing is opened",
          IDENTITY "-> add-identity AGE-PLUGIN-KVP11-14M9JPQ\n\n" OURS("0") DONE OK,
          "-> error identity 1\n"
          "aWRlbnRpdHkgJ0FHRS1QTFVHSU4tS1ZQMTEtMTRNOUpQUScgaXMgbm90IHRoZSBv\nbmUgdGhhdCAna3ZwMTEgaWRlbnRpdHkn"
          "IHByaW50cw\n" DONE,
          KV_OK, 0 },
        { "a stanza of no file", IDENTITY "-> recipient-stanza x kvp11-aes-kw " DIGEST "\n" KW "\n" DONE, "",
          KV_BAD_DATA },
        { "a stanza without a type", IDENTITY "-> recipient-stanza 0\n\n" DONE, "", KV_BAD_DATA },
        { "a client that goes away", IDENTITY OURS("0"), "", KV_IO },
        { "a client that goes away later", IDENTITY OURS("0") DONE, "-> file-key 0\n" KEY "\n", KV_IO, 1 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        talk(&rows[i], kv_age_plugin_identity);
}

static void lines_are_bounded(void **state)
{
    KV_AUTO_BUFFER struct kv_buffer said = { 0 };
    assert_int_equal(kv_buffer_format(&said, "-> grease "), KV_OK);
    for (size_t i = 0; i <= KV_AGE_ARG_LINE_MAX / 64; i++)
        assert_int_equal(kv_buffer_format(&said, "%064d", 7), KV_OK);
    assert_int_equal(kv_buffer_format(&said, "\n\n" DONE), KV_OK);
    const struct talk row = { "a line without an end", (const char *)said.bytes.data, "", KV_BAD_DATA };
    talk(&row, kv_age_plugin_identity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wraps),
        cmocka_unit_test(leaves_room),
        cmocka_unit_test(identities_are_no_recipients),
        cmocka_unit_test(opens),
        cmocka_unit_test(lines_are_bounded),
    };
    return cmocka_run_group_tests_name("tools/age/plugin", tests, NULL, NULL);
}
