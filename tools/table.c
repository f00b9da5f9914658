#include "table.h"

#include <inttypes.h>
#include <string.h>
#include "base/clock.h"

enum cell_kind { CELL_TEXT, CELL_INT, CELL_BOOL, CELL_JSON };

struct cell {
    enum cell_kind kind;
    char *text; /* as people see it; NULL: absent */
    int64_t number;
    struct kv_json *json;
};

struct kv_table {
    const struct kv_column *columns;
    size_t width;
    struct cell *cells;
    size_t count, room;
    bool failed;
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
    if (!table)
        return;
    for (size_t i = 0; i < table->count; i++) {
        kv_text_free(table->cells[i].text);
        kv_json_free(table->cells[i].json);
    }
    free(table->cells);
    free(table);
}

static void cell_drop(struct cell cell)
{
    kv_text_free(cell.text);
    kv_json_free(cell.json);
}

static void cell_add(struct kv_table *table, struct cell cell)
{
    if (!table || table->failed) {
        cell_drop(cell);
        return;
    }
    if (table->count == table->room) {
        size_t room = table->room ? 2 * table->room : 64;
        struct cell *cells = reallocarray(table->cells, room, sizeof(*cells));
        if (!cells) {
            table->failed = true;
            cell_drop(cell);
            return;
        }
        table->cells = cells;
        table->room = room;
    }
    table->cells[table->count++] = cell;
}

/* A cell whose text must be there: NULL means that memory ran out. */
static void cell_add_text(struct kv_table *table, enum cell_kind kind, char *text, int64_t number)
{
    if (!text && table)
        table->failed = true;
    if (text)
        kv_text_utf8(text);
    cell_add(table, (struct cell){ .kind = kind, .text = text, .number = number });
}

void kv_table_text(struct kv_table *table, const char *text)
{
    if (!text || !*text)
        cell_add(table, (struct cell){ .kind = CELL_TEXT });
    else
        cell_add_text(table, CELL_TEXT, kv_text_copy(text), 0);
}

void kv_table_take(struct kv_table *table, char *text)
{
    cell_add_text(table, CELL_TEXT, text, 0);
}

void kv_table_int(struct kv_table *table, int64_t value)
{
    cell_add_text(table, CELL_INT, kv_text_format("%" PRId64, value), value);
}

void kv_table_bool(struct kv_table *table, bool value)
{
    cell_add_text(table, CELL_BOOL, kv_text_copy(value ? "yes" : "no"), value);
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
    if (!value && table)
        table->failed = true;
    cell_add(table, (struct cell){ .kind = CELL_JSON, .json = value });
}

static void member_put(struct kv_json *object, const char *name, struct cell *cell)
{
    switch (cell->kind) {
    case CELL_TEXT:
        kv_json_put_text(object, name, cell->text);
        return;
    case CELL_INT:
        kv_json_put_int(object, name, cell->number);
        return;
    case CELL_BOOL:
        kv_json_put_bool(object, name, cell->number != 0);
        return;
    case CELL_JSON:
        kv_json_put(object, name, kv_take(cell->json));
        return;
    }
}

static enum kv_status print_json(struct kv_table *table, struct kv_buffer *ret)
{
    KV_AUTO_JSON struct kv_json *array = kv_json_array();
    for (size_t i = 0; i < table->count; i += table->width) {
        struct kv_json *object = kv_json_object();
        for (size_t column = 0; column < table->width; column++) {
            if (table->columns[column].member)
                member_put(object, table->columns[column].member, &table->cells[i + column]);
        }
        kv_json_append(array, object);
    }
    KV_AUTO_TEXT char *text = kv_json_print(array, true);
    return text ? kv_buffer_format(ret, "%s\n", text) : KV_NO_MEMORY;
}

/* Columns on a terminal: UTF-8 continuation bytes take no room. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static const char *cell_text(const struct kv_table *table, size_t row, size_t column)
{
    const char *text =
        row ? table->cells[(row - 1) * table->width + column].text : table->columns[column].title;
    return text ? text : "-";
}

static size_t column_width(const struct kv_table *table, size_t rows, size_t column)
{
    size_t width = 0;
    for (size_t row = 0; row <= rows; row++) {
        size_t one = text_width(cell_text(table, row, column));
        width = one > width ? one : width;
    }
    return width;
}

/* Row 0 is the titles. Blanks are written only in front of a next cell, so no line ends in one. */
static enum kv_status print_row(const struct kv_table *table, size_t row, const size_t *widths,
                                struct kv_buffer *ret)
{
    size_t blanks = 0;
    for (size_t column = 0; column < table->width; column++) {
        if (!table->columns[column].title)
            continue;
        const char *text = cell_text(table, row, column);
        size_t pad = widths[column] - text_width(text);
        bool right = row && table->cells[(row - 1) * table->width + column].kind == CELL_INT;
        KV_TRY(kv_buffer_format(ret, "%*s%s", (int)(blanks + (right ? pad : 0)), "", text));
        blanks = 2 + (right ? 0 : pad);
    }
    return kv_buffer_format(ret, "\n");
}

/* Names of files and of the vault's things stand in it as they are, which is well for programs alone. */
static void keep_lines(struct kv_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->cells[i].text)
            kv_text_one_line(table->cells[i].text);
}

static enum kv_status print_text(struct kv_table *table, struct kv_buffer *ret)
{
    size_t rows = table->count / table->width;
    keep_lines(table);
    KV_AUTO_FREE size_t *widths = calloc(table->width, sizeof(*widths));
    if (!widths)
        return KV_NO_MEMORY;
    for (size_t column = 0; column < table->width; column++) {
        if (table->columns[column].title)
            widths[column] = column_width(table, rows, column);
    }
    for (size_t row = 0; row <= rows; row++)
        KV_TRY(print_row(table, row, widths, ret));
    return KV_OK;
}

enum kv_status kv_table_print(struct kv_table *table, bool json, struct kv_buffer *ret)
{
    if (!table || table->failed)
        return KV_NO_MEMORY;
    if (table->count % table->width)
        return KV_INTERNAL;
    return json ? print_json(table, ret) : print_text(table, ret);
}
