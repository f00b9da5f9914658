#include "fields.h"

#include <stddef.h>

/* A member's kind in the file follows from its type in C. */
#define KIND(structure, member)                                                                              \
    _Generic(((struct structure *)0)->member, char *: FIELD_TEXT, unsigned char *: FIELD_HEX,                \
             int64_t: FIELD_INT, unsigned: FIELD_COUNT, bool: FIELD_FLAG)
#define AS(word, structure, member)                                                                          \
    {                                                                                                        \
        word, KIND(structure, member), offsetof(struct structure, member),                                   \
            sizeof(((struct structure *)0)->member)                                                          \
    }
#define ROW(structure, member) AS(#member, structure, member)
#define LATER(structure, member)                                                                             \
    {                                                                                                        \
#member, KIND(structure, member), offsetof(struct structure, member),                                \
            sizeof(((struct structure *)0)->member), true                                                    \
    }
#define ALL(rows)                                                                                            \
    {                                                                                                        \
        rows, sizeof(rows) / sizeof(*(rows))                                                                 \
    }

const char *const kv_kvmap_types[] = { "kvmap", "version", "location", "certificate", "backup", "end" };
const char *const kv_kvmap_kinds[] = { "RSA", "EC", "oct" };

/* clang-format off */
const struct kv_kvmap_operation kv_kvmap_operations[] = {
    { KV_OP_ENCRYPT, "encrypt" }, { KV_OP_DECRYPT, "decrypt" }, { KV_OP_SIGN, "sign" },
    { KV_OP_VERIFY, "verify" },   { KV_OP_WRAP, "wrapKey" },    { KV_OP_UNWRAP, "unwrapKey" },
};

static const struct kv_kvmap_field header[] = {
    ROW(kv_kvmap_header, by),
    ROW(kv_kvmap_header, made),
    ROW(kv_kvmap_header, backup),
    AS("journal_entries", kv_kvmap_header, entries),
    AS("journal_first", kv_kvmap_header, first),
    AS("journal_last", kv_kvmap_header, last),
};
const struct kv_kvmap_fields kv_kvmap_header = ALL(header);

static const struct kv_kvmap_field version[] = {
    ROW(kv_version, vault),
    ROW(kv_version, name),
    ROW(kv_version, version),
    ROW(kv_version, kid),
    ROW(kv_version, current),
    ROW(kv_version, hsm),
    ROW(kv_version, bits),
    ROW(kv_version, curve),
    AS("cka_id", kv_version, id),
    ROW(kv_version, spki_sha256),
    ROW(kv_version, enabled),
    ROW(kv_version, managed),
    ROW(kv_version, hsm_platform),
    AS("not_before", kv_version, nbf),
    AS("expires", kv_version, exp),
    ROW(kv_version, created),
    ROW(kv_version, first_seen),
    ROW(kv_version, seen),
    ROW(kv_version, state_since),
    ROW(kv_version, first_wrap),
    ROW(kv_version, last_wrap),
    ROW(kv_version, last_unwrap),
    ROW(kv_version, last_drill),
    ROW(kv_version, retire_after),
    ROW(kv_version, wraps),
    LATER(kv_version, settled),
};
const struct kv_kvmap_fields kv_kvmap_version = ALL(version);

static const struct kv_kvmap_field location[] = {
    ROW(kv_map_location, spki_sha256),
    ROW(kv_map_location, kid),
    ROW(kv_map_location, first_seen),
    ROW(kv_map_location, seen),
    ROW(kv_map_location, accepted),
};
const struct kv_kvmap_fields kv_kvmap_location = ALL(location);

static const struct kv_kvmap_field certificate[] = {
    ROW(kv_kvmap_certificate, vault),
    ROW(kv_kvmap_certificate, name),
    ROW(kv_kvmap_certificate, version),
    ROW(kv_kvmap_certificate, source),
    ROW(kv_kvmap_certificate, at),
};
const struct kv_kvmap_fields kv_kvmap_certificate = ALL(certificate);

static const struct kv_kvmap_field backup[] = {
    ROW(kv_map_backup, id),
    ROW(kv_map_backup, store),
    ROW(kv_map_backup, object),
    ROW(kv_map_backup, size),
    ROW(kv_map_backup, created),
    ROW(kv_map_backup, keep_until),
    ROW(kv_map_backup, drilled),
    ROW(kv_map_backup, drill_result),
    ROW(kv_map_backup, retired),
};
const struct kv_kvmap_fields kv_kvmap_backup = ALL(backup);

static const struct kv_kvmap_field recipient[] = {
    ROW(kv_map_recipient, kind),
    ROW(kv_map_recipient, text),
    ROW(kv_map_recipient, added),
    ROW(kv_map_recipient, removed),
};
const struct kv_kvmap_fields kv_kvmap_recipient = ALL(recipient);

static const struct kv_kvmap_field end[] = {
    ROW(kv_kvmap_end, lines),
    ROW(kv_kvmap_end, sha256),
};
const struct kv_kvmap_fields kv_kvmap_end = ALL(end);
/* clang-format on */
