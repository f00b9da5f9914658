#include "merge_help.h"

static const struct sentence {
    const char *text;
    struct row known[4];
    enum kv_heard heard;
    enum kv_status status;
    const char *version;
    struct item items[4];
    enum kv_status result;
    size_t changed;
    struct row after[4]; /* newest first */
} sentences[] = {
    { "a name that was never seen becomes current",
      { { 0 } },
      KV_HEARD_CURRENT,
      KV_OK,
      NULL,
      { { "a1", 10 } },
      KV_OK,
      1,
      { { "a1", 10, ON, true } } },
    { "the same version again is stored as seen",
      { { "a1", 10, ON, true } },
      KV_HEARD_CURRENT,
      KV_OK,
      NULL,
      { { "a1", 10 } },
      KV_OK,
      1,
      { { "a1", 10, ON, true } } },
    { "a rotation takes the name from the old version",
      { { "a1", 10, ON, true } },
      KV_HEARD_CURRENT,
      KV_OK,
      NULL,
      { { "a2", 20 } },
      KV_OK,
      2,
      { { "a2", 20, ON, true }, { "a1", 10, ON, false } } },
    { "what a GET of the name answers is current in a tie",
      { { "a1", 10, ON, true } },
      KV_HEARD_CURRENT,
      KV_OK,
      NULL,
      { { "a2", 10 } },
      KV_OK,
      2,
      { { "a1", 10, ON, false }, { "a2", 10, ON, true } } },
    { "what a GET of the name answers is current even when it is older",
      { { "a2", 20, ON, true } },
      KV_HEARD_CURRENT,
      KV_OK,
      NULL,
      { { "a1", 10 } },
      KV_OK,
      2,
      { { "a2", 20, ON, false }, { "a1", 10, ON, true } } },
    { "a version alone does not become current",
      { { 0 } },
      KV_HEARD_VERSION,
      KV_OK,
      "a1",
      { { "a1", 10 } },
      KV_OK,
      1,
      { { "a1", 10, ON, false } } },
    { "a version newer than the current one is current",
      { { "a1", 10, ON, true } },
      KV_HEARD_VERSION,
      KV_OK,
      "a2",
      { { "a2", 20 } },
      KV_OK,
      2,
      { { "a2", 20, ON, true }, { "a1", 10, ON, false } } },
    { "an older version stays old",
      { { "a2", 20, ON, true } },
      KV_HEARD_VERSION,
      KV_OK,
      "a1",
      { { "a1", 10 } },
      KV_OK,
      1,
      { { "a2", 20, ON, true }, { "a1", 10, ON, false } } },
    { "a disabled version is disabled",
      { { "a1", 10, ON, true } },
      KV_HEARD_VERSION,
      KV_OK,
      "a1",
      { { "a1", 10, .disabled = true } },
      KV_OK,
      1,
      { { "a1", 10, OFF, true } } },
    { "a disabled current version stays current",
      { { "a1", 10, ON, false }, { "a2", 20, ON, true } },
      KV_HEARD_ALL,
      KV_OK,
      NULL,
      { { "a1", 10, true }, { "a2", 20, true, true } },
      KV_OK,
      2,
      { { "a2", 20, OFF, true }, { "a1", 10, ON, false } } },
    { "a version past its end is expired",
      { { 0 } },
      KV_HEARD_CURRENT,
      KV_OK,
      NULL,
      { { "a1", 10, .exp = NOW - 1 } },
      KV_OK,
      1,
      { { "a1", 10, PAST, true } } },
    { "a version that ends later is not",
      { { 0 } },
      KV_HEARD_CURRENT,
      KV_OK,
      NULL,
      { { "a1", 10, .exp = NOW + 1 } },
      KV_OK,
      1,
      { { "a1", 10, ON, true } } },
    { "a complete list without a version makes it missing",
      { { "a1", 10, ON, false }, { "a2", 20, ON, true } },
      KV_HEARD_ALL,
      KV_OK,
      NULL,
      { { "a2", 20, true } },
      KV_OK,
      2,
      { { "a2", 20, ON, true }, { "a1", 10, LOST, false } } },
    { "when the current one is missing the newest of the rest is current",
      { { "a1", 10, ON, false }, { "a2", 20, ON, true } },
      KV_HEARD_ALL,
      KV_OK,
      NULL,
      { { "a1", 10, true } },
      KV_OK,
      2,
      { { "a2", 20, LOST, false }, { "a1", 10, ON, true } } },
    { "a missing version that is listed again is back",
      { { "a1", 10, LOST, false }, { "a2", 20, ON, true } },
      KV_HEARD_ALL,
      KV_OK,
      NULL,
      { { "a1", 10, true }, { "a2", 20, true } },
      KV_OK,
      2,
      { { "a2", 20, ON, true }, { "a1", 10, ON, false } } },
    { "a list settles who is newest",
      { { 0 } },
      KV_HEARD_ALL,
      KV_OK,
      NULL,
      { { "a2", 20 }, { "a1", 10 } },
      KV_OK,
      2,
      { { "a2", 20, ON, true }, { "a1", 10, ON, false } } },
    { "in a tie of a list the former current one stays",
      { { "a2", 10, ON, true }, { "a1", 10, ON, false } },
      KV_HEARD_ALL,
      KV_OK,
      NULL,
      { { "a1", 10, true }, { "a2", 10, true } },
      KV_OK,
      2,
      { { "a1", 10, ON, false }, { "a2", 10, ON, true } } },
    { "a listed version without public key is left out while it is unknown",
      { { "a1", 10, ON, true } },
      KV_HEARD_ALL,
      KV_OK,
      NULL,
      { { "a1", 10, true }, { "a9", 90, true } },
      KV_OK,
      1,
      { { "a1", 10, ON, true } } },
    { "an empty list means that the key is gone",
      { { "a1", 10, ON, true } },
      KV_HEARD_ALL,
      KV_OK,
      NULL,
      { { 0 } },
      KV_OK,
      1,
      { { "a1", 10, GONE, true } } },
    { "404 on the name deletes all its versions",
      { { "a1", 10, ON, false }, { "a2", 20, OFF, true } },
      KV_HEARD_CURRENT,
      KV_NOT_FOUND,
      NULL,
      { { 0 } },
      KV_OK,
      2,
      { { "a2", 20, GONE, true }, { "a1", 10, GONE, false } } },
    { "404 on the name leaves missing and purged as they are",
      { { "a1", 10, LOST, false }, { "a2", 20, PURGED, true } },
      KV_HEARD_CURRENT,
      KV_NOT_FOUND,
      NULL,
      { { 0 } },
      KV_OK,
      0,
      { { "a2", 20, PURGED, true }, { "a1", 10, LOST, false } } },
    { "404 on a name never seen leaves nothing",
      { { 0 } },
      KV_HEARD_CURRENT,
      KV_NOT_FOUND,
      NULL,
      { { 0 } },
      KV_OK,
      0,
      { { 0 } } },
    { "404 on a version makes that one missing",
      { { "a1", 10, ON, false }, { "a2", 20, ON, true } },
      KV_HEARD_VERSION,
      KV_NOT_FOUND,
      "a1",
      { { 0 } },
      KV_OK,
      1,
      { { "a2", 20, ON, true }, { "a1", 10, LOST, false } } },
    { "a recovered key brings its old versions back",
      { { "a1", 10, GONE, false }, { "a2", 20, GONE, true } },
      KV_HEARD_CURRENT,
      KV_OK,
      NULL,
      { { "a2", 20 } },
      KV_OK,
      2,
      { { "a2", 20, ON, true }, { "a1", 10, ON, false } } },
    { "a key made anew under an old name does not",
      { { "a1", 10, GONE, true } },
      KV_HEARD_CURRENT,
      KV_OK,
      NULL,
      { { "b1", 30 } },
      KV_OK,
      2,
      { { "b1", 30, ON, true }, { "a1", 10, GONE, false } } },
    { "an unreachable vault changes nothing",
      { { "a1", 10, ON, true } },
      KV_HEARD_CURRENT,
      KV_UNREACHABLE,
      NULL,
      { { 0 } },
      KV_OK,
      0,
      { { "a1", 10, ON, true } } },
    { "no permission changes nothing",
      { { "a1", 10, ON, true } },
      KV_HEARD_ALL,
      KV_DENIED,
      NULL,
      { { 0 } },
      KV_OK,
      0,
      { { "a1", 10, ON, true } } },
    { "another public key for a known version is refused",
      { { "a1", 10, ON, true } },
      KV_HEARD_CURRENT,
      KV_OK,
      NULL,
      { { "a1", 10, .other_key = 1 } },
      KV_WRONG_KEY,
      0,
      { { 0 } } },
    { "another version than was asked for is refused",
      { { 0 } },
      KV_HEARD_VERSION,
      KV_OK,
      "a1",
      { { "a2", 10 } },
      KV_WRONG_KEY,
      0,
      { { 0 } } },
    { "the case of a version means nothing",
      { { "a1", 10, ON, true } },
      KV_HEARD_VERSION,
      KV_OK,
      "A1",
      { { "a1", 10 } },
      KV_OK,
      1,
      { { "a1", 10, ON, true } } },
};

