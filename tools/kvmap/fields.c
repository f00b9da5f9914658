#include "fields.h"

#include <stddef.h>

#define ROW(word, kind, structure, member)                                                                   \
    {                                                                                                        \
        word, kind, offsetof(struct structure, member), sizeof(((struct structure *)0)->member)              \
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
    ROW("by", FIELD_TEXT, kv_kvmap_header, by),
    ROW("made", FIELD_INT, kv_kvmap_header, made),
    ROW("backup", FIELD_TEXT, kv_kvmap_header, backup),
    ROW("journal_entries", FIELD_INT, kv_kvmap_header, entries),
    ROW("journal_first", FIELD_HEX, kv_kvmap_header, first),
    ROW("journal_last", FIELD_HEX, kv_kvmap_header, last),
};
const struct kv_kvmap_fields kv_kvmap_header = ALL(header);

static const struct kv_kvmap_field version[] = {
    ROW("vault", FIELD_TEXT, kv_version, vault),
    ROW("name", FIELD_TEXT, kv_version, name),
    ROW("version", FIELD_TEXT, kv_version, version),
    ROW("kid", FIELD_TEXT, kv_version, kid),
    ROW("current", FIELD_FLAG, kv_version, current),
    ROW("hsm", FIELD_FLAG, kv_version, hsm),
    ROW("bits", FIELD_COUNT, kv_version, bits),
    ROW("curve", FIELD_TEXT, kv_version, curve),
    ROW("cka_id", FIELD_HEX, kv_version, id),
    ROW("spki_sha256", FIELD_HEX, kv_version, spki_sha256),
    ROW("enabled", FIELD_FLAG, kv_version, enabled),
    ROW("managed", FIELD_FLAG, kv_version, managed),
    ROW("hsm_platform", FIELD_TEXT, kv_version, hsm_platform),
    ROW("not_before", FIELD_INT, kv_version, nbf),
    ROW("expires", FIELD_INT, kv_version, exp),
    ROW("created", FIELD_INT, kv_version, created),
    ROW("first_seen", FIELD_INT, kv_version, first_seen),
    ROW("seen", FIELD_INT, kv_version, seen),
    ROW("state_since", FIELD_INT, kv_version, state_since),
    ROW("first_wrap", FIELD_INT, kv_version, first_wrap),
    ROW("last_wrap", FIELD_INT, kv_version, last_wrap),
    ROW("last_unwrap", FIELD_INT, kv_version, last_unwrap),
    ROW("last_drill", FIELD_INT, kv_version, last_drill),
    ROW("retire_after", FIELD_INT, kv_version, retire_after),
    ROW("wraps", FIELD_INT, kv_version, wraps),
};
const struct kv_kvmap_fields kv_kvmap_version = ALL(version);

static const struct kv_kvmap_field location[] = {
    ROW("spki_sha256", FIELD_HEX, kv_map_location, spki_sha256),
    ROW("kid", FIELD_TEXT, kv_map_location, kid),
    ROW("first_seen", FIELD_INT, kv_map_location, first_seen),
    ROW("seen", FIELD_INT, kv_map_location, seen),
    ROW("accepted", FIELD_INT, kv_map_location, accepted),
};
const struct kv_kvmap_fields kv_kvmap_location = ALL(location);

static const struct kv_kvmap_field certificate[] = {
    ROW("vault", FIELD_TEXT, kv_kvmap_certificate, vault),
    ROW("name", FIELD_TEXT, kv_kvmap_certificate, name),
    ROW("version", FIELD_TEXT, kv_kvmap_certificate, version),
    ROW("source", FIELD_TEXT, kv_kvmap_certificate, source),
    ROW("at", FIELD_INT, kv_kvmap_certificate, at),
};
const struct kv_kvmap_fields kv_kvmap_certificate = ALL(certificate);

static const struct kv_kvmap_field backup[] = {
    ROW("id", FIELD_TEXT, kv_map_backup, id),
    ROW("store", FIELD_TEXT, kv_map_backup, store),
    ROW("object", FIELD_TEXT, kv_map_backup, object),
    ROW("size", FIELD_INT, kv_map_backup, size),
    ROW("created", FIELD_INT, kv_map_backup, created),
    ROW("keep_until", FIELD_INT, kv_map_backup, keep_until),
    ROW("drilled", FIELD_INT, kv_map_backup, drilled),
    ROW("drill_result", FIELD_TEXT, kv_map_backup, drill_result),
    ROW("retired", FIELD_INT, kv_map_backup, retired),
};
const struct kv_kvmap_fields kv_kvmap_backup = ALL(backup);

static const struct kv_kvmap_field recipient[] = {
    ROW("kind", FIELD_TEXT, kv_map_recipient, kind),
    ROW("text", FIELD_TEXT, kv_map_recipient, text),
    ROW("added", FIELD_INT, kv_map_recipient, added),
    ROW("removed", FIELD_INT, kv_map_recipient, removed),
};
const struct kv_kvmap_fields kv_kvmap_recipient = ALL(recipient);

static const struct kv_kvmap_field end[] = {
    ROW("lines", FIELD_INT, kv_kvmap_end, lines),
    ROW("sha256", FIELD_HEX, kv_kvmap_end, sha256),
};
const struct kv_kvmap_fields kv_kvmap_end = ALL(end);
/* clang-format on */
