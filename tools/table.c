#include "table.h"

#include <inttypes.h>
#include <string.h>
#include "base/clock.h"

/* In front of a cell's text in the spool. */
enum cell_kind { CELL_ABSENT = '-', CELL_TEXT = 't', CELL_INT = 'i', CELL_BOOL = 'b', CELL_JSON = 'j' };

struct kv_table {
    const struct kv_column *columns;
    size_t width, count; /* of cells */
    struct kv_spool cells;
};

struct kv_table *kv_table_open(const struct kv_column *columns, size_t count)
{
    struct kv_table *table = calloc(1, sizeof(*table));
    if (table) {
        table->columns = columns;
        table->width = count;
    }
    return table;
}

void kv_table_free(struct kv_table *table)
{
    if (table)
        kv_spool_free(&table->cells);
    free(table);
}

static void fail(struct kv_table *table, enum kv_status status)
{
    if (table && table->cells.status == KV_OK)
        table->cells.status = status;
}

static void cell_add(struct kv_table *table, enum cell_kind kind, const char *text)
{
    const unsigned char front = (unsigned char)kind;
    if (!table || kv_spool_add(&table->cells, (struct kv_view){ &front, 1 }) != KV_OK)
        return;
    /* with its NUL: it is read back as one text */
    table->count += kv_spool_add(&table->cells,
                                 (struct kv_view){ (const unsigned char *)text, strlen(text) + 1 }) == KV_OK;
}

/* A cell whose text must be there: NULL means that memory ran out. Takes it over. */
static void cell_take(struct kv_table *table, enum cell_kind kind, char *text)
{
    if (text)
        kv_text_utf8(text);
    if (text)
        cell_add(table, kind, text);
    else
        fail(table, KV_NO_MEMORY);
    kv_text_free(text);
}

void kv_table_text(struct kv_table *table, const char *text)
{
    if (!text || !*text)
        cell_add(table, CELL_ABSENT, "");
    else
        cell_take(table, CELL_TEXT, kv_text_copy(text));
}

void kv_table_take(struct kv_table *table, char *text)
{
    cell_take(table, CELL_TEXT, text);
}

void kv_table_int(struct kv_table *table, int64_t value)
{
    cell_take(table, CELL_INT, kv_text_format("%" PRId64, value));
}

void kv_table_bool(struct kv_table *table, bool value)
{
    cell_add(table, CELL_BOOL, value ? "yes" : "no");
}

void kv_table_time(struct kv_table *table, int64_t unix_seconds)
{
    char text[21] = "";
    if (unix_seconds)
        kv_clock_text(unix_seconds, text);
    kv_table_text(table, text);
}

void kv_table_json(struct kv_table *table, struct kv_json *value)
{
    cell_take(table, CELL_JSON, value ? kv_json_print(value, false) : NULL);
    kv_json_free(value);
}

/* --- for programs --- */

static void put_number(struct kv_json *object, const char *name, const char *text)
{
    kv_json_put_int(object, name, strtoll(text, NULL, 10));
}

static void put_json(struct kv_json *object, const char *name, const char *text)
{
    struct kv_json *value = NULL;
    if (kv_json_parse(kv_view_text(text), &value, NULL) == KV_OK)
        kv_json_put(object, name, value);
    else
        kv_json_put(object, name, NULL);
}

static void member_put(struct kv_json *object, const char *name, const char *cell)
{
    switch ((enum cell_kind) * cell++) {
    case CELL_ABSENT:
        kv_json_put_text(object, name, NULL);
        return;
    case CELL_TEXT:
        kv_json_put_text(object, name, cell);
        return;
    case CELL_INT:
        put_number(object, name, cell);
        return;
    case CELL_BOOL:
        kv_json_put_bool(object, name, *cell == 'y');
        return;
    case CELL_JSON:
        put_json(object, name, cell);
        return;
    }
}

