#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "../../tools/table.h"

static const struct kv_column columns[] = {
    { "NAME", "name" }, { "WRAPS", "wraps" }, { "SEEN", "seen" }, { NULL, "current" }, { "NOTE", NULL },
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static struct kv_table *filled(void)
{
    struct kv_table *table = kv_table_open(columns, COLUMNS);
    assert_non_null(table);
    kv_table_text(table, "backup-kek");
    kv_table_int(table, 7);
    kv_table_time(table, 1769860800);
    kv_table_bool(table, true);
    kv_table_take(table, kv_text_copy("x"));
    kv_table_text(table, "schlüssel");
    kv_table_int(table, 12345678);
    kv_table_time(table, 0);
    kv_table_bool(table, false);
    kv_table_text(table, "");
    return table;
}

static void prints(struct kv_table *table, bool json, const char *expected)
{
    KV_AUTO_SPOOL struct kv_spool out = { 0 };
    assert_int_equal(kv_table_print(table, json, &out), KV_OK);
    assert_string_equal((const char *)out.memory.bytes.data, expected);
}

static void people_see_aligned_columns_without_blanks_at_the_end(void **state)
{
    KV_AUTO_TABLE struct kv_table *table = filled();
    prints(table, false,
           "NAME        WRAPS     SEEN                  NOTE\n"
           "backup-kek         7  2026-01-31T12:00:00Z  x\n"
           "schlüssel   12345678  -                     -\n");
}

static void programs_see_typed_members_and_null_for_absent_values(void **state)
{
    KV_AUTO_TABLE struct kv_table *table = filled();
    KV_AUTO_SPOOL struct kv_spool out = { 0 };
    KV_AUTO_JSON struct kv_json *parsed = NULL;
    int64_t wraps = 0;
    bool current = false;
    assert_int_equal(kv_table_print(table, true, &out), KV_OK);
    assert_int_equal(kv_json_parse(KV_VIEW(out.memory.bytes), &parsed, NULL), KV_OK);
    assert_int_equal(kv_json_count(parsed), 2);
    const struct kv_json *first = kv_json_at(parsed, 0), *second = kv_json_at(parsed, 1);
    assert_string_equal(kv_json_text(kv_json_get(first, "name")), "backup-kek");
    assert_true(kv_json_int(kv_json_get(second, "wraps"), &wraps));
    assert_int_equal(wraps, 12345678);
    assert_true(kv_json_bool(kv_json_get(first, "current"), &current));
    assert_true(current);
    assert_null(kv_json_get(second, "seen"));
    assert_null(kv_json_get(first, "NOTE"));
}

static void an_empty_table_is_titles_or_an_empty_array(void **state)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, COLUMNS);
    prints(table, false, "NAME  WRAPS  SEEN  NOTE\n");
    prints(table, true, "[]\n");
}

static void a_row_that_is_not_full_is_an_error_of_ours(void **state)
{
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, COLUMNS);
    KV_AUTO_SPOOL struct kv_spool out = { 0 };
    kv_table_text(table, "alone");
    assert_int_equal(kv_table_print(table, false, &out), KV_INTERNAL);
    assert_int_equal(out.memory.bytes.len, 0);
}

static void a_text_that_memory_had_no_room_for_fails_the_whole_table(void **state)
{
    KV_AUTO_TABLE struct kv_table *table = filled();
    KV_AUTO_SPOOL struct kv_spool out = { 0 };
    kv_table_take(table, NULL);
    assert_int_equal(kv_table_print(table, false, &out), KV_NO_MEMORY);
    assert_int_equal(kv_table_print(NULL, false, &out), KV_NO_MEMORY);
}

/* More than is kept in memory. */
static void many_rows_are_as_few(void **state)
{
    enum { ROWS = 20000 };
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, COLUMNS);
    KV_AUTO_SPOOL struct kv_spool out = { 0 }, people = { 0 };
    KV_AUTO_JSON struct kv_json *parsed = NULL;
    char *text = NULL, line[128];
    size_t len = 0;
    for (int i = 0; i < ROWS; i++) {
        kv_table_take(table, kv_text_format("a key with a longer name, %d", i));
        kv_table_int(table, i);
        kv_table_time(table, 1769860800);
        kv_table_bool(table, i % 2);
        kv_table_text(table, i % 3 ? "x" : "");
    }
    assert_int_equal(kv_table_print(table, true, &out), KV_OK);
    assert_non_null(out.file);
    FILE *to = open_memstream(&text, &len);
    assert_int_equal(kv_spool_write(&out, to), KV_OK);
    fclose(to);
    assert_int_equal(kv_json_parse(kv_view_text(text), &parsed, NULL), KV_OK);
    assert_int_equal(kv_json_count(parsed), ROWS);
    for (int i = 0; i < ROWS; i += 1999) {
        int64_t wraps = -1;
        bool current = !(i % 2);
        const struct kv_json *row = kv_json_at(parsed, (size_t)i);
        assert_true(kv_json_int(kv_json_get(row, "wraps"), &wraps) && wraps == i);
        assert_true(kv_json_bool(kv_json_get(row, "current"), &current) && current == i % 2);
    }
    free(text);
    assert_int_equal(kv_table_print(table, false, &people), KV_OK);
    to = open_memstream(&text, &len);
    assert_int_equal(kv_spool_write(&people, to), KV_OK);
    fclose(to);
    snprintf(line, sizeof line, "\na key with a longer name, %d     %5d  2026-01-31T12:00:00Z  x\n", 10, 10);
    assert_non_null(strstr(text, line));
    free(text);
}

/* What a file is called is nobody's choice here. */
static void names_drive_no_terminal_and_break_no_json(void **state)
{
    static const struct kv_column names[] = { { "NAME", "name" } };
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(names, 1);
    assert_non_null(table);
    kv_table_text(table, "a\x1b[2J\n\xe9");
    prints(table, true, "[{\n\t\t\"name\":\t\"a\\u001b[2J\\n?\"\n\t}]\n");
    prints(table, false, "NAME\na?[2J??\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_see_aligned_columns_without_blanks_at_the_end),
        cmocka_unit_test(programs_see_typed_members_and_null_for_absent_values),
        cmocka_unit_test(an_empty_table_is_titles_or_an_empty_array),
        cmocka_unit_test(a_row_that_is_not_full_is_an_error_of_ours),
        cmocka_unit_test(many_rows_are_as_few),
        cmocka_unit_test(names_drive_no_terminal_and_break_no_json),
        cmocka_unit_test(a_text_that_memory_had_no_room_for_fails_the_whole_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
