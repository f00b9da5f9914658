#include "report.h"

#include <string.h>
#include "base/encode.h"

static const struct kv_column columns[] = {
    { NULL, "from" },          { NULL, "to" },         { NULL, "bytes" },
    { NULL, "header_sha256" }, { NULL, "recipients" }, { NULL, "backup" },
};
static const size_t widths[] = { [KV_REPORT_PLACES] = 2, [KV_REPORT_BYTES] = 3, [KV_REPORT_SEALED] = 6 };

/* The names of a .kvmap. */
static struct kv_json *recipients_of(const struct kv_map_backup *backup)
{
    struct kv_json *all = kv_json_array();
    for (size_t i = 0; i < backup->recipient_count; i++) {
        const struct kv_map_recipient *recipient = &backup->recipients[i];
        char key[2 * sizeof(recipient->key) + 1];
        struct kv_json *one = kv_json_object();
        kv_encode_hex((struct kv_view){ recipient->key, recipient->key_len }, key);
        kv_json_put_text(one, "kind", recipient->kind);
        kv_json_put_text(one, "text", *recipient->text ? recipient->text : NULL);
        kv_json_put_text(one, "key", *key ? key : NULL);
        kv_json_append(all, one);
    }
    return all;
}

static void add_place(struct kv_table *table, const char *path)
{
    kv_table_text(table, path && strcmp(path, "-") != 0 ? path : NULL);
}

static void add_row(struct kv_table *table, enum kv_report_width width, const struct kv_report_row *row)
{
    add_place(table, row->from);
    add_place(table, row->to);
    if (width == KV_REPORT_PLACES)
        return;
    kv_table_int(table, (int64_t)row->bytes);
    if (width == KV_REPORT_BYTES)
        return;
    char digest[2 * sizeof(row->sealed->header_sha256) + 1];
    kv_encode_hex((struct kv_view){ row->sealed->header_sha256, sizeof(row->sealed->header_sha256) }, digest);
    kv_table_text(table, digest);
    kv_table_json(table, recipients_of(row->sealed));
    kv_table_text(table, row->sealed->id);
}

enum kv_status kv_report(struct kv_tool *tool, const struct kv_report *report, struct kv_error *err)
{
    if (!tool->json)
        return KV_OK;
    KV_AUTO_TABLE struct kv_table *table = kv_table_open(columns, widths[report->width]);
    for (size_t i = 0; i < report->count; i++)
        add_row(table, report->width, &report->rows[i]);
    bool aside = !report->output || !kv_output_holds(report->output);
    enum kv_status status = kv_table_print(table, true, aside ? &tool->aside : &tool->out);
    return status == KV_OK ? KV_OK : kv_common_unprinted(status, err);
}

enum kv_status kv_report_one(struct kv_tool *tool, enum kv_report_width width,
                             const struct kv_report_row *row, const struct kv_output *output,
                             struct kv_error *err)
{
    return kv_report(tool, &(struct kv_report){ width, row, 1, output }, err);
}
