/* The members of the records of a .kvmap, once: reading and writing walk the same tables. */
#ifndef KV_TOOLS_KVMAP_FIELDS_H
#define KV_TOOLS_KVMAP_FIELDS_H

#include "kvmap.h"

struct kv_kvmap_field {
    const char *name;
    enum { FIELD_TEXT, FIELD_INT, FIELD_COUNT, FIELD_FLAG, FIELD_HEX } type; /* COUNT: an unsigned */
    size_t offset, size;
    bool later; /* files of format 1 have it not: then it is 0 */
};
struct kv_kvmap_fields {
    const struct kv_kvmap_field *items;
    size_t count;
};
extern const struct kv_kvmap_fields kv_kvmap_header, kv_kvmap_version, kv_kvmap_location,
    kv_kvmap_certificate, kv_kvmap_backup, kv_kvmap_recipient, kv_kvmap_end;
extern const char *const kv_kvmap_types[KV_KVMAP_END + 1];
extern const char *const kv_kvmap_kinds[KV_OCT + 1];

struct kv_kvmap_operation {
    unsigned operation;
    const char *name;
};
enum { KV_KVMAP_OPERATIONS = 6 };
extern const struct kv_kvmap_operation kv_kvmap_operations[KV_KVMAP_OPERATIONS];

#endif