/* As it stands in an array; kv_text_free. NULL: memory is short, or the cells cannot be read. */
static char *row_json(struct kv_table *table)
{
    KV_AUTO_JSON struct kv_json *array = kv_json_array();
    struct kv_json *object = kv_json_object();
    for (size_t column = 0; column < table->width; column++) {
        const char *cell = kv_spool_text(&table->cells);
        if (!cell)
            fail(table, KV_INTERNAL);
        else if (table->columns[column].member)
            member_put(object, table->columns[column].member, cell);
    }
    kv_json_append(array, object);
    char *text = table->cells.status == KV_OK ? kv_json_print(array, true) : NULL;
    if (!text)
        fail(table, KV_NO_MEMORY);
    return text;
}

static enum kv_status print_json(struct kv_table *table, struct kv_spool *ret)
{
    KV_TRY(kv_spool_format(ret, "["));
    for (size_t i = 0; i < table->count; i += table->width) {
        KV_AUTO_TEXT char *row = row_json(table);
        if (!row)
            return table->cells.status;
        size_t len = strlen(row);
        KV_TRY(kv_spool_format(ret, "%s%.*s", i ? ", " : "", (int)(len - 2), row + 1));
    }
    return kv_spool_format(ret, "]\n");
}

/* --- for people --- */

/* Columns on a terminal: UTF-8 continuation bytes take no room. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* Names of files and of the vault's things stand in it as they are, which is well for programs alone. */
static char *cell_line(struct kv_table *table, bool *ret_right)
{
    const char *cell = kv_spool_text(&table->cells);
    *ret_right = cell && *cell == CELL_INT;
    char *text = !cell ? NULL : kv_text_copy(*cell == CELL_ABSENT || *cell == CELL_JSON ? "-" : cell + 1);
    if (text)
        kv_text_one_line(text);
    else
        fail(table, cell ? KV_NO_MEMORY : KV_INTERNAL);
    return text;
}

static enum kv_status measure(struct kv_table *table, size_t *widths)
{
    for (size_t column = 0; column < table->width; column++)
        widths[column] = table->columns[column].title ? text_width(table->columns[column].title) : 0;
    KV_TRY(kv_spool_rewind(&table->cells));
    for (size_t i = 0; i < table->count; i++) {
        bool right;
        KV_AUTO_TEXT char *text = cell_line(table, &right);
        if (!text)
            return table->cells.status;
        size_t one = text_width(text), *width = &widths[i % table->width];
        *width = one > *width ? one : *width;
    }
    return kv_spool_rewind(&table->cells);
}

/* `titles`: the row of these. Blanks are written only in front of a next cell, so no line ends in one. */
static enum kv_status print_row(struct kv_table *table, bool titles, const size_t *widths,
                                struct kv_spool *ret)
{
    size_t blanks = 0;
    for (size_t column = 0; column < table->width; column++) {
        const char *title = table->columns[column].title;
        bool right = false;
        KV_AUTO_TEXT char *text = titles ? kv_text_copy(title ? title : "") : cell_line(table, &right);
        if (!text)
            return titles ? KV_NO_MEMORY : table->cells.status;
        if (!title)
            continue;
        size_t pad = widths[column] - text_width(text);
        KV_TRY(kv_spool_format(ret, "%*s%s", (int)(blanks + (right ? pad : 0)), "", text));
        blanks = 2 + (right ? 0 : pad);
    }
    return kv_spool_format(ret, "\n");
}

static enum kv_status print_text(struct kv_table *table, struct kv_spool *ret)
{
    KV_AUTO_FREE size_t *widths = calloc(table->width, sizeof(*widths));
    if (!widths)
        return KV_NO_MEMORY;
    KV_TRY(measure(table, widths));
    KV_TRY(print_row(table, true, widths, ret));
    for (size_t i = 0; i < table->count; i += table->width)
        KV_TRY(print_row(table, false, widths, ret));
    return KV_OK;
}

enum kv_status kv_table_print(struct kv_table *table, bool json, struct kv_spool *ret)
{
    if (!table)
        return KV_NO_MEMORY;
    KV_TRY(kv_spool_rewind(&table->cells));
    if (table->count % table->width)
        return KV_INTERNAL;
    return json ? print_json(table, ret) : print_text(table, ret);
}
