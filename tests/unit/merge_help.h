/* Versions as the map knows them and as the vault tells them, for the tests of keys/merge. */
#ifndef KV_TESTS_UNIT_MERGE_HELP_H
#define KV_TESTS_UNIT_MERGE_HELP_H

#include "../../module/keys/merge.h"
#include "keys_help.h"

enum { NOW = 1800000000 };

/* One version, before or after; a row of the tables below. */
struct row {
    const char *version;
    int64_t created;
    enum kv_state state;
    bool current;
};

/* What the vault says of a version. */
struct item {
    const char *version;
    int64_t created;
    bool listed; /* as in a list: without the public key */
    bool disabled;
    unsigned other_key;
    int64_t exp;
};

#define NEW    KV_STATE_ENABLED
#define ON     KV_STATE_ENABLED
#define OFF    KV_STATE_DISABLED
#define GONE   KV_STATE_DELETED
#define LOST   KV_STATE_MISSING
#define PAST   KV_STATE_EXPIRED
#define PURGED KV_STATE_PURGED

static inline void fill_item(const struct item *from, const char *name, struct kv_vault_key *ret)
{
    assert_true(kv_text_fit(ret->name, sizeof(ret->name), name));
    assert_true(kv_text_fit(ret->version, sizeof(ret->version), from->version));
    ret->created = from->created;
    ret->enabled = !from->disabled;
    ret->exp = from->exp;
    if (from->listed)
        return;
    ret->has_public = true;
    ret->bits = 2048;
    ret->operations = KV_OP_ALL;
    ret->n = fake_vault_modulus(from->version, from->other_key);
    assert_int_equal(kv_bytes_copy(kv_view_text("\x01\x01\x01"), &ret->e), KV_OK);
}

static inline struct kv_version *known_version(const struct row *row)
{
    struct kv_bytes n = fake_vault_modulus(row->version, 0);
    struct kv_public *key = NULL;
    struct kv_version *version = kv_version_new();

    assert_non_null(version);
    assert_int_equal(kv_public_from_rsa(KV_VIEW(n), kv_view_text("\x01\x01\x01"), &key, NULL), KV_OK);
    assert_int_equal(kv_bytes_copy(kv_public_spki(key), &version->spki), KV_OK);
    kv_public_free(key);
    kv_bytes_free(&n);
    snprintf(version->vault, sizeof(version->vault), "prod");
    snprintf(version->name, sizeof(version->name), "kek");
    snprintf(version->version, sizeof(version->version), "%s", row->version);
    version->bits = 2048;
    version->operations = KV_OP_ALL;
    version->created = row->created;
    version->state = row->state;
    version->enabled = row->state != OFF;
    version->current = row->current;
    version->first_seen = version->seen = 77;
    version->first_wrap = 5;
    version->last_wrap = 6;
    version->wraps = 3;
    assert_int_equal(kv_version_identify(version), KV_OK);
    return version;
}

#endif