static void check_row(const struct sentence *sentence, const struct row *row, const struct kv_version *is)
{
    char label[KV_LABEL_SIZE];
    bool was_known = false;

    snprintf(label, sizeof(label), row->current ? "kek" : "kek@%s", row->version);
    assert_string_equal(is->version, row->version);
    assert_string_equal(is->label, label);
    assert_string_equal(kv_state_name(is->state), kv_state_name(row->state));
    assert_int_equal(is->current, row->current);
    for (size_t i = 0; i < COUNT(sentence->known) && sentence->known[i].version; i++)
        was_known = was_known || !strcmp(sentence->known[i].version, row->version);
    assert_int_equal(is->first_seen, was_known ? 77 : NOW);
    assert_int_equal(is->wraps, was_known ? 3 : 0);
    assert_int_equal(is->last_wrap, was_known ? 6 : 0);
    if (!was_known) {
        char kid[KV_KID_SIZE];
        snprintf(kid, sizeof(kid), "https://prod.vault.localhost/keys/kek/%s", row->version);
        assert_string_equal(is->kid, kid);
    }
}

static void run(const struct sentence *sentence)
{
    struct kv_version_list known = { 0 };
    struct kv_vault_key items[COUNT(sentence->items)] = { 0 };
    struct kv_merge_result merged = { 0 };
    struct kv_error err = { 0 };
    struct kv_merge_input input = { .vault = "prod",
                                    .url = "https://prod.vault.localhost",
                                    .name = "kek",
                                    .known = &known,
                                    .heard = sentence->heard,
                                    .status = sentence->status,
                                    .items = items,
                                    .version = sentence->version,
                                    .now = NOW };

    for (size_t i = 0; i < COUNT(sentence->known) && sentence->known[i].version; i++) {
        struct kv_version *version = known_version(&sentence->known[i]);
        assert_int_equal(kv_version_list_add(&known, version), KV_OK);
        kv_version_free(version);
    }
    for (; input.count < COUNT(sentence->items) && sentence->items[input.count].version; input.count++)
        fill_item(&sentence->items[input.count], "kek", &items[input.count]);

    assert_int_equal(kv_merge(&input, &merged, &err), sentence->result);
    assert_int_equal(merged.changed.count, sentence->changed);
    size_t count = 0;
    for (; count < COUNT(sentence->after) && sentence->after[count].version; count++) {
        assert_true(count < merged.all.count);
        check_row(sentence, &sentence->after[count], merged.all.items[count]);
    }
    assert_int_equal(merged.all.count, count);
    if (sentence->result != KV_OK)
        assert_true(strlen(err.text) > 20);
    /* The rows that went in are shared with others: they are as they were. */
    for (size_t i = 0; i < known.count; i++)
        assert_int_equal(known.items[i]->state, sentence->known[i].state);
    kv_merge_result_free(&merged);
    kv_version_list_free(&known);
    for (size_t i = 0; i < COUNT(items); i++)
        kv_vault_key_free(&items[i]);
}

static void test_sentences(void **state)
{
    for (size_t i = 0; i < COUNT(sentences); i++) {
        print_message("  %s\n", sentences[i].text);
        run(&sentences[i]);
    }
}

static void test_other_name(void **state)
{
    struct kv_vault_key item = { 0 };
    struct kv_merge_result merged = { 0 };
    struct kv_error err = { 0 };
    struct kv_merge_input input = { .vault = "prod",
                                    .url = "https://prod.vault.localhost",
                                    .name = "kek",
                                    .heard = KV_HEARD_CURRENT,
                                    .items = &item,
                                    .count = 1,
                                    .now = NOW };

    fill_item(&(struct item){ "a1", 10 }, "other", &item);
    assert_int_equal(kv_merge(&input, &merged, &err), KV_WRONG_KEY);
    assert_non_null(strstr(err.text, "other/a1"));
    kv_vault_key_free(&item);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sentences), cmocka_unit_test(test_other_name) };

    return cmocka_run_group_tests_name("keys/merge", tests, NULL, NULL);
}
