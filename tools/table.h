/* One description of a result, two forms: an aligned table for people, a JSON array of objects for programs. Cells are given row by row in the order
 * of the columns and wait in a spool, so that a hundred thousand rows take no more memory than some; what failed is remembered and told by kv_table_print. One thread. */
#ifndef KV_TOOLS_TABLE_H
#define KV_TOOLS_TABLE_H

#include "base/json.h"
#include "spool.h"

struct kv_column {
    const char *title;  /* NULL: only programs see it */
    const char *member; /* NULL: only people see it */
};

struct kv_table;
struct kv_table *kv_table_open(const struct kv_column *columns, size_t count); /* NULL when memory is short */
void kv_table_free(struct kv_table *table);
KV_DEFINE_CLEANUP(struct kv_table, kv_table_free)
#define KV_AUTO_TABLE KV_CLEANUP(kv_table_free_cleanup)

/* A cell each. Absent values are "-" for people and null for programs. */
void kv_table_text(struct kv_table *table, const char *text); /* NULL or "": absent */
void kv_table_take(struct kv_table *table, char *text);       /* the same, takes the text over */
void kv_table_int(struct kv_table *table, int64_t value);
void kv_table_bool(struct kv_table *table, bool value);            /* yes, no */
void kv_table_time(struct kv_table *table, int64_t unix_seconds);  /* 0: absent */
void kv_table_json(struct kv_table *table, struct kv_json *value); /* programs only; takes the value over */

/* KV_IO: the spools have no room. */
KV_MUST_USE enum kv_status kv_table_print(struct kv_table *table, bool json, struct kv_spool *ret);

#endif
