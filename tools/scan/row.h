/* Rows of a scan. */
#ifndef KV_TOOLS_SCAN_ROW_H
#define KV_TOOLS_SCAN_ROW_H

#include "scan.h"

enum { KV_SCAN_COLUMNS = 13 };
extern const struct kv_column kv_scan_columns[KV_SCAN_COLUMNS];

/* Takes `found` over. After the first thousand rows of a kind of level only their number is told. */
void kv_scan_row(struct kv_scan *scan, enum kv_level level, const char *object, char *found,
                 const char *next);

#endif
